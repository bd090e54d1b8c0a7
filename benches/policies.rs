//! A whole company's policies: checking them, and judging by them, against reading the file at all.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::choice;
use crate::measure::{Cost, cost, exits};
use crate::support::jit::Install;
use crate::support::people::{alice, root};
use crate::table::{Goal, Row};

const SETTINGS: &str = "
targets:
  shop: {url: 'postgres://jit_admin@127.0.0.1:9/shop'}
groups:
  support: [jitalice, jitbob]
  engineering: [jitcarol, jitmallory]
  dba: [jitcarol, jitdave]
  privacy: [jitbob, jitdave]
";

/// What the tables' names are like.
#[derive(Clone, Copy)]
enum Tables {
    /// One each.
    Named,
    /// A pattern each.
    Patterns,
    /// All policies are about the same tables: every pair of them is in conflict.
    AllTheSame,
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for policies in choice::sizes([100, 1_000, 10_000]) {
        let largest = policies == 10_000;
        let goal = if largest {
            Goal::AtMost(1.5)
        } else {
            Goal::None
        };
        let install = company(policies, Tables::Named);
        let dry_run = [
            "request",
            "shop",
            "app.table_99:c1,c2,x_y",
            "--for",
            "1h",
            "--reason",
            "a customer calls",
            "--purpose",
            "support-ticket",
            "--ticket",
            "SUP-1",
            "--dry-run",
        ];
        let columns = policies * 10;
        let mut sides = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        for _ in 0..choice::rounds() {
            let check = cost(&mut install.command(&root(), &["policy", "check"]));
            sides[0].0.push(check);
            sides[0].1.push(alone(&install));
            sides[1]
                .0
                .push(cost(&mut install.command(&alice(), &dry_run)));
            sides[1].1.push(alone(&install));
        }
        for (what, (ours, theirs)) in ["policy check", "request --dry-run"].into_iter().zip(sides) {
            rows.push(Row {
                what: format!("jit {what}, {policies} policies, {columns} columns"),
                against: "the YAML crate alone".into(),
                ours,
                theirs,
                goal,
            });
        }
        for (tables, words, code) in [
            (Tables::Patterns, "patterns", 0),
            (Tables::AllTheSame, "all in conflict", 8),
        ] {
            let install = company(policies, tables);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..choice::rounds().min(3) {
                ours.push(exits(
                    &mut install.command(&root(), &["policy", "check"]),
                    code,
                ));
                theirs.push(alone(&install));
            }
            rows.push(Row {
                what: format!("jit policy check, {policies} policies, {words}"),
                against: "the YAML crate alone".into(),
                ours,
                theirs,
                goal: Goal::None,
            });
        }
    }
    rows
}

fn alone(install: &Install) -> Cost {
    cost(&mut read_alone(&install.path("etc/policies/company.yaml")))
}

/// A file read by the YAML crate and nothing else.
pub fn read_alone(file: &Path) -> Command {
    let reader = std::env::var_os("BENCH_READ_YAML").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/release/examples/read_yaml"),
        PathBuf::from,
    );
    let mut command = Command::new(reader);
    command.arg(file);
    command
}

/// So many policies, each over ten columns or patterns.
fn company(policies: usize, tables: Tables) -> Install {
    let mut text = String::from("version: 1\npolicies:\n");
    for n in 0..policies {
        let table = match tables {
            Tables::Named => format!("app.table_{n}"),
            Tables::Patterns => format!("app{n}_*.t*"),
            Tables::AllTheSame => "'*.*'".to_owned(),
        };
        let _ = write!(
            text,
            "  - name: policy-{n}\n    description: Columns of table {n}\n    target: shop\n    table: {table}\n    \
             columns: [c0, c1, c2, c3, c4, c5, c6, c7, c8, \"x_*\"]\n    with: [id]\n    class: pii\n    allow:\n      \
             - who: [group:support]\n        purposes: [support-ticket]\n        ticket: 'SUP-\\d+'\n        max: 1h\n        \
             approval: auto\n      - who: [group:engineering]\n        purposes: [incident]\n        max: 8h\n        \
             approval: {{all: [{{by: [group:dba]}}, {{by: [group:privacy]}}], within: 2h}}\n"
        );
    }
    let install = Install::new()
        .settings(SETTINGS)
        .policy("company.yaml", &text);
    install.init();
    install
}
