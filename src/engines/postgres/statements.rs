//! From many privileges to few statements: merged only over identical column sets, never over a cross product.

use std::collections::{BTreeMap, BTreeSet};

use crate::engines::Verb;

use super::identities::{Entry, Names, Spot};
use super::quote::{self, BadName, Quoted};
use super::render::{self, On, To};

/// One statement, and which pieces of work it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    pub serves: BTreeSet<usize>,
}

/// A piece of work: its number, and a row of it.
pub type Wish = (usize, Entry);

/// A name that cannot be written, and the piece that needs it.
pub type Unwritable = (usize, BadName);

type Columns = BTreeSet<i16>;

/// The statements for some rows, by the names given, tables before schemas on REVOKE and after them on GRANT.
/// Rows whose object or role has no name any more are left out.
pub fn merged(
    verb: Verb,
    wishes: &[Wish],
    names: &Names,
    comment: &str,
) -> Result<Vec<Statement>, Unwritable> {
    let mut tables: BTreeMap<u32, BTreeMap<u32, (Columns, BTreeSet<usize>)>> = BTreeMap::new();
    let mut schemas: BTreeMap<u32, (BTreeSet<u32>, BTreeSet<usize>)> = BTreeMap::new();
    for (piece, entry) in wishes {
        if names.of(entry).is_err() {
            continue;
        }
        match entry.spot {
            Spot::Column { relation, attnum } => {
                let (columns, pieces) = tables
                    .entry(relation)
                    .or_default()
                    .entry(entry.role)
                    .or_default();
                columns.insert(attnum);
                pieces.insert(*piece);
            }
            Spot::Schema { namespace } => {
                let (roles, pieces) = schemas.entry(namespace).or_default();
                roles.insert(entry.role);
                pieces.insert(*piece);
            }
        }
    }
    let mut on_tables = Vec::new();
    for (relation, by_role) in tables {
        let mut alike: BTreeMap<Columns, (Vec<u32>, BTreeSet<usize>)> = BTreeMap::new();
        for (role, (columns, pieces)) in by_role {
            let (roles, serves) = alike.entry(columns).or_default();
            roles.push(role);
            serves.extend(pieces);
        }
        for (columns, (roles, serves)) in alike {
            let on = on_columns(relation, &columns, names).map_err(|bad| of_any(&serves, bad))?;
            on_tables.push(statement(verb, on, roles, serves, names, comment)?);
        }
    }
    let mut on_schemas = Vec::new();
    for (namespace, (roles, serves)) in schemas {
        let name = names
            .schemas
            .get(&namespace)
            .map_or(Err(BadName::Empty), |name| quote::name(name));
        let on = On::Schema(name.map_err(|bad| of_any(&serves, bad))?);
        let roles = roles.into_iter().collect();
        on_schemas.push(statement(verb, on, roles, serves, names, comment)?);
    }
    Ok(match verb {
        Verb::Grant => on_schemas.into_iter().chain(on_tables).collect(),
        Verb::Revoke => on_tables.into_iter().chain(on_schemas).collect(),
    })
}

