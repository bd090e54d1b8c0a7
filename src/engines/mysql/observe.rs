//! Reads the catalog and the grant tables. Never writes.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt, HashSet};
use mysql_async::prelude::{FromRow, FromValue};
use mysql_async::{FromRowError, Params, Row, Value};

use super::account::Account;
use super::connection::Link;
use super::rights::{
    ByAccount, ColumnRow, DatabaseRow, Edge, Rights, TableRow, UserRow, mandatory_roles,
};
use crate::access::TableName;
use crate::access::names::same_but_for_case;
use crate::engines::EngineError;

/// Pairs of database and table in one query. Each costs two parameters (the protocol has room for 65,535).
const PAIRS: usize = 2_000;
/// Tables whose columns one query of single lookups tells.
const SHAPES: usize = 100;
/// On MySQL, from so many tables of a database on its list of tables is read instead, once for all.
const LISTED: usize = 8;

/// A table as the catalog shows it to our account.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// `BASE TABLE`, `VIEW`, `SEQUENCE` …
    pub(super) kind: String,
    /// In the table's order.
    pub(super) columns: Vec<ColumnShape>,
}

#[derive(Clone, Debug)]
pub(super) struct ColumnShape {
    pub(super) name: String,
    /// Where it is made from other columns: the expression.
    pub(super) generated: Option<String>,
}

impl Shape {
    pub(super) fn is_table(&self) -> bool {
        is_table(&self.kind)
    }

    /// The column of this name, compared as the server does: without case.
    pub(super) fn column(&self, name: &str) -> Option<&ColumnShape> {
        self.columns
            .iter()
            .find(|column| same_but_for_case(&column.name, name))
    }
}

fn is_table(kind: &str) -> bool {
    matches!(kind, "BASE TABLE" | "SYSTEM VERSIONED")
}

/// Schemas of the server itself.
pub(super) fn is_system(schema: &str) -> bool {
    ["mysql", "information_schema", "performance_schema", "sys"]
        .iter()
        .any(|system| schema.eq_ignore_ascii_case(system))
}

/// The server's time, UTC, as its grant tables write it, with a fraction behind a point.
pub(super) async fn clock(link: &mut Link) -> Result<String, EngineError> {
    let told = read::<String>(link, include_str!("sql/clock.sql"), Params::Empty).await?;
    told.into_iter()
        .next()
        .ok_or_else(|| EngineError::Unreachable {
            address: link.shown(),
            why: "it does not tell the time".to_owned(),
        })
}

/// Everything about who can read these tables.
pub(super) async fn rights(
    link: &mut Link,
    tables: &BTreeSet<TableName>,
) -> Result<Rights, EngineError> {
    let mariadb = link.server().is_mariadb();
    let mut rights = Rights {
        users: users(link).await?,
        tables: table_rows(link, tables).await?,
        columns: column_rows(link, tables).await?,
        mandatory: mandatory_roles(&link.server().mandatory_roles),
        literal_databases: link.server().partial_revokes,
        mariadb,
        ..Rights::default()
    };
    for (user, host, database, select, grant) in read::<(String, String, String, bool, bool)>(
        link,
        include_str!("sql/databases.sql"),
        Params::Empty,
    )
    .await?
    {
        rights
            .databases
            .entry(user.clone())
            .or_default()
            .push(DatabaseRow {
                account: Account::new(user, host),
                database,
                select,
                grant,
            });
    }
    let roles = if mariadb {
        include_str!("sql/roles_mariadb.sql")
    } else {
        include_str!("sql/roles_mysql.sql")
    };
    rights.roles = edges(link, roles).await?;
    rights.proxies = edges(link, include_str!("sql/proxies.sql")).await?;
    if !mariadb {
        rights.system_users = read::<(String, String)>(
            link,
            include_str!("sql/system_users_mysql.sql"),
            Params::Empty,
        )
        .await?
        .into_iter()
        .map(|(user, host)| Account::new(user, host))
        .collect();
    }
    Ok(rights)
}

async fn edges(link: &mut Link, sql: &str) -> Result<Vec<Edge>, EngineError> {
    let rows = read::<(String, String, String, String)>(link, sql, Params::Empty).await?;
    Ok(rows
        .into_iter()
        .map(|(role, role_host, user, host)| Edge {
            role: Account::new(role, role_host),
            to: Account::new(user, host),
        })
        .collect())
}

