//! What the undo of a lease needs and what never moves: a document, kept once for all leases of a step that differ in
//! nothing but their column. What moves is in the lease's own row.

use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::find::loaded;
use super::{rows, statements as sql};
use crate::access::privilege::{Identity, Named, Thing};
use crate::access::{
    At, BootInstant, ColumnName, Grantee, Lease, LeaseId, Privilege, PrivilegeKey, ServerIdentity,
    SharedText, TargetName,
};

/// As of one lease; others say their own column beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Doc {
    grantee: Grantee,
    server: ServerIdentity,
    identity: Identity,
    named: Named,
}

impl Doc {
    fn of(lease: &Lease) -> Self {
        Self {
            grantee: lease.grantee.clone(),
            server: lease.server.clone(),
            identity: lease.privilege.identity.clone(),
            named: lease.privilege.named.clone(),
        }
    }

    fn is_of(&self, lease: &Lease) -> bool {
        self.grantee == lease.grantee
            && self.server == lease.server
            && self.identity == lease.privilege.identity
            && self.named == lease.privilege.named
    }

    /// Makes it about the column with this name and key; `false` where one of them is about no column of this engine.
    fn turn_to(
        &mut self,
        name: &str,
        key: impl FnOnce() -> Result<PrivilegeKey, Fault>,
    ) -> Result<bool, Fault> {
        match &mut self.identity {
            Identity::PostgresColumn { attnum, .. } => {
                let key = key()?;
                let Identity::PostgresColumn { attnum: theirs, .. } = key.folded() else {
                    return Ok(false);
                };
                *attnum = *theirs;
            }
            Identity::MysqlColumn { column, .. } => *column = name.into(),
            Identity::PostgresSchema { .. } => return Ok(false),
        }
        let Thing::Column { column, .. } = &mut self.named.thing else {
            return Ok(false);
        };
        *column = ColumnName(name.into());
        Ok(true)
    }
}

/// The documents that one transaction writes.
#[derive(Default)]
pub(super) struct Written {
    /// About the column of the last lease.
    last: Option<(i64, Doc)>,
}

/// Where a lease's document is.
pub(super) struct Place<'l> {
    pub number: i64,
    /// `None`: the one of the document.
    pub column: Option<&'l str>,
}

impl Written {
    /// The document of a lease: the last one where it says the same, or else a new one.
    pub(super) fn of<'l>(
        &mut self,
        transaction: &Transaction<'_>,
        lease: &'l Lease,
    ) -> Result<Place<'l>, Fault> {
        if let Some((number, last)) = &mut self.last
            && let Some(column) = lease.privilege.named.column()
            && last.turn_to(column.as_str(), || Ok(lease.key()))?
            && last.is_of(lease)
        {
            return Ok(Place {
                number: *number,
                column: Some(column.as_str()),
            });
        }
        let doc = Doc::of(lease);
        transaction
            .prepare_cached(sql::LEASE_DOC_INSERT)?
            .execute(params![serde_json::to_string(&doc)?])?;
        let number = transaction.last_insert_rowid();
        self.last = Some((number, doc));
        Ok(Place {
            number,
            column: None,
        })
    }
}

/// Reads leases, each document once where those that share it follow each other.
pub(super) struct Leases<'c> {
    connection: &'c Connection,
    last: Option<(i64, Doc)>,
    /// Of the last one.
    boot: Option<SharedText>,
    stamp: Option<SharedText>,
}

impl<'c> Leases<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            last: None,
            boot: None,
            stamp: None,
        }
    }

    /// A lease, from the columns of all `leases_*.sql`.
    pub(super) fn read(&mut self, row: &Row<'_>) -> Result<Lease, Fault> {
        let id = LeaseId {
            request: rows::id(rows::word(row, 0)?)?,
            position: row.get(1)?,
        };
        let number: i64 = row.get(3)?;
        let mut doc = self.doc(number)?.clone();
        if let Some(column) = row.get_ref(4)?.as_str_or_null().map_err(rows::unlike)?
            && !doc.turn_to(column, || rows::key(rows::word(row, 5)?))?
        {
            return Err(Fault::Document(format!(
                "lease {id} and its document differ"
            )));
        }
        let stamp = row.get_ref(6)?.as_str_or_null().map_err(rows::unlike)?;
        Ok(Lease {
            target: TargetName::from(rows::word(row, 2)?),
            grantee: doc.grantee,
            server: doc.server,
            privilege: Privilege {
                identity: doc.identity,
                named: doc.named,
                stamp: stamp.map(|stamp| shared(&mut self.stamp, stamp)),
            },
            expires_at: At::from_millis(row.get(7)?),
            boot_end: BootInstant {
                boot: shared(&mut self.boot, rows::word(row, 8)?),
                millis: loaded(row.get(9)?),
            },
            state: rows::lease_state(row, 10, &id)?,
            id,
        })
    }

    fn doc(&mut self, number: i64) -> Result<&Doc, Fault> {
        let known = self.last.take().filter(|(last, _)| *last == number);
        let last = match known {
            Some(last) => last,
            None => {
                let mut statement = self.connection.prepare_cached(sql::LEASE_DOC)?;
                (
                    number,
                    statement.query_one([number], |row| Ok(rows::document(row)))??,
                )
            }
        };
        Ok(&self.last.insert(last).1)
    }
}

/// The last text, where it is the same.
fn shared(last: &mut Option<SharedText>, text: &str) -> SharedText {
    match last {
        Some(last) if **last == *text => last.clone(),
        _ => last.insert(text.into()).clone(),
    }
}
