//! What a GRANT gave, held by identity and not by name, so that undoing it cannot hit something else.

use std::fmt;

use foldhash::{HashSet, HashSetExt};
use serde::{Deserialize, Serialize};

use super::key::PrivilegeKey;
use super::names::{ColumnName, Grantee, SharedText, ShortText, TableName};

/// The server and database that answered, so that another one under the same address is noticed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// Host and port as connected to.
    pub address: ShortText,
    /// Name of the database on Postgres; empty on MySQL, where privileges span databases.
    pub database: ShortText,
    /// What stays when names and addresses change: the system identifier and the database's OID on
    /// Postgres, `server_uuid` on MySQL, the best there is on MariaDB.
    pub system: SharedText,
}

impl fmt::Display for ServerIdentity {
    /// `db1:5432/shop#7312…`, the `server` key of an event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)?;
        if !self.database.is_empty() {
            write!(f, "/{}", self.database)?;
        }
        write!(f, "#{}", self.system)
    }
}

impl ServerIdentity {
    /// Whether both are the same database, wherever it answers. The address may change, the rest may not.
    pub fn same_database(&self, other: &Self) -> bool {
        self.system == other.system
    }
}

/// What one privilege is about, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// SELECT on one column. All numbers are OIDs but `attnum` (facts-postgres, "Names drift").
    PostgresColumn {
        database: u32,
        relation: u32,
        attnum: i16,
        role: u32,
        grantor: u32,
    },
    /// USAGE on one schema, leased along where the policy says `usage: grant`.
    PostgresSchema {
        database: u32,
        namespace: u32,
        role: u32,
        grantor: u32,
    },
    /// SELECT on one column. MySQL and MariaDB have names only: these are the exact spellings of the catalog.
    MysqlColumn {
        database: ShortText,
        table: ShortText,
        column: ShortText,
        user: ShortText,
        host: ShortText,
    },
}

impl Identity {
    pub fn key(&self) -> PrivilegeKey {
        PrivilegeKey::from(self)
    }
}

/// The names of a privilege at one moment: for people, for SQL, and to notice that they have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Named {
    pub grantee: Grantee,
    pub thing: Thing,
}

/// What a privilege opens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// SELECT on this column.
    Column {
        table: TableName,
        column: ColumnName,
    },
    /// USAGE on this schema.
    Schema(ShortText),
}

impl Named {
    pub fn table(&self) -> Option<&TableName> {
        match &self.thing {
            Thing::Column { table, .. } => Some(table),
            Thing::Schema(_) => None,
        }
    }

    pub fn column(&self) -> Option<&ColumnName> {
        match &self.thing {
            Thing::Column { column, .. } => Some(column),
            Thing::Schema(_) => None,
        }
    }
}

/// A privilege to give or to take: identity, and the names it had when it was last resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Privilege {
    pub identity: Identity,
    pub named: Named,
    /// MySQL and MariaDB: what the catalog showed right after our GRANT (grantor and timestamp of the rows),
    /// as the engine wrote it; the same engine compares it later to notice somebody else's GRANT.
    /// `None` before the grant, and always on Postgres, where our rows stand apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<SharedText>,
}

impl Privilege {
    pub fn key(&self) -> PrivilegeKey {
        self.identity.key()
    }
}

/// Each privilege once, where it first stood.
pub fn once(privileges: &mut Vec<Privilege>) {
    let mut seen = HashSet::new();
    privileges.retain(|privilege| seen.insert(privilege.key()));
}

/// What the catalog shows of one privilege of ours, read by identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Standing {
    /// The row is there.
    Held {
        /// The names of today: these go into SQL.
        named: Named,
        /// Postgres: somebody made our row grantable. It is never granted over; a REVOKE takes it where nobody else
        /// depends on it (facts-postgres, "Other traps": 2BP01).
        grantable: bool,
        /// As `Privilege::stamp`, of this moment; only where the privilege came without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<SharedText>,
        /// MySQL and MariaDB: somebody else has granted the same since, and this says who, as well as can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contested: Option<String>,
    },
    /// Object and account are there, the row is not.
    Absent {
        named: Named,
        /// MySQL: what is left of the statement that took it, for [`Privilege::stamp`] of the ended lease.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<SharedText>,
    },
    /// Column, table, schema, database or account exist no more; `why` says which.
    Gone { why: String },
}