/// All accounts and roles.
pub(super) async fn users(link: &mut Link) -> Result<HashMap<Account, UserRow>, EngineError> {
    let mariadb = link.server().is_mariadb();
    let sql = if mariadb {
        include_str!("sql/users_mariadb.sql")
    } else {
        include_str!("sql/users_mysql.sql")
    };
    let rows = read::<(String, String, bool, bool, bool, bool)>(link, sql, Params::Empty).await?;
    Ok(rows
        .into_iter()
        .map(|(user, host, select, grant, superuser, last)| {
            let account = Account::new(user, host);
            (
                account.clone(),
                UserRow {
                    account,
                    select,
                    grant,
                    superuser,
                    locked: !mariadb && last,
                    is_role: mariadb && last,
                },
            )
        })
        .collect())
}

/// Rows of `columns_priv` with SELECT for these tables, every account's, in whatever case they are spelled.
pub(super) async fn column_rows(
    link: &mut Link,
    tables: &BTreeSet<TableName>,
) -> Result<ByAccount<Vec<ColumnRow>>, EngineError> {
    let mut found: ByAccount<Vec<ColumnRow>> = HashMap::new();
    for (user, host, database, table, column, at) in
        of_tables::<(String, String, String, String, String, Option<String>)>(
            link,
            include_str!("sql/column_rows.sql"),
            tables,
        )
        .await?
    {
        found
            .entry(TableName::new(database, table))
            .or_default()
            .entry(Account::new(user, host))
            .or_default()
            .push(ColumnRow {
                column: column.into(),
                at: at.unwrap_or_default().into(),
            });
    }
    Ok(found)
}

/// Rows of `tables_priv` for these tables.
pub(super) async fn table_rows(
    link: &mut Link,
    tables: &BTreeSet<TableName>,
) -> Result<ByAccount<TableRow>, EngineError> {
    type Found = (
        String,
        String,
        String,
        String,
        String,
        Option<String>,
        bool,
        bool,
        bool,
    );
    let mut found: ByAccount<TableRow> = HashMap::new();
    for (user, host, database, table, grantor, at, select, grant, columns) in
        of_tables::<Found>(link, include_str!("sql/table_rows.sql"), tables).await?
    {
        found
            .entry(TableName::new(database, table))
            .or_default()
            .insert(
                Account::new(user, host),
                TableRow {
                    grantor: grantor.into(),
                    at: at.unwrap_or_default().into(),
                    select,
                    grant,
                    columns,
                },
            );
    }
    Ok(found)
}

/// The tables that exist (and that our account may see), with their columns. System tables are there too.
pub(super) async fn shapes(
    link: &mut Link,
    tables: &BTreeSet<TableName>,
) -> Result<HashMap<TableName, Shape>, EngineError> {
    type Found = (
        String,
        String,
        String,
        String,
        Option<String>,
        Option<String>,
        u64,
    );
    let exact = link.server().exact_tables;
    let spelled = |schema: &str, table: &str| match exact {
        true => (schema.to_owned(), table.to_owned()),
        false => (schema.to_lowercase(), table.to_lowercase()),
    };
    let asked: HashSet<_> = tables
        .iter()
        .map(|asked| spelled(&asked.schema, &asked.table))
        .collect();
    let mut shapes: HashMap<TableName, Shape> = HashMap::new();
    for (sql, names) in lookups(tables, link.server().is_mariadb()) {
        let params: Vec<Value> = names.into_iter().map(Value::from).collect();
        let mut rows = read::<Found>(link, &sql, params.into()).await?;
        rows.sort_by_key(|row| row.6);
        for (schema, table, kind, column, extra, expression, _) in rows {
            // Some comparisons of the catalog ignore case where the server's names do not: not what was asked.
            if !asked.contains(&spelled(&schema, &table)) {
                continue;
            }
            let generated = extra
                .as_deref()
                .is_some_and(|extra| extra.to_uppercase().contains("GENERATED"))
                && expression.as_deref().is_some_and(|text| !text.is_empty());
            shapes
                .entry(TableName::new(schema, table))
                .or_insert_with(|| Shape {
                    kind,
                    columns: Vec::new(),
                })
                .columns
                .push(ColumnShape {
                    name: column,
                    generated: expression.filter(|_| generated),
                });
        }
    }
    Ok(shapes)
}

