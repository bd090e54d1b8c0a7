//! What a GRANT gave, held by identity and not by name, so that undoing it cannot hit something else.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::names::{ColumnName, Grantee, TableName};

/// The server and database that answered, so that another one under the same address is noticed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// Host and port as connected to.
    pub address: String,
    /// Name of the database on Postgres; empty on MySQL, where privileges span databases.
    pub database: String,
    /// What stays when names and addresses change: the system identifier and the database's OID on
    /// Postgres, `server_uuid` on MySQL, the best there is on MariaDB.
    pub system: String,
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
        database: String,
        table: String,
        column: String,
        user: String,
        host: String,
    },
}

/// A text that is equal exactly where the identities are: two leases with one key share one privilege.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrivilegeKey(pub String);

impl Identity {
    pub fn key(&self) -> PrivilegeKey {
        PrivilegeKey(match self {
            Self::PostgresColumn {
                database,
                relation,
                attnum,
                role,
                grantor,
            } => format!("pg:{database}/{relation}.{attnum}>{role}<{grantor}"),
            Self::PostgresSchema {
                database,
                namespace,
                role,
                grantor,
            } => format!("pgs:{database}/{namespace}>{role}<{grantor}"),
            // Column and host compare without case on the server; database, table and user with it
            // (facts-mysql, "Storage"). The rows themselves are looked for in any case.
            Self::MysqlColumn {
                database,
                table,
                column,
                user,
                host,
            } => {
                let (column, host) = (lowercase(column), lowercase(host));
                let names: [&str; 5] = [database, table, &column, user, &host];
                let mut text = b"my:".to_vec();
                // Texts in a list, into memory: there is nothing that could fail.
                let _ = serde_json::to_writer(&mut text, &names);
                String::from_utf8(text).unwrap_or_default()
            }
        })
    }
}

/// A GRANT or REVOKE of one privilege also marks this: on MySQL and MariaDB an account has one row for each table,
/// which says whose hand was last there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hand {
    pub database: String,
    pub table: String,
    pub user: String,
    pub host: String,
}

impl PrivilegeKey {
    /// The same for keys of one table (or schema), and for no others.
    pub fn table(&self) -> (String, String) {
        match self.hand() {
            Some(hand) => (hand.database, hand.table),
            None => {
                let end = self.0.find(['.', '>']).unwrap_or(self.0.len());
                (self.0[..end].to_owned(), String::new())
            }
        }
    }

    /// `None` on Postgres, where each row names its own grantor.
    pub fn hand(&self) -> Option<Hand> {
        let [database, table, _, user, host]: [String; 5] =
            serde_json::from_str(self.0.strip_prefix("my:")?).ok()?;
        Some(Hand {
            database,
            table,
            user,
            host,
        })
    }
}

/// As `str::to_lowercase`, without a copy of what is so already: a key is made for each lease many times a sweep.
fn lowercase(text: &str) -> Cow<'_, str> {
    let is_lower = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    match text.bytes().all(is_lower) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.to_lowercase()),
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
    Schema(String),
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
    pub stamp: Option<String>,
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
        /// As `Privilege::stamp`, of this moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<String>,
        /// MySQL and MariaDB: somebody else has granted the same since, and this says who, as well as can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contested: Option<String>,
    },
    /// Object and account are there, the row is not.
    Absent {
        named: Named,
        /// MySQL: what is left of the statement that took it, for [`Privilege::stamp`] of the ended lease.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<String>,
    },
    /// Column, table, schema, database or account exist no more; `why` says which.
    Gone { why: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mysql(database: &str, table: &str, column: &str) -> PrivilegeKey {
        Identity::MysqlColumn {
            database: database.into(),
            table: table.into(),
            column: column.into(),
            user: "u".into(),
            host: "%".into(),
        }
        .key()
    }

    #[test]
    fn keys_of_one_table_have_the_same_and_no_others_do() {
        let of_table = |database, table| {
            let one = mysql(database, table, "a");
            assert_eq!(one.table(), mysql(database, table, "b\"c").table());
            one.table()
        };
        let tables = [
            of_table("d", "t"),
            of_table("d", "t2"),
            of_table("d\"", "t"),
            of_table("d", "\"t"),
            of_table("d\\", "t"),
            of_table("d", "t\\\""),
        ];
        let mut distinct = tables.to_vec();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), tables.len());

        let postgres = |relation, attnum| {
            Identity::PostgresColumn {
                database: 5,
                relation,
                attnum,
                role: 7,
                grantor: 8,
            }
            .key()
        };
        assert_eq!(postgres(12, 1).table(), postgres(12, 2).table());
        assert_ne!(postgres(12, 1).table(), postgres(1, 2).table());
        let schema = |text: &str| PrivilegeKey(text.into()).table();
        assert_eq!(schema("pgs:5/6>7<8"), schema("pgs:5/6>9<8"));
        assert_ne!(schema("pgs:5/6>7<8"), postgres(6, 1).table());
    }
}
