//! A whole company's policies over tables that are there: what a sweep with nothing due costs, and what an engineer
//! waits for. Against reading the policies with the YAML crate alone, which every command must.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::catalog;
use crate::choice;
use crate::measure::{cost, cost_with};
use crate::policies::read_alone;
use crate::support::people::{alice, cron};
use crate::support::server::Server;
use crate::support::shop::Shop;
use crate::table::{Goal, Row};

/// Columns of each table, and of each policy.
const COLUMNS: usize = 50;
const RULED: usize = 10;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in choice::kinds() {
        let server = catalog::server(kind);
        for tables in choice::sizes([20, 200, 2_000]) {
            rows.extend(sized(&server, tables));
        }
    }
    rows
}

fn sized(server: &Server, tables: usize) -> Vec<Row> {
    let shop = company(server, tables);
    let alices = alice();
    let ours = |words: &[&str]| shop.jit.command(&alices, words);
    let short = format!("table_of_the_company_{tables}:column_number_7");
    let asked = [
        "request",
        "shop",
        &short,
        "--for",
        "1h",
        "--reason",
        "why",
        "--purpose",
        "incident",
        "--ticket",
        "INC-1",
        "--dry-run",
    ];
    let begun = format!("table_of_the_company_{tables}:col");
    let completed = ["complete", "fish", "--", "jit", "request", "shop", &begun];
    let commands: [(&str, &dyn Fn() -> Command); 5] = [
        ("sweep, nothing due", &|| {
            shop.jit.command(&cron(), &["sweep"])
        }),
        ("jit list", &|| ours(&["list"])),
        ("jit columns", &|| ours(&["columns"])),
        ("jit request TABLE:COLUMN --dry-run", &|| ours(&asked)),
        ("completion of a column", &|| ours(&completed)),
    ];
    let mut sides: [(Vec<_>, Vec<_>); 5] = Default::default();
    for _ in 0..choice::rounds() {
        for ((_, command), (ours, theirs)) in commands.iter().zip(&mut sides) {
            ours.push(cost_with(server, &mut command()));
            theirs.push(cost(&mut read_alone(
                &shop.jit.path("etc/policies/shop.yaml"),
            )));
        }
    }
    let engine = server.kind().word();
    let columns = tables * COLUMNS;
    let sided = commands.iter().zip(sides);
    sided
        .map(|((what, _), (ours, theirs))| Row {
            what: format!("{what}, {columns} columns, {engine}"),
            against: "the YAML crate alone".into(),
            ours,
            theirs,
            goal: Goal::None,
        })
        .collect()
}

/// Tables, and policies for all of their columns, that a sweep has seen.
fn company(server: &Server, tables: usize) -> Shop<'_> {
    let shop = Shop::bare(server, "version: 1\npolicies: []\n");
    let columns: Vec<String> = (1..=COLUMNS)
        .map(|n| format!("column_number_{n} int"))
        .chain(["id int".to_owned()])
        .collect();
    let name = |n: usize| shop.table(&format!("table_of_the_company_{n}"));
    for some in (1..=tables).collect::<Vec<_>>().chunks(50) {
        let create = |n: &usize| format!("CREATE TABLE {} ({});", name(*n), columns.join(", "));
        shop.dba(&some.iter().map(create).collect::<String>());
    }
    let mut text = String::from("version: 1\npolicies:\n");
    for table in 1..=tables {
        for part in 0..COLUMNS / RULED {
            let ruled: Vec<String> = (1..=RULED)
                .map(|n| format!("column_number_{}", part * RULED + n))
                .collect();
            let _ = write!(
                text,
                "  - name: policy-{table}-{part}\n    description: Part {part} of table {table}\n    target: shop\n    \
                 table: {}\n    columns: [{}]\n    with: [id]\n    class: pii\n    allow:\n      \
                 - who: [jitalice]\n        purposes: [incident]\n        ticket: 'INC-\\d+'\n        max: 4h\n        \
                 approval: {{all: [{{by: [group:dba]}}], within: 2h}}\n",
                name(table),
                ruled.join(", ")
            );
        }
    }
    fs::write(shop.jit.path("etc/policies/shop.yaml"), text).expect("our own folder");
    shop.jit.init();
    shop.set_up();
    shop.jit(&alice(), &["list"]).ok();
    shop.sweep().ok();
    shop
}
