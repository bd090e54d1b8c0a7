//! Ten years of history: a ledger of up to 1,000,000 ended requests and 5,000,000 events, against an empty one.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::choice;
use crate::measure::{Cost, cost};
use crate::support::Server;
use crate::support::people::{alice, carol, cron};
use crate::support::postgres;
use crate::support::process::must;
use crate::support::shop::Shop;
use crate::table::{Goal, Row};

pub fn rows() -> Vec<Row> {
    let server = postgres::fresh(&["fsync=on", "log_statement=none"]);
    let empty = Place::new(&server);
    let full = Place::new(&server);
    let mut rows = Vec::new();
    let mut made = 0;
    for history in choice::sizes([10_000, 100_000, 1_000_000]) {
        full.add(made, history);
        made = history;
        full.shop.sweep().ok();
        let mut sides: [(Vec<Cost>, Vec<Cost>); 4] = Default::default();
        for round in 0..choice::rounds() * 4 {
            for place in [&full, &empty] {
                for (number, mut command) in place.commands(round).into_iter().enumerate() {
                    let cost = cost(&mut command);
                    let side = &mut sides[number];
                    let side = if std::ptr::eq(place, &full) {
                        &mut side.0
                    } else {
                        &mut side.1
                    };
                    side.push(cost);
                }
            }
        }
        let words = ["sweep, nothing due", "list --pending", "show ID", "request"];
        for (words, (ours, theirs)) in words.into_iter().zip(sides) {
            rows.push(Row {
                what: format!("jit {words}, {history} ended requests"),
                against: "an empty ledger".into(),
                ours,
                theirs,
                goal: if history == 1_000_000 {
                    Goal::AtMost(1.2)
                } else {
                    Goal::None
                },
            });
        }
    }
    rows
}

/// A shop with one pending request.
struct Place<'s> {
    shop: Shop<'s>,
    pending: String,
}

impl<'s> Place<'s> {
    fn new(server: &'s Server) -> Self {
        let shop = Shop::on(server);
        let pending = shop.ask(&alice(), "email", "4h", &[]);
        shop.sweep().ok();
        Self { shop, pending }
    }

    fn commands(&self, round: usize) -> [Command; 4] {
        let jit = &self.shop.jit;
        let columns = format!("{}:phone", self.shop.table("customers"));
        let reason = format!("round {round}");
        [
            jit.command(&cron(), &["sweep"]),
            jit.command(&cron(), &["list", "--pending"]),
            jit.command(&cron(), &["show", &self.pending]),
            jit.command(
                &carol(),
                &[
                    "request", "shop", &columns, "--for", "4h", "--reason", &reason,
                ],
            ),
        ]
    }

    /// Makes what has ended in ten years, evenly, by 500 people; from so many on, up to so many. Written past the
    /// schema's laws, which cost hours; then the laws are back.
    fn add(&self, from: usize, to: usize) {
        let ledger = self.shop.jit.ledger();
        let laws: Vec<String> = {
            let open = rusqlite::Connection::open(&ledger).expect("the ledger");
            let mut laws = open
                .prepare("SELECT sql || ';' FROM sqlite_schema WHERE name IN ('requests_begin', 'leases_begin', 'events_follow')")
                .expect("a schema");
            let rows = laws.query_map([], |row| row.get(0)).expect("a schema");
            rows.collect::<Result<_, _>>().expect("texts")
        };
        assert_eq!(laws.len(), 3);
        let script = SCRIPT
            .replace(":from", &from.to_string())
            .replace(":to", &to.to_string());
        sqlite(&ledger, &format!("{script}\n{}\n", laws.join("\n")));
        // The audit file was rotated away.
        fs::write(self.shop.jit.audit(), "").expect("root may");
        must(&mut Command::new("sync"));
        let size = fs::metadata(&ledger).expect("the ledger").len();
        eprintln!("{to} ended requests, {} MB", size / 1_000_000);
    }
}

fn sqlite(ledger: &Path, script: &str) {
    let mut child = Command::new("sqlite3")
        .arg("-bail")
        .arg(ledger)
        .stdin(Stdio::piped())
        .spawn()
        .expect("sqlite3, from the setup");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(script.as_bytes())
        .expect("it reads");
    assert!(child.wait().expect("our own child").success());
}

const SCRIPT: &str = include_str!("history.sql");
