//! PURE. Which leases share one privilege.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::names::{ShortText, lowercase};
use super::privilege::Identity;
use super::text::one_text;

/// Equal exactly where the privileges are: two leases with one key share one privilege.
///
/// A sweep makes and compares a dozen a lease, so it is the identity itself, folded as the server compares it. A
/// ledger keeps its text, `pg:5/16401.3>16385<10`, `pgs:5/2200>16385<10` or `my:["shop","customers","email","ann","%"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrivilegeKey(Identity);

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the key of a privilege")]
pub struct NotAKey(pub String);

/// A GRANT or REVOKE of one privilege also marks this: on MySQL and MariaDB an account has one row for each table,
/// which says whose hand was last there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hand {
    pub database: ShortText,
    pub table: ShortText,
    pub user: ShortText,
    pub host: ShortText,
}

impl PrivilegeKey {
    /// The same for keys of one table (or schema), and for no others.
    pub fn table(&self) -> Self {
        let mut table = self.0.clone();
        match &mut table {
            Identity::PostgresColumn {
                attnum,
                role,
                grantor,
                ..
            } => (*attnum, *role, *grantor) = (0, 0, 0),
            Identity::PostgresSchema { role, grantor, .. } => (*role, *grantor) = (0, 0),
            Identity::MysqlColumn {
                column, user, host, ..
            } => {
                for name in [column, user, host] {
                    name.clear();
                }
            }
        }
        Self(table)
    }

    /// The identity, folded.
    pub fn folded(&self) -> &Identity {
        &self.0
    }

    /// What a ledger keeps.
    pub fn text(&self) -> String {
        match &self.0 {
            Identity::PostgresColumn {
                database,
                relation,
                attnum,
                role,
                grantor,
            } => format!("pg:{database}/{relation}.{attnum}>{role}<{grantor}"),
            Identity::PostgresSchema {
                database,
                namespace,
                role,
                grantor,
            } => format!("pgs:{database}/{namespace}>{role}<{grantor}"),
            Identity::MysqlColumn {
                database,
                table,
                column,
                user,
                host,
            } => {
                let mut text = Vec::with_capacity(128);
                text.extend_from_slice(b"my:");
                // Texts in a list, into memory: there is nothing that could fail.
                let names = [database, table, column, user, host];
                let _ = serde_json::to_writer(&mut text, &names);
                String::from_utf8(text).unwrap_or_default()
            }
        }
    }

    /// `None` on Postgres, where each row names its own grantor.
    pub fn hand(&self) -> Option<Hand> {
        match &self.0 {
            Identity::MysqlColumn {
                database,
                table,
                user,
                host,
                ..
            } => Some(Hand {
                database: database.clone(),
                table: table.clone(),
                user: user.clone(),
                host: host.clone(),
            }),
            Identity::PostgresColumn { .. } | Identity::PostgresSchema { .. } => None,
        }
    }
}

impl From<&Identity> for PrivilegeKey {
    fn from(identity: &Identity) -> Self {
        let mut key = identity.clone();
        // Column and host compare without case on the server; database, table and user with it
        // (facts-mysql, "Storage"). The rows themselves are looked for in any case.
        if let Identity::MysqlColumn { column, host, .. } = &mut key {
            for name in [column, host] {
                if let Cow::Owned(folded) = lowercase(name) {
                    *name = folded.into();
                }
            }
        }
        Self(key)
    }
}

impl fmt::Display for PrivilegeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl FromStr for PrivilegeKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        identity(text)
            .map(|identity| Self::from(&identity))
            .ok_or_else(|| NotAKey(text.to_owned()))
    }
}

one_text!(PrivilegeKey);

fn identity(text: &str) -> Option<Identity> {
    let (engine, rest) = text.split_once(':')?;
    if engine == "my" {
        let [database, table, column, user, host] = serde_json::from_str(rest).ok()?;
        return Some(Identity::MysqlColumn {
            database,
            table,
            column,
            user,
            host,
        });
    }
    let (thing, roles) = rest.split_once('>')?;
    let (database, thing) = thing.split_once('/')?;
    let (role, grantor) = roles.split_once('<')?;
    let (database, role, grantor) = (number(database)?, number(role)?, number(grantor)?);
    match engine {
        "pg" => {
            let (relation, attnum) = thing.split_once('.')?;
            Some(Identity::PostgresColumn {
                database,
                relation: number(relation)?,
                attnum: number(attnum)?,
                role,
                grantor,
            })
        }
        "pgs" => Some(Identity::PostgresSchema {
            database,
            namespace: number(thing)?,
            role,
            grantor,
        }),
        _ => None,
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
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

    fn postgres(relation: u32, attnum: i16) -> PrivilegeKey {
        Identity::PostgresColumn {
            database: 5,
            relation,
            attnum,
            role: 7,
            grantor: 8,
        }
        .key()
    }

    fn schema(namespace: u32, role: u32) -> PrivilegeKey {
        Identity::PostgresSchema {
            database: 5,
            namespace,
            role,
            grantor: 8,
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

        assert_eq!(postgres(12, 1).table(), postgres(12, 2).table());
        assert_ne!(postgres(12, 1).table(), postgres(1, 2).table());
        assert_eq!(schema(6, 7).table(), schema(6, 9).table());
        assert_ne!(schema(6, 7).table(), postgres(6, 1).table());
    }

    #[test]
    fn the_text_of_a_ledger_is_this_and_reads_back() {
        for (key, text) in [
            (postgres(16401, 3), "pg:5/16401.3>7<8"),
            (schema(2200, 7), "pgs:5/2200>7<8"),
            (
                mysql("My \"Shop\"", "t\\:", "SSN"),
                r#"my:["My \"Shop\"","t\\:","ssn","u","%"]"#,
            ),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key.clone()));
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(json, serde_json::to_string(text).unwrap());
            assert_eq!(serde_json::from_str::<PrivilegeKey>(&json).unwrap(), key);
        }
        for text in [
            "",
            "pg",
            "pg:",
            "pg:5/1>2<3",
            "pgs:5/1.1>2<3",
            "pg:5/1.99999>2<3",
            "pg:-5/1.1>2<3",
            "my:",
            "my:[]",
            "my:[\"a\",\"b\",\"c\",\"d\"]",
            "xx:5/1.1>2<3",
        ] {
            assert_eq!(text.parse::<PrivilegeKey>(), Err(NotAKey(text.to_owned())));
        }
    }

    #[test]
    fn columns_and_hosts_fold_and_nothing_else_does() {
        assert_eq!(mysql("d", "t", "SSN"), mysql("d", "t", "ssn"));
        assert_eq!(mysql("d", "t", "STRAẞE"), mysql("d", "t", "straße"));
        assert_ne!(mysql("D", "t", "ssn"), mysql("d", "t", "ssn"));
        assert_ne!(mysql("d", "T", "ssn"), mysql("d", "t", "ssn"));
    }
}