/// Statements that together tell the columns of these tables, each with its parameters. Measured with 100 tables:
///
/// - MariaDB 10.11 opens only tables that are named by constants, every other way makes it open all tables of the
///   server; and where two of its views are joined, it opens the table once more for each of its columns, 50 to 100 ms
///   a table of 20 columns where our account holds many grants. So each table is a SELECT of its own.
/// - MySQL 9.7 needs 1 ms for each such SELECT, and 10 ms for all of them by one list of names, for which it goes
///   through the names of the database: 1 ms for each thousand.
fn lookups(tables: &BTreeSet<TableName>, mariadb: bool) -> Vec<(String, Vec<&str>)> {
    let one = include_str!("sql/columns_of_one.sql");
    let many = include_str!("sql/columns_of_many.sql");
    let mut by_database: BTreeMap<&str, Vec<&TableName>> = BTreeMap::new();
    for table in tables {
        by_database.entry(&table.schema).or_default().push(table);
    }
    let mut lookups = Vec::new();
    let mut single = Vec::new();
    for (database, tables) in by_database {
        if mariadb || tables.len() < LISTED {
            single.extend(tables);
            continue;
        }
        for chunk in tables.chunks(PAIRS) {
            let names = std::iter::once(database);
            let names = names.chain(chunk.iter().map(|table| table.table.as_str()));
            let marks = vec!["?"; chunk.len()].join(", ");
            lookups.push((format!("{many}{marks})"), names.collect()));
        }
    }
    for chunk in single.chunks(SHAPES) {
        let names = chunk
            .iter()
            .flat_map(|table| [&table.schema, &table.table, &table.schema, &table.table]);
        let sql = vec![one; chunk.len()].join(" UNION ALL ");
        lookups.push((sql, names.map(|name| name.as_str()).collect()));
    }
    lookups
}

/// The names that stand in the catalog for what was asked: themselves, or the other case where that is the same.
pub(super) fn spelled<'s>(
    shapes: &'s HashMap<TableName, Shape>,
    asked: &TableName,
    exact: bool,
) -> Option<(&'s TableName, &'s Shape)> {
    shapes.get_key_value(asked).or_else(|| {
        shapes.iter().find(|(name, _)| {
            !exact
                && same_but_for_case(&name.schema, &asked.schema)
                && same_but_for_case(&name.table, &asked.table)
        })
    })
}

/// All names of tables and views that our account may see.
pub(super) async fn names(link: &mut Link) -> Result<Vec<TableName>, EngineError> {
    let rows = read::<(String, String)>(link, include_str!("sql/names.sql"), Params::Empty).await?;
    Ok(rows
        .into_iter()
        .map(|(schema, table)| TableName::new(schema, table))
        .collect())
}

/// A query that ends in `(Db, Table_name) IN (`, for these tables.
async fn of_tables<T: FromRow>(
    link: &mut Link,
    sql: &str,
    tables: &BTreeSet<TableName>,
) -> Result<Vec<T>, EngineError> {
    let tables: Vec<_> = tables.iter().collect();
    let mut found = Vec::new();
    for chunk in tables.chunks(PAIRS) {
        let sql = format!("{sql}{})", vec!["(?, ?)"; chunk.len()].join(", "));
        let params: Vec<Value> = chunk
            .iter()
            .flat_map(|table| [&table.schema, &table.table])
            .map(|name| Value::from(name.as_str()))
            .collect();
        found.extend(read(link, &sql, params.into()).await?);
    }
    Ok(found)
}

/// Rows as Rust values.
///
/// # Errors
/// `NotSetUp` where our account may not look there.
pub(super) async fn read<T: FromRow>(
    link: &mut Link,
    sql: &str,
    params: Params,
) -> Result<Vec<T>, EngineError> {
    let rows = link.rows(sql, params).await.map_err(|error| match error {
        EngineError::Refused {
            address,
            code,
            message,
            ..
        } if matches!(code.as_str(), "1142" | "1143" | "1044" | "1227" | "1370") => {
            EngineError::NotSetUp {
                address,
                why: format!("{message} ({code})"),
            }
        }
        other => other,
    })?;
    let address = link.shown();
    rows.into_iter()
        .map(|row| {
            T::from_row_opt(row).map_err(|FromRowError(_)| EngineError::Refused {
                address: address.clone(),
                statement: sql.to_owned(),
                code: "type".to_owned(),
                message: "an answer of an unexpected type".to_owned(),
            })
        })
        .collect()
}

/// One value of a row, by place.
pub(super) fn value<T: FromValue>(row: &Row, place: usize) -> Option<T> {
    row.get_opt(place)?.ok()
}
