//! Every kill point: one sweep that drains, approves, grants, ends, covers and revokes is killed behind its first
//! effect, its second, and so on until it lives to its end; each time another sweep must make everything true.
//!
//! The points are made from the code: a place stands behind every effect of the lower rooms, and a law here finds
//! each effect in the source.

use std::collections::BTreeSet;
use std::path::Path;

use jit::failpoint::PLACES;

use crate::support::on_every_server;
use crate::support::server::{Kind, Server};
use crate::support::torture;

use super::play::Play;
use super::step::Step;

on_every_server!(a_sweep_may_be_killed_behind_any_effect);

/// What one sweep finds to do: to drain, approve, deny, refuse, grant, cover, revoke, take back and lapse.
fn work() -> Vec<Step> {
    let ask = |who, columns, minutes, auto| Step::Ask {
        who,
        columns,
        minutes,
        auto,
    };
    vec![
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
        ask(1, 1, 62, true),
        Step::Return { request: 3 },
        Step::Deny { request: 1 },
        Step::Revoke { request: 4 },
        ask(0, 2, 62, true),
    ]
}

/// All of it is over.
fn rest() -> [Step; 2] {
    [Step::Wait { minutes: 180 }, Step::Sweep]
}

fn a_sweep_may_be_killed_behind_any_effect(server: &Server) {
    // One that lives tells which places it comes to.
    let mut play = Play::new(server);
    play.quietly(&work()).unwrap_or_else(|why| panic!("{why}"));
    let places = play.noted_sweep();
    play.end().unwrap_or_else(|why| panic!("{why}"));
    let engine = match server.kind() {
        Kind::Postgres => "mysql-",
        Kind::Mysql | Kind::Mariadb => "postgres-",
    };
    let wanted: BTreeSet<&str> = PLACES
        .iter()
        .copied()
        .filter(|place| !place.starts_with(engine) && !ELSEWHERE.contains(place))
        .collect();
    let reached: BTreeSet<&str> = places.iter().map(String::as_str).collect();
    assert_eq!(reached, wanted, "places that such a sweep comes to");

    let mut seen = BTreeSet::new();
    let mut killed = 0;
    let mut play = Play::new(server);
    for (before, place) in places.iter().enumerate() {
        let nth = before + 1;
        // The short version: behind each place for the first time, and a third of the rest, another one on each
        // server.
        let turn = nth % 3 == server.kind() as usize;
        if !seen.insert(place) && !turn && !torture::is_long() {
            continue;
        }
        killed += 1;
        // The trail of one shop need not become long: a new one now and then.
        if killed % 15 == 0 {
            play.end().unwrap_or_else(|why| panic!("{why}"));
            play = Play::new(server);
        }
        let kill = Step::KilledAt {
            place: "any".to_owned(),
            nth,
            then: None,
        };
        play.quietly(&work())
            .and_then(|()| play.all(&[kill]))
            .unwrap_or_else(|why| panic!("killed behind effect {nth}, {place}: {why}"));
        // Whether a view has changed may depend on the second: the last effects are not always there.
        assert!(
            play.killed || nth + 3 > places.len(),
            "it never comes to effect {nth} of {}, {place}",
            places.len()
        );
        play.all(&rest())
            .unwrap_or_else(|why| panic!("after the kill behind effect {nth}, {place}: {why}"));
    }
    play.end().unwrap_or_else(|why| panic!("{why}"));
    eprintln!(
        "{server:?}: killed behind {killed} of {} effects",
        places.len()
    );
}

/// Places that such a sweep does not come to, and who comes there.
const ELSEWHERE: &[&str] = &[
    // after a torn line: `audit_first`
    "tail-cut",
    // a folder where a file should be: `outsiders`
    "set-aside",
    // a session that must end: `crash`
    "postgres-session-ended",
];

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
    "mkdirat(",
    ".set_len(",
    "fallocate(",
    "Backend::end)",
    "backend.end()",
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
    ("commands/man/mod.rs", "a page, to man"),
    ("ui.rs", "words, to the terminal"),
    ("ui/live.rs", "words, to the terminal"),
    (
        "engines/mysql/relay.rs",
        "bytes passed on between the driver and the server: connection.rs counts the statements",
    ),
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
