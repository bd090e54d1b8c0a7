//! Many open requests, none of them due: what a sweep and people's looking cost, against the same place without them.

use std::process::Command;

use crate::choice;
use crate::measure::{Cost, cost};
use crate::support::people::{alice, carol, root};
use crate::support::postgres;
use crate::sweep::{COLUMNS, Each, Field};
use crate::table::{Goal, Row};

pub fn rows() -> Vec<Row> {
    let server = postgres::fresh(&["fsync=on", "log_statement=none"]);
    let mut rows = Vec::new();
    for tables in choice::sizes([1, 10, 100]) {
        let leases = tables * COLUMNS * 5;
        let (full, empty) = (Field::new(&server, tables), Field::new(&server, tables));
        full.ask(Each::One);
        full.approve();
        full.sweep().status().expect("a sweep");
        assert_eq!(full.held(), leases);
        let mut sides: [(Vec<Cost>, Vec<Cost>); 4] = Default::default();
        for _ in 0..choice::rounds() {
            for (place, is_full) in [(&full, true), (&empty, false)] {
                for (side, command) in sides.iter_mut().zip(commands(place)) {
                    let mut command = command;
                    let side = if is_full { &mut side.0 } else { &mut side.1 };
                    side.push(cost(&mut command));
                }
            }
        }
        let words = [
            "sweep, nothing due",
            "jit list, of a fifth of them",
            "jit list, an admin's",
            "jit list, an operator's",
        ];
        for (words, (ours, theirs)) in words.into_iter().zip(sides) {
            rows.push(Row {
                what: format!("{words}, {leases} open requests"),
                against: "without them".into(),
                ours,
                theirs,
                goal: Goal::None,
            });
        }
    }
    rows
}

fn commands(place: &Field<'_>) -> [Command; 4] {
    [
        place.sweep(),
        place.command(&alice(), &["list"]),
        place.command(&carol(), &["list"]),
        place.command(&root(), &["list"]),
    ]
}
