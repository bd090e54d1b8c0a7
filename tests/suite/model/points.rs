//! Every kill point: one sweep that drains, approves, grants, ends, covers and revokes is killed behind its first
//! effect, its second, and so on until it lives to its end; each time another sweep must make everything true.
//!
//! The points are made from the code: a place stands behind every effect of the lower rooms, and a law here finds
//! each effect in the source.

use std::collections::BTreeSet;
use std::path::Path;

use jit::failpoint::PLACES;

use crate::support::on_every_server;
use crate::support::server::Server;

use super::play::Play;
use super::step::Step;

on_every_server!(a_sweep_may_be_killed_behind_any_effect);

fn a_sweep_may_be_killed_behind_any_effect(server: &Server) {
    let ask = |who, columns, minutes, auto| Step::Ask {
        who,
        columns,
        minutes,
        auto,
    };
    let mut points = 0;
    'shops: loop {
        let mut play = Play::new(server);
        // The trail of one shop need not become long: a new one now and then.
        for _ in 0..12 {
            points += 1;
            let steps = [
                // alice: email, for an hour; the same again, for longer. bob: both, and phone that must be approved.
                ask(0, 1, 62, true),
                ask(0, 1, 110, true),
                ask(1, 3, 110, true),
                ask(0, 2, 110, false),
                ask(1, 1, 110, false),
                Step::Sweep,
                // The hour is over for alice's first, which the second covers. bob's is given back, his other one
                // denied, alice's phone approved, and bob asks again.
                Step::Wait { minutes: 64 },
                Step::Ask {
                    who: 1,
                    columns: 1,
                    minutes: 62,
                    auto: true,
                },
                Step::Return { request: 3 },
                Step::Deny { request: 1 },
                Step::Revoke { request: 4 },
                ask(0, 2, 62, true),
                Step::KilledAt {
                    place: "any".to_owned(),
                    nth: points,
                    then: None,
                },
            ];
            play.all(&steps)
                .unwrap_or_else(|why| panic!("killed behind effect {points}: {why}"));
            if !play.killed {
                play.end().unwrap_or_else(|why| panic!("{why}"));
                break 'shops;
            }
            // All of it is over.
            play.all(&[Step::Wait { minutes: 180 }, Step::Sweep])
                .unwrap_or_else(|why| panic!("after the kill behind effect {points}: {why}"));
        }
        play.end().unwrap_or_else(|why| panic!("{why}"));
    }
    eprintln!("{server:?}: killed behind each of {} effects", points - 1);
    assert!(points > 20, "there are more effects than {}", points - 1);
}

/// What changes something outside of the process, as the source writes it.
const EFFECTS: &[&str] = &[
    "transaction.commit()",
    ".write_all(",
    ".sync_all()",
    ".sync_data()",
    "ftruncate(",
    "unlinkat(",
    "renameat(",
    "renameat_with(",
    "fs::rename(",
    "fs::remove_file(",
    "Send::Run(\"COMMIT\"",
    "self.send(sql, Params::Empty)",
];

/// Files whose effects are no part of a sweep, or leave nothing behind, and why.
const APART: &[(&str, &str)] = &[
    ("stores/sqlite/create.rs", "`ledger init`, once"),
    ("stores/sqlite/migrate.rs", "the schema, in one transaction"),
    (
        "stores/sqlite/reserve.rs",
        "an empty file set aside for a full disk",
    ),
    (
        "stores/mailbox/client.rs",
        "the requester's side: whole by rename",
    ),
    (
        "audit/journal/rotated.rs",
        "cuts the torn end of a file that is done",
    ),
    (
        "engines/postgres/link.rs",
        "the end of a read-only transaction",
    ),
    ("commands/init.rs", "`init`, once"),
    ("commands/sweep.rs", "metrics: whole by rename"),
];

/// A place is no farther from its effect than this, in lines.
const NEAR: usize = 12;

#[test]
fn every_effect_has_its_place() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut missing = Vec::new();
    let mut named = BTreeSet::new();
    let mut apart: BTreeSet<&str> = APART.iter().map(|(file, _)| *file).collect();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("src").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|ending| ending != "rs") {
                continue;
            }
            let name = path
                .strip_prefix(&source)
                .expect("in src")
                .display()
                .to_string();
            let text = std::fs::read_to_string(&path).expect("text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for part in code.split("failpoint::reach(\"").skip(1) {
                named.extend(part.split('"').next().map(str::to_owned));
            }
            let lines: Vec<&str> = code.lines().collect();
            for (at, line) in lines.iter().enumerate() {
                let is_effect = EFFECTS.iter().any(|effect| line.contains(effect))
                    && !line.trim_start().starts_with("//");
                if !is_effect {
                    continue;
                }
                if APART.iter().any(|(file, _)| *file == name) {
                    apart.remove(name.as_str());
                    continue;
                }
                let near = &lines[at.saturating_sub(NEAR)..lines.len().min(at + NEAR + 1)];
                if !near.iter().any(|line| line.contains("failpoint::reach(")) {
                    missing.push(format!("{name}:{}: {}", at + 1, line.trim()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no place near: {missing:#?}");
    assert!(
        apart.is_empty(),
        "nothing happens there any more: {apart:?}"
    );
    let known: BTreeSet<String> = PLACES.iter().map(|place| (*place).to_owned()).collect();
    assert_eq!(named, known, "places in the source, and in the list");
}
