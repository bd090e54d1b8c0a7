//! The only place where the text of a GRANT or REVOKE of a lease is made.

use std::collections::BTreeSet;

use crate::access::privilege::Thing;
use crate::access::{Grantee, Identity, Privilege, RequestId, TableName};
use crate::engines::Verb;

use super::quote::{self, BadName, Quoted};

/// Who gains or loses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    Role(Quoted),
    /// A stray of ours may be held by everybody: role 0 in the catalog.
    Everybody,
}

impl To {
    /// The role that a privilege names. Role 0 is PUBLIC; no other name ever becomes it.
    pub fn of(role: u32, name: &Grantee) -> Result<Self, BadName> {
        match role {
            0 => Ok(Self::Everybody),
            _ => quote::role(name.as_str()).map(Self::Role),
        }
    }
}

impl std::fmt::Display for To {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Role(role) => role.fmt(f),
            Self::Everybody => f.write_str("PUBLIC"),
        }
    }
}

/// What is given or taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    Columns { table: String, columns: Vec<Quoted> },
    Schema(Quoted),
}

/// `"schema"."table"`.
pub fn table(name: &TableName) -> Result<String, BadName> {
    Ok(format!(
        "{}.{}",
        quote::name(&name.schema)?,
        quote::name(&name.table)?
    ))
}

/// One statement. Never CASCADE: it would take what third parties hold (facts-postgres, "Other traps").
pub fn statement(verb: Verb, on: &On, roles: &[To]) -> String {
    let (word, preposition) = match verb {
        Verb::Grant => ("GRANT", "TO"),
        Verb::Revoke => ("REVOKE", "FROM"),
    };
    let what = match on {
        On::Columns { table, columns } => format!("SELECT ({}) ON {table}", list(columns)),
        On::Schema(schema) => format!("USAGE ON SCHEMA {schema}"),
    };
    format!("{word} {what} {preposition} {}", list(roles))
}

pub fn list<T: std::fmt::Display>(items: &[T]) -> String {
    let mut text = String::new();
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        text.push_str(&item.to_string());
    }
    text
}

/// The statement for privileges of one table or schema and one grantee, by the names that they carry.
pub fn one(verb: Verb, privileges: &[Privilege]) -> Result<String, BadName> {
    let first = privileges.first().ok_or(BadName::Empty)?;
    let on = match &first.named.thing {
        Thing::Schema(schema) => On::Schema(quote::name(schema)?),
        Thing::Column { table: name, .. } => On::Columns {
            table: table(name)?,
            columns: privileges
                .iter()
                .filter_map(|privilege| privilege.named.column())
                .map(|column| quote::name(column.as_str()))
                .collect::<Result<_, _>>()?,
        },
    };
    let to = To::of(role_of(&first.identity), &first.named.grantee)?;
    Ok(statement(verb, &on, &[to]))
}

/// The grantee's OID; MySQL's identities have none and never come here.
fn role_of(identity: &Identity) -> u32 {
    match identity {
        Identity::PostgresColumn { role, .. } | Identity::PostgresSchema { role, .. } => *role,
        Identity::MysqlColumn { .. } => u32::MAX,
    }
}

/// How many ids a comment or a session's name carries before it says "and so many more".
const NAMED: usize = 16;

/// `/* jit k3fq7m2x … */`: which requests a statement serves. Ids have letters and digits only.
pub fn comment(requests: &BTreeSet<RequestId>) -> String {
    if requests.is_empty() {
        return "/* jit */ ".to_owned();
    }
    let mut text = "/* jit".to_owned();
    for request in requests.iter().take(NAMED) {
        text.push(' ');
        text.push_str(request.as_str());
    }
    if requests.len() > NAMED {
        text.push_str(&format!(" +{}", requests.len() - NAMED));
    }
    text + " */ "
}

/// How many ids fit into the 63 bytes of a session's name: `jit:` and nine bytes each.
const IN_NAME: usize = 6;

/// The session's name: `jit:k3fq7m2x,…` for a few requests, `jit:batch` for many or for none in particular.
pub fn session_name(requests: &BTreeSet<RequestId>) -> String {
    if requests.is_empty() || requests.len() > IN_NAME {
        return BATCH.to_owned();
    }
    let ids: Vec<&str> = requests.iter().map(RequestId::as_str).collect();
    format!("jit:{}", ids.join(","))
}

/// The name of a session whose ids do not fit into its name.
pub const BATCH: &str = "jit:batch";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{ColumnName, privilege::Named};

    fn privilege(role: u32, grantee: &str, column: &str) -> Privilege {
        Privilege {
            identity: Identity::PostgresColumn {
                database: 1,
                relation: 2,
                attnum: 3,
                role,
                grantor: 4,
            },
            named: Named {
                grantee: grantee.into(),
                thing: Thing::Column {
                    table: TableName::new("My Shop", "Order"),
                    column: ColumnName(column.into()),
                },
            },
            stamp: None,
        }
    }

    #[test]
    fn one_statement_names_columns_table_and_grantee() {
        let two = [privilege(9, "al\"ice", "a"), privilege(9, "al\"ice", "b")];
        assert_eq!(
            one(Verb::Grant, &two).unwrap(),
            r#"GRANT SELECT ("a", "b") ON "My Shop"."Order" TO "al""ice""#
        );
        assert_eq!(
            one(Verb::Revoke, &two[..1]).unwrap(),
            r#"REVOKE SELECT ("a") ON "My Shop"."Order" FROM "al""ice""#
        );
    }

    #[test]
    fn only_role_zero_is_everybody() {
        let stray = one(Verb::Revoke, &[privilege(0, "PUBLIC", "a")]).unwrap();
        assert!(stray.ends_with("FROM PUBLIC"), "{stray}");
        let named = one(Verb::Grant, &[privilege(7, "PUBLIC", "a")]).unwrap();
        assert!(named.ends_with("TO \"PUBLIC\""), "{named}");
        assert!(one(Verb::Grant, &[privilege(7, "public", "a")]).is_err());
    }

    #[test]
    fn comments_and_session_names_are_bounded() {
        let ids: BTreeSet<RequestId> = (0..40u32)
            .map(|n| RequestId::of_submission(n, b"x"))
            .collect();
        assert!(comment(&ids).len() < 200);
        assert!(comment(&ids).ends_with(" +24 */ "));
        assert_eq!(session_name(&ids), BATCH);
        let few: BTreeSet<RequestId> = ids.into_iter().take(IN_NAME).collect();
        assert!(session_name(&few).len() <= 63);
    }
}