fn statement(
    verb: Verb,
    on: On,
    roles: Vec<u32>,
    serves: BTreeSet<usize>,
    names: &Names,
    comment: &str,
) -> Result<Statement, Unwritable> {
    let to = roles
        .into_iter()
        .map(|role| match role {
            0 => Ok(To::Everybody),
            role => names
                .roles
                .get(&role)
                .map_or(Err(BadName::Empty), |name| To::of(role, name)),
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|bad| of_any(&serves, bad))?;
    Ok(Statement {
        sql: format!("{comment}{}", render::statement(verb, &on, &to)),
        serves,
    })
}

fn on_columns(relation: u32, columns: &Columns, names: &Names) -> Result<On, BadName> {
    let table = names.relations.get(&relation).ok_or(BadName::Empty)?;
    Ok(On::Columns {
        table: render::table(table)?,
        columns: columns
            .iter()
            .filter_map(|attnum| names.columns.get(&(relation, *attnum)))
            .map(|column| quote::name(column.as_str()))
            .collect::<Result<Vec<Quoted>, _>>()?,
    })
}

fn of_any(serves: &BTreeSet<usize>, bad: BadName) -> Unwritable {
    (serves.first().copied().unwrap_or_default(), bad)
}

/// What holds a table's name, its columns' names and its owner until the transaction ends: parsing a query on it
/// takes ACCESS SHARE with USAGE on the schema alone (facts-postgres, "Concurrency").
pub fn fence(table: &str) -> String {
    format!("PREPARE jit_fence AS SELECT FROM ONLY {table}; DEALLOCATE jit_fence")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{ColumnName, Grantee, TableName};
    use proptest::prelude::*;

    fn names() -> Names {
        let mut names = Names::default();
        for relation in 0..4u32 {
            let table = TableName::new("s", format!("t{relation}"));
            names.relations.insert(relation, table);
            for attnum in 0..5i16 {
                let column = ColumnName(format!("c{attnum}").into());
                names.columns.insert((relation, attnum), column);
            }
        }
        for role in 1..5u32 {
            names.roles.insert(role, Grantee(format!("r{role}").into()));
        }
        names.schemas.insert(7, "s".to_owned());
        names
    }

    fn column(relation: u32, attnum: i16, role: u32) -> Entry {
        Entry {
            spot: Spot::Column { relation, attnum },
            role,
            grantor: 9,
        }
    }

    /// Reads a merged statement back into the rows that it touches.
    fn touched(sql: &str) -> BTreeSet<(String, String, String)> {
        let (columns, rest) = sql
            .strip_prefix("GRANT SELECT (")
            .unwrap()
            .split_once(") ON ")
            .unwrap();
        let (table, roles) = rest.split_once(" TO ").unwrap();
        let mut rows = BTreeSet::new();
        for column in columns.split(", ") {
            for role in roles.split(", ") {
                rows.insert((table.to_owned(), column.to_owned(), role.to_owned()));
            }
        }
        rows
    }

    proptest! {
        #[test]
        fn merging_touches_exactly_what_was_wished(
            wishes in proptest::collection::btree_set((0..4u32, 0..5i16, 1..5u32), 1..60)
        ) {
            let entries: Vec<Wish> = wishes
                .iter()
                .enumerate()
                .map(|(piece, (relation, attnum, role))| (piece, column(*relation, *attnum, *role)))
                .collect();
            let statements = merged(Verb::Grant, &entries, &names(), "").unwrap();
            let mut seen = BTreeSet::new();
            for statement in &statements {
                for row in touched(&statement.sql) {
                    prop_assert!(seen.insert(row), "given twice");
                }
            }
            let wanted: BTreeSet<_> = wishes
                .iter()
                .map(|(t, c, r)| {
                    (format!("\"s\".\"t{t}\""), format!("\"c{c}\""), format!("\"r{r}\""))
                })
                .collect();
            prop_assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn identical_column_sets_share_a_statement_and_others_do_not() {
        let wishes = [
            (0, column(0, 1, 1)),
            (0, column(0, 2, 1)),
            (1, column(0, 1, 2)),
            (1, column(0, 2, 2)),
            (2, column(0, 1, 3)),
        ];
        let statements = merged(Verb::Revoke, &wishes, &names(), "/* jit */ ").unwrap();
        let texts: Vec<&str> = statements.iter().map(|s| s.sql.as_str()).collect();
        assert_eq!(
            texts,
            [
                r#"/* jit */ REVOKE SELECT ("c1") ON "s"."t0" FROM "r3""#,
                r#"/* jit */ REVOKE SELECT ("c1", "c2") ON "s"."t0" FROM "r1", "r2""#,
            ]
        );
        assert_eq!(statements[1].serves, BTreeSet::from([0, 1]));
    }

    #[test]
    fn a_schema_is_opened_before_its_tables_and_closed_after_them() {
        let usage = Entry {
            spot: Spot::Schema { namespace: 7 },
            role: 1,
            grantor: 9,
        };
        let wishes = [(0, column(0, 1, 1)), (0, usage)];
        let first = |verb| merged(verb, &wishes, &names(), "").unwrap()[0].sql.clone();
        assert!(first(Verb::Grant).starts_with("GRANT USAGE"));
        assert!(first(Verb::Revoke).starts_with("REVOKE SELECT"));
    }
}
