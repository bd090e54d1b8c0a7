//! A sweep while the server is down: with leases that are due there, and with requests that nobody granted in time.

use std::process::Command;

use jit::access::Ttl;

use crate::choice;
use crate::measure::{Cost, exits};
use crate::support::postgres;
use crate::support::process::must;
use crate::sweep::{COLUMNS, Each, Field};
use crate::table::{Goal, Row};

pub fn rows() -> Vec<Row> {
    let server = postgres::fresh(&["fsync=on", "log_statement=none"]);
    let mut rows = Vec::new();
    for tables in choice::sizes([1, 10, 100]) {
        for each in [Each::One, Each::Many] {
            let field = Field::new(&server, tables);
            field.ask(each);
            field.approve();
            let approved = field.keep("approved");
            field.sweep().status().expect("a sweep");
            assert_eq!(field.held(), tables * COLUMNS * 5);
            let given = field.keep("given");
            server.stop();
            let mut costs: [Vec<Cost>; 5] = Default::default();
            for _ in 0..choice::rounds() {
                field.restore(&given);
                costs[0].push(exits(&mut field.sweep(), 5));
                field.make_due();
                costs[1].push(exits(&mut field.sweep(), 6));
                costs[2].push(exits(&mut field.sweep(), 6));
                field.restore(&given);
                costs[4].push(exits(&mut field.kill_switch(), 6));
                field.restore(&approved);
                too_late(&field);
                costs[3].push(exits(&mut field.sweep(), 5));
            }
            server.start();
            let [idle, first, again, lapsed, all] = costs;
            let leases = tables * COLUMNS * 5;
            let words = each.words();
            for (what, ours) in [
                (
                    format!("server down, {leases} due, {words}: first sweep"),
                    first,
                ),
                (
                    format!("server down, {leases} due, {words}: the next"),
                    again,
                ),
                (format!("server down, {leases} lapse, {words}"), lapsed),
                (
                    format!("server down, {leases} given, {words}: revoke --everything"),
                    all,
                ),
            ] {
                rows.push(Row {
                    what,
                    against: "none of them due".into(),
                    ours,
                    theirs: idle.clone(),
                    goal: Goal::None,
                });
            }
        }
    }
    rows
}

/// The time in which the requests could have been granted is over, as if it had gone by. The ledger lets nobody say
/// so, and its rule is put aside for it.
fn too_late(field: &Field<'_>) {
    let ledger = rusqlite::Connection::open(field.ledger()).expect("the ledger");
    let law = "SELECT sql FROM sqlite_schema WHERE name = 'requests_stay_themselves'";
    let law: String = ledger.query_row(law, [], |row| row.get(0)).expect("a law");
    let just_now = jit::workflow::clock::now().at.minus(Ttl::from_secs(1));
    ledger
        .execute_batch(&format!(
            "DROP TRIGGER requests_stay_themselves;
             UPDATE requests SET lapses_at = {} WHERE waits IS NOT NULL;
             {law};
             PRAGMA wal_checkpoint(TRUNCATE)",
            just_now.millis()
        ))
        .expect("nobody else is there");
    must(&mut Command::new("sync"));
}
