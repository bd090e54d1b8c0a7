//! A sweep with nothing due, on databases with many tables that no policy is about.

use crate::choice;
use crate::measure::cost_with;
use crate::support::people::cron;
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::{mariadb, mysql, postgres};
use crate::table::{Goal, Row};

/// Columns of each table.
const COLUMNS: usize = 50;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in choice::kinds() {
        let server = server(kind);
        for tables in choice::sizes([20, 200, 2_000]) {
            rows.push(sized(&server, tables));
        }
    }
    rows
}

/// One that has nothing to say of each statement.
pub fn server(kind: Kind) -> Server {
    match kind {
        Kind::Postgres => postgres::fresh(&["log_statement=none"]),
        Kind::Mysql => mysql::fresh(&[]),
        Kind::Mariadb => mariadb::fresh(&[]),
    }
}

fn sized(server: &Server, tables: usize) -> Row {
    let (few, many) = (Shop::on(server), Shop::on(server));
    let columns: Vec<String> = (1..=COLUMNS).map(|n| format!("c{n} int")).collect();
    for some in (1..=tables).collect::<Vec<_>>().chunks(50) {
        let create = |n: &usize| {
            let table = many.table(&format!("other{n}"));
            format!("CREATE TABLE {table} ({});", columns.join(", "))
        };
        many.dba(&some.iter().map(create).collect::<String>());
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..choice::rounds() {
        for (shop, side) in [(&many, &mut ours), (&few, &mut theirs)] {
            let mut sweep = shop.jit.command(&cron(), &["sweep"]);
            side.push(cost_with(server, &mut sweep));
        }
    }
    let engine = server.kind().word();
    Row {
        what: format!("sweep, nothing due, {tables} tables of {COLUMNS} columns, {engine}"),
        against: "without them".into(),
        ours,
        theirs,
        goal: Goal::None,
    }
}
