//! The embedded ledger: nothing half-written, nothing forgotten, nothing open to others.

pub mod fixture;
mod leases;

use foldhash::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use fixture::*;
use jit::access::{Ended, Hold, LeaseState, Now, PrivilegeKey, RequestId, Selector, State};
use jit::stores::sqlite::{Sharing, SqliteLedger, create, may_operate};
use jit::stores::{
    Change, DrainedSubmission, Effect, Fact, FindLeases, FindRequests, Ledger, StoreError,
};

use crate::support::people::{alice, carol, cron, mallory};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn effects(effects: Vec<Effect>) -> Change {
    Change {
        effects,
        events: vec![],
    }
}

// Making -----------------------------------------------------------------------------------------------------------

#[test]
fn a_shared_ledger_has_the_modes_of_the_contract() {
    let place = Place::new();
    drop(place.shared());
    for (inner, wanted) in [
        ("jit", 0o755),
        ("jit/ledger", 0o2770),
        ("jit/ledger/ledger.db", 0o660),
        ("jit/ledger/reserve", 0o660),
        ("jit/inbox", 0o3773),
        ("log", 0o2770),
        ("log/audit.jsonl", 0o660),
    ] {
        let path = place.at(inner);
        assert_eq!(mode(&path), wanted, "{inner} is {:o}", mode(&path));
        if inner != "jit" {
            assert_eq!(fs::metadata(&path).unwrap().gid(), operators(), "{inner}");
        }
    }
}

#[test]
fn a_ledger_of_ones_own_is_closed_to_everybody_else() {
    let place = Place::new();
    drop(place.alone());
    for inner in [
        "jit",
        "jit/ledger",
        "jit/ledger/ledger.db",
        "jit/inbox",
        "log",
        "log/audit.jsonl",
    ] {
        assert_eq!(mode(&place.at(inner)) & 0o077, 0, "{inner}");
    }
}

#[test]
fn a_ledger_is_never_made_over_another() {
    let place = Place::new();
    let id = place.shared().id().clone();
    let again = create(&place.places(), Sharing::Alone, &now(0));
    assert!(matches!(again, Err(StoreError::Exists(_))));
    assert_eq!(mode(&place.at("jit/ledger")), 0o2770);
    assert_eq!(
        SqliteLedger::open(&place.places().ledger).unwrap().id(),
        &id
    );
}

#[test]
fn what_a_crash_left_half_made_is_finished() {
    for made in 0..6 {
        let place = Place::new();
        let write = |inner: &str, text: &[u8]| fs::write(place.at(inner), text).unwrap();
        let folders = ["jit", "jit/ledger", "jit/inbox", "log"];
        for folder in folders.iter().take(made) {
            fs::create_dir(place.at(folder)).unwrap();
            fs::set_permissions(place.at(folder), fs::Permissions::from_mode(0o700)).unwrap();
        }
        if made > 0 {
            // Made with its last mode only after it was there.
            fs::set_permissions(place.at("jit"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        if made == 5 {
            fs::set_permissions(place.at("jit/ledger"), fs::Permissions::from_mode(0o2770))
                .unwrap();
            std::os::unix::fs::chown(place.at("jit/ledger"), None, Some(operators())).unwrap();
            fs::set_permissions(place.at("jit/ledger"), fs::Permissions::from_mode(0o2770))
                .unwrap();
            write("log/audit.jsonl", b"");
            write("jit/ledger/ledger.db.making", b"half of a database");
            write("jit/ledger/ledger.db.making-wal", b"and of its log");
        }
        let ledger = place.shared();
        ledger.commit(&now(1), events(1)).unwrap();
        assert_eq!(mode(&place.at("jit/inbox")), 0o3773);
        assert!(!place.at("jit/ledger/ledger.db.making").exists());
    }
}

#[test]
fn folders_and_files_of_others_are_not_taken_over() {
    let place = Place::new();
    fs::create_dir_all(place.at("jit/inbox/somebody")).unwrap();
    let refused = create(
        &place.places(),
        Sharing::Group { gid: operators() },
        &now(0),
    );
    assert!(matches!(refused, Err(StoreError::NotOurs { .. })));
    fs::remove_dir(place.at("jit/inbox/somebody")).unwrap();
    fs::create_dir_all(place.at("log")).unwrap();
    fs::write(place.at("log/audit.jsonl"), "a line of another ledger\n").unwrap();
    let refused = create(
        &place.places(),
        Sharing::Group { gid: operators() },
        &now(0),
    );
    assert!(matches!(refused, Err(StoreError::NotOurs { .. })));
    assert!(!place.places().ledger.exists());
}

// Opening ----------------------------------------------------------------------------------------------------------

#[test]
fn only_operators_can_open_a_shared_ledger() {
    let place = Place::new();
    drop(place.shared());
    let ledger = place.places().ledger;
    for person in [cron(), carol()] {
        assert!(
            acting(&person, || may_operate(&ledger)).unwrap(),
            "{}",
            person.name
        );
        acting(&person, || SqliteLedger::open(&ledger).map(drop)).unwrap();
    }
    for person in [alice(), mallory()] {
        assert!(
            !acting(&person, || may_operate(&ledger)).unwrap(),
            "{}",
            person.name
        );
        let opened = acting(&person, || SqliteLedger::open(&ledger).map(drop));
        assert!(
            matches!(opened, Err(StoreError::NotOurs { .. })),
            "{opened:?}"
        );
        for inner in [
            "jit/ledger",
            "jit/ledger/ledger.db",
            "jit/ledger/reserve",
            "log",
            "log/audit.jsonl",
        ] {
            let path = place.at(inner);
            assert!(
                acting(&person, || fs::File::open(&path)).is_err(),
                "{inner}"
            );
        }
    }
}

#[test]
fn what_any_operator_leaves_the_others_can_write() {
    let place = Place::new();
    drop(place.shared());
    let path = place.places().ledger;
    // A connection that stays open keeps the log and its index on the disk, made by whoever came first.
    let root = SqliteLedger::open(&path).unwrap();
    for person in [cron(), carol()] {
        acting(&person, || {
            let ledger = SqliteLedger::open(&path).unwrap();
            ledger.commit(&now(1), events(2)).unwrap();
            assert!(ledger.lock("journal", Duration::ZERO).unwrap().is_some());
        });
    }
    drop(root);
    acting(&carol(), || {
        SqliteLedger::open(&path)
            .unwrap()
            .commit(&now(1), events(1))
            .unwrap()
    });
    let first = acting(&carol(), || {
        let ledger = SqliteLedger::open(&path).unwrap();
        ledger.commit(&now(1), events(1)).unwrap();
        std::thread::spawn({
            let path = path.clone();
            move || {
                (
                    mode(&path.with_extension("db-wal")),
                    mode(&path.with_extension("db-shm")),
                )
            }
        })
        .join()
        .unwrap()
    });
    assert_eq!(first, (0o660, 0o660));
    let root = SqliteLedger::open(&path).unwrap();
    assert_eq!(sound(&root), 6);
}

#[test]
fn a_ledger_that_others_could_have_meddled_with_is_refused() {
    let place = Place::new();
    drop(place.shared());
    let path = place.places().ledger;
    let refused = |what: &str| {
        let opened = SqliteLedger::open(&path);
        assert!(matches!(opened, Err(StoreError::NotOurs { .. })), "{what}");
    };
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(&place.at("jit/ledger"), 0o2775);
    refused("an open folder");
    set(&place.at("jit/ledger"), 0o2770);
    set(&path, 0o664);
    refused("an open file");
    set(&path, 0o660);
    let other = place.at("other.db");
    fs::hard_link(&path, &other).unwrap();
    refused("a second name");
    fs::remove_file(&path).unwrap();
    symlink(&other, &path).unwrap();
    refused("a symbolic link");
    fs::remove_file(&path).unwrap();
    fs::rename(&other, &path).unwrap();
    assert!(SqliteLedger::open(&path).is_ok());
}

#[test]
fn what_is_no_ledger_of_ours_says_so() {
    let place = Place::new();
    drop(place.shared());
    let path = place.places().ledger;
    let say = |sql: &str| {
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        SqliteLedger::open(&path).map(drop)
    };
    let newer = say("PRAGMA user_version = 99").unwrap_err();
    assert!(
        matches!(newer, StoreError::Newer { theirs: 99, .. }),
        "{newer}"
    );
    let older = say("PRAGMA user_version = 1").unwrap_err();
    assert!(matches!(older, StoreError::Older(_)), "{older}");
    let other = say("PRAGMA application_id = 5; PRAGMA user_version = 2").unwrap_err();
    assert!(matches!(other, StoreError::Damaged { .. }), "{other}");
    fs::write(
        &path,
        "this is a text file, and long enough to be looked at as a database",
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let text = SqliteLedger::open(&path).map(drop).unwrap_err();
    assert!(matches!(text, StoreError::Damaged { .. }), "{text}");
    fs::remove_file(&path).unwrap();
    let missing = SqliteLedger::open(&path).map(drop).unwrap_err();
    assert!(matches!(missing, StoreError::Missing(_)), "{missing}");
    assert!(matches!(may_operate(&path), Err(StoreError::Missing(_))));
}

// Writing ----------------------------------------------------------------------------------------------------------

#[test]
fn a_change_is_written_whole_or_not_at_all() {
    let place = Place::new();
    let ledger = place.alone();
    let mut change = new_request(1, State::Submitted);
    change
        .effects
        .push(Effect::SaveLease(Box::new(lease(9, 0, 1, 10))));
    let failed = ledger.commit(&now(5), change).unwrap_err();
    assert!(matches!(failed, StoreError::Conflict(_)), "{failed}");
    assert_eq!(ledger.request(&id(1)).unwrap(), None);
    assert_eq!(ledger.head().unwrap().0, 0);
    assert_eq!(ledger.seen().unwrap().at, now(0).at);

    let given = ledger
        .commit(&now(5), new_request(1, State::Submitted))
        .unwrap();
    assert_eq!(given, 1..2);
    assert_eq!(
        ledger.request(&id(1)).unwrap(),
        Some(request(1, State::Submitted))
    );
    assert_eq!(ledger.commit(&now(6), Change::default()).unwrap(), 2..2);
    assert_eq!(ledger.commit(&now(6), events(3)).unwrap(), 2..5);
    assert_eq!(sound(&ledger), 4);
    assert_eq!(ledger.lines_of(&id(1)).unwrap().len(), 1);
    let lines = ledger.lines_after(2, 1).unwrap();
    assert_eq!(
        lines.iter().map(|line| line.seq).collect::<Vec<_>>(),
        [2, 3]
    );
    assert!(lines.iter().all(|line| line.line.ends_with("}\n")));
}

#[test]
fn a_submission_is_drained_once() {
    let place = Place::new();
    let ledger = place.alone();
    let submission = DrainedSubmission {
        digest: "ab".repeat(32),
        person: person(1001),
        at: now(3).at,
        act: "request".into(),
        outcome: "accepted".into(),
        request: Some(id(1)),
    };
    let change = || {
        let mut change = new_request(1, State::Submitted);
        change.effects.push(Effect::Submission(submission.clone()));
        change
    };
    ledger.commit(&now(3), change()).unwrap();
    let again = ledger.commit(&now(4), change()).unwrap_err();
    assert!(matches!(again, StoreError::AlreadyDrained(_)), "{again}");
    assert_eq!(
        ledger.submission(&submission.digest).unwrap(),
        Some(submission)
    );
    assert_eq!(ledger.submission("x").unwrap(), None);
    assert_eq!(ledger.head().unwrap().0, 1);
}

#[test]
fn who_comes_second_is_told_that_it_has_changed() {
    let place = Place::new();
    let ledger = place.alone();
    ledger
        .commit(&now(1), new_request(1, State::Pending))
        .unwrap();
    let save = |was, state| {
        let now_is = Box::new(request(1, state));
        effects(vec![Effect::SaveRequest { was, now: now_is }])
    };
    ledger
        .commit(&now(2), save(State::Pending, State::Approved))
        .unwrap();
    let moved = effects(vec![Effect::moved(
        State::Pending,
        &request(1, State::Denied),
    )]);
    for second in [save(State::Pending, State::Denied), moved] {
        let second = ledger.commit(&now(2), second).unwrap_err();
        assert!(matches!(second, StoreError::Conflict(_)), "{second}");
    }
    let unlawful = ledger
        .commit(&now(2), save(State::Approved, State::Active))
        .unwrap_err();
    assert!(
        matches!(unlawful, StoreError::Unlawful { .. }),
        "{unlawful}"
    );
    ledger
        .commit(&now(3), save(State::Approved, State::Lapsed))
        .unwrap();
    let mut noted = request(1, State::Lapsed);
    noted.outcome = Some("nobody was there".into());
    let note = effects(vec![Effect::moved(State::Lapsed, &noted)]);
    ledger.commit(&now(4), note).unwrap();
    assert_eq!(ledger.request(&id(1)).unwrap(), Some(noted));
    let by = approved(request(1, State::Lapsed), 1);
    let change = effects(vec![Effect::SaveRequest {
        was: State::Lapsed,
        now: Box::new(by),
    }]);
    assert!(matches!(
        ledger.commit(&now(5), change),
        Err(StoreError::Unlawful { .. })
    ));
}

#[test]
fn effects_may_come_in_any_order() {
    let place = Place::new();
    let ledger = place.alone();
    let save = |was, state| Effect::moved(was, &request(1, state));
    ledger
        .commit(&now(1), new_request(1, State::Approved))
        .unwrap();
    ledger
        .commit(
            &now(2),
            effects(vec![
                save(State::Approved, State::Granting),
                Effect::NewLease(Box::new(lease(1, 0, 1, 10))),
            ]),
        )
        .unwrap();
    ledger
        .commit(
            &now(3),
            effects(vec![save(State::Granting, State::Revoking)]),
        )
        .unwrap();
    let early = ledger.commit(&now(4), effects(vec![save(State::Revoking, State::Ended)]));
    assert!(
        matches!(early, Err(StoreError::Unlawful { .. })),
        "a live lease, and its request ended"
    );
    let mut ended = lease(1, 0, 1, 10);
    ended.state = LeaseState::Revoked {
        ended_at: now(5).at,
    };
    let mut last = request(1, State::Ended);
    last.ended = Some(Ended::Expired);
    ledger
        .commit(
            &now(5),
            effects(vec![
                Effect::moved(State::Revoking, &last),
                Effect::SaveLease(Box::new(ended.clone())),
            ]),
        )
        .unwrap();
    let (id, state) = (ended.id.clone(), ended.state.clone());
    for again in [
        Effect::SaveLease(Box::new(ended)),
        Effect::MoveLease {
            id: id.clone(),
            state: state.clone(),
        },
        Effect::StampLease {
            id,
            state,
            stamp: None,
        },
    ] {
        let again = ledger.commit(&now(6), effects(vec![again]));
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    }
}

#[test]
fn the_latest_instant_seen_moves_on_and_never_back() {
    let place = Place::new();
    let ledger = place.alone();
    let seen = || ledger.seen().unwrap();
    ledger.commit(&now(1000), events(1)).unwrap();
    assert_eq!((seen().at, seen().boot), (now(1000).at, now(1000).boot));
    // The wall clock goes back while the boot clock goes on: the pair of one moment stays, so that the elapsed
    // time still counts from it.
    let mut back = now(2000);
    back.at = now(500).at;
    ledger.commit(&back, events(1)).unwrap();
    assert_eq!((seen().at, seen().boot), (now(1000).at, now(1000).boot));
    ledger.commit(&now(3000), Change::default()).unwrap();
    assert_eq!((seen().at, seen().boot), (now(3000).at, now(3000).boot));
    ledger
        .commit(&now(10), effects(vec![Effect::ResetSeen(now(10))]))
        .unwrap();
    assert_eq!((seen().at, seen().boot), (now(10).at, now(10).boot));
}

#[test]
fn names_texts_facts_and_holds_are_kept() {
    let place = Place::new();
    let ledger = place.alone();
    let mut renamed = person(1001);
    renamed.name = "alicia".into();
    let hold = Hold {
        number: 1,
        selector: Selector {
            target: Some(target(1)),
            ..Selector::default()
        },
        reason: "breach".into(),
        by: person(1),
        at: now(1).at,
        resumed: None,
    };
    ledger
        .commit(
            &now(1),
            effects(vec![
                Effect::Seen(person(1001)),
                Effect::KeepText {
                    hash: "h".into(),
                    body: "policies: []\n".into(),
                },
                Effect::KeepText {
                    hash: "h".into(),
                    body: "policies: []\n".into(),
                },
                Effect::SetFact {
                    fact: Fact::LastSweep,
                    value: "1".into(),
                },
                Effect::NewHold(hold.clone()),
            ]),
        )
        .unwrap();
    assert_eq!(ledger.name_of(1001).unwrap().as_deref(), Some("person1001"));
    assert_eq!(ledger.name_of(1002).unwrap(), None);
    assert_eq!(ledger.text("h").unwrap().as_deref(), Some("policies: []\n"));
    assert_eq!(ledger.fact(Fact::SettingsPath).unwrap(), None);
    assert_eq!(ledger.holds(false).unwrap(), std::slice::from_ref(&hold));
    let mut resumed = hold.clone();
    resumed.resumed = Some(jit::access::hold::Resumed {
        by: person(1),
        at: now(2).at,
        reason: "over".into(),
    });
    ledger
        .commit(
            &now(2),
            effects(vec![
                Effect::Seen(renamed),
                Effect::SetFact {
                    fact: Fact::LastSweep,
                    value: "2".into(),
                },
                Effect::SaveHold(resumed.clone()),
            ]),
        )
        .unwrap();
    assert_eq!(ledger.name_of(1001).unwrap().as_deref(), Some("alicia"));
    assert_eq!(ledger.fact(Fact::LastSweep).unwrap().as_deref(), Some("2"));
    assert_eq!(ledger.holds(false).unwrap(), []);
    assert_eq!(ledger.holds(true).unwrap(), [resumed.clone()]);
    let again = ledger.commit(&now(3), effects(vec![Effect::SaveHold(resumed)]));
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
}

// Reading ----------------------------------------------------------------------------------------------------------

#[test]
fn every_way_of_finding_requests_gives_what_fits_newest_first() {
    let place = Place::new();
    let ledger = place.alone();
    let mut all = Vec::new();
    for number in 0..120 {
        let state = [
            State::Submitted,
            State::Pending,
            State::Approved,
            State::Refused,
            State::Denied,
            State::Lapsed,
        ][number as usize % 6];
        ledger.commit(&now(1), new_request(number, state)).unwrap();
        all.insert(0, request(number, state));
    }
    let seventh = id(7);
    let seventh = seventh.as_str();
    let prefixes = [
        None,
        Some(""),
        Some(&seventh[..1]),
        Some(seventh),
        Some("zz"),
    ];
    let states = [
        None,
        Some(vec![]),
        Some(vec![State::Pending]),
        Some(vec![State::Submitted, State::Approved]),
        Some(vec![State::Pending, State::Denied]),
        Some(vec![State::Refused, State::Lapsed]),
    ];
    let instants = [
        None,
        Some(now(60_000).at),
        Some(now(0).at),
        Some(now(1_000_000).at),
    ];
    let mut tried = 0;
    for prefix in prefixes {
        for states in &states {
            for (requester, target) in [
                (None, None),
                (Some(1001), None),
                (None, Some(target(1))),
                (Some(1002), Some(target(0))),
            ] {
                for lapsing_by in instants {
                    for ended_since in instants {
                        for limit in [None, Some(3)] {
                            let find = FindRequests {
                                id_prefix: prefix.map(str::to_owned),
                                states: states.clone(),
                                requester,
                                target: target.clone(),
                                lapsing_by,
                                ended_since,
                                limit,
                            };
                            let wanted: Vec<_> = all
                                .iter()
                                .filter(|r| prefix.is_none_or(|p| r.id.as_str().starts_with(p)))
                                .filter(|r| states.as_ref().is_none_or(|s| s.contains(&r.state)))
                                .filter(|r| requester.is_none_or(|uid| r.requester.uid == uid))
                                .filter(|r| target.as_ref().is_none_or(|t| r.target == *t))
                                .filter(|r| lapsing_by.is_none_or(|at| r.lapses_at <= at))
                                .filter(|r| {
                                    ended_since.is_none_or(|at| r.ended_at.is_some_and(|e| e >= at))
                                })
                                .take(limit.unwrap_or(usize::MAX))
                                .cloned()
                                .collect();
                            assert_eq!(ledger.requests(&find).unwrap(), wanted, "{find:?}");
                            tried += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(tried > 3000);
}

#[test]
fn due_leases_come_with_all_that_share_their_privileges() {
    let place = Place::new();
    let ledger = place.alone();
    // All of target1: its requests are odd. (request, position, column, expires after)
    let leases = [
        (1, 0, 1, 100),
        (1, 1, 2, 100),
        (3, 0, 1, 900),
        (5, 0, 3, 900),
        (7, 0, 4, 900),
        (7, 1, 5, 950),
    ];
    for number in [1, 3, 5, 7] {
        ledger
            .commit(&now(0), new_request(number, State::Approved))
            .unwrap();
    }
    for (number, position, column, expires) in leases {
        let new = Effect::NewLease(Box::new(lease(number, position, column, expires)));
        ledger.commit(&now(0), effects(vec![new])).unwrap();
    }
    let found = |find: FindLeases| -> HashSet<String> {
        ledger
            .leases(&find)
            .unwrap()
            .iter()
            .map(|lease| format!("{}:{}", lease.privilege.key(), lease.id.position))
            .collect()
    };
    let set = |wanted: &[(u32, i16)]| -> HashSet<String> {
        wanted
            .iter()
            .map(|(position, column)| {
                format!("{}:{position}", lease(1, 0, *column, 0).privilege.key())
            })
            .collect()
    };
    let due = |now| FindLeases::DueWithSharers(target(1), now);
    assert_eq!(found(due(now(99))), set(&[]));
    let at_100 = ledger.leases(&due(now(100))).unwrap();
    assert_eq!(at_100.len(), 3, "two are due, and one shares column 1");
    assert_eq!(found(due(now(100))), set(&[(0, 1), (1, 2)]));
    assert!(
        ledger
            .leases(&FindLeases::DueWithSharers(target(0), now(10_000)))
            .unwrap()
            .is_empty()
    );
    // By the boot clock alone.
    let mut back = now(100);
    back.at = now(0).at;
    assert_eq!(ledger.leases(&due(back.clone())).unwrap().len(), 3);
    back.boot.boot = "boot-2".into();
    assert_eq!(ledger.leases(&due(back)).unwrap().len(), 0);
    // Because its request is being revoked.
    for (was, state) in [
        (State::Approved, State::Granting),
        (State::Granting, State::Revoking),
    ] {
        let save = Effect::moved(was, &request(7, state));
        ledger.commit(&now(1), effects(vec![save])).unwrap();
    }
    assert_eq!(found(due(now(1))), set(&[(0, 4), (1, 5)]));
    // Ended ones are history.
    let mut ended = lease(7, 0, 4, 900);
    ended.state = LeaseState::Gone {
        ended_at: now(2).at,
        why: "table dropped".into(),
    };
    ledger
        .commit(
            &now(2),
            effects(vec![Effect::SaveLease(Box::new(ended.clone()))]),
        )
        .unwrap();
    assert_eq!(found(due(now(1))), set(&[(1, 5)]));
    assert_eq!(
        ledger
            .leases(&FindLeases::EndedSince(target(1), now(2).at))
            .unwrap(),
        [ended]
    );
    assert!(
        ledger
            .leases(&FindLeases::EndedSince(target(1), now(3).at))
            .unwrap()
            .is_empty()
    );
    assert_eq!(ledger.leases(&FindLeases::Of(id(7))).unwrap().len(), 2);
    assert_eq!(ledger.leases(&FindLeases::Live(None)).unwrap().len(), 5);
    assert_eq!(
        ledger
            .leases(&FindLeases::Live(Some(target(1))))
            .unwrap()
            .len(),
        5
    );
    let key = lease(1, 0, 1, 0).key();
    let with = FindLeases::GivenWithKeys(target(1), vec![key.clone(), key.clone()]);
    assert_eq!(ledger.leases(&with).unwrap(), [], "both are owed");
    let live = ledger.leases(&FindLeases::Live(Some(target(1)))).unwrap();
    let mut sharing = live.into_iter().filter(|lease| lease.key() == key);
    let (mut held, owed) = (sharing.next().unwrap(), sharing.next().unwrap());
    held.state = LeaseState::Held;
    let save = Effect::SaveLease(Box::new(held.clone()));
    ledger.commit(&now(2), effects(vec![save])).unwrap();
    assert_eq!(ledger.leases(&with).unwrap(), [held]);
    assert_eq!((owed.state, sharing.next()), (LeaseState::Owed, None));

    // The same without the leases themselves.
    let keys = |now: Now| -> Vec<(RequestId, PrivilegeKey)> {
        let keys = ledger.due_keys(&target(1), &now).unwrap();
        assert!(keys.is_sorted_by_key(|(id, key)| (key.clone(), id.clone())));
        keys
    };
    for at in [0, 1, 99, 100, 10_000] {
        let leases = ledger.leases(&due(now(at))).unwrap();
        let sharing: HashSet<PrivilegeKey> = leases.iter().map(|lease| lease.key()).collect();
        let of_due: HashSet<PrivilegeKey> = keys(now(at)).into_iter().map(|(_, key)| key).collect();
        assert_eq!(of_due, sharing, "at {at}");
        let ids: Vec<RequestId> = keys(now(at)).into_iter().map(|(id, _)| id).collect();
        let with_sharers = FindLeases::OfWithSharers(target(1), ids);
        let found = ledger.leases(&with_sharers).unwrap();
        assert!(leases.iter().all(|lease| found.contains(lease)), "at {at}");
    }
    // And in numbers: one is being revoked, whatever the time; later others are due as well.
    let work = |millis: u64| ledger.work(&now(millis)).unwrap().due;
    assert_eq!(work(0), HashMap::from_iter([(target(1), 1)]));
    assert!(work(10_000)[&target(1)] >= keys(now(10_000)).len());
    let one = ledger
        .leases(&FindLeases::OfWithSharers(target(1), vec![id(1)]))
        .unwrap();
    let own = one.iter().filter(|lease| lease.id.request == id(1)).count();
    assert_eq!((own, one.len()), (2, 3), "and the one that shares column 1");
    let live = ledger.leases(&FindLeases::Live(Some(target(1)))).unwrap();
    let live: HashSet<PrivilegeKey> = live.iter().map(|lease| lease.key()).collect();
    assert_eq!(ledger.live_keys(&target(1)).unwrap(), live);
    assert!(ledger.live_keys(&target(0)).unwrap().is_empty());
    assert_eq!(ledger.live_targets().unwrap(), [target(1)]);
    assert_eq!(
        ledger.live_servers(&target(1)).unwrap(),
        [lease(1, 0, 1, 0).server]
    );
}

// Several processes, and their deaths ------------------------------------------------------------------------------

/// What the children of the tests below do.
#[test]
fn child_of_the_ledger() {
    let Some((order, folder)) = order() else {
        return;
    };
    let path = places(&folder).ledger;
    match order.as_str() {
        "commit 200" => {
            let ledger = SqliteLedger::open(&path).unwrap();
            for turn in 0..200 {
                ledger.commit(&now(turn), events(2)).unwrap();
            }
        }
        "commit for ever" => {
            let ledger = SqliteLedger::open(&path).unwrap();
            for turn in 0.. {
                let given = ledger.commit(&now(turn), events(3)).unwrap();
                println!("committed {}", given.end - 1);
            }
        }
        "keep the lock" => {
            let ledger = SqliteLedger::open(&path).unwrap();
            let held = ledger.lock("target:shop", Duration::ZERO).unwrap();
            println!("locked {}", held.is_some());
            std::thread::sleep(Duration::from_secs(600));
        }
        "full disk" => on_a_full_disk(&folder),
        "full from the start" => on_a_disk_full_from_the_start(&folder),
        "read-only" => on_a_read_only_disk(&folder),
        other => panic!("{other}"),
    }
}

const TEST: &str = "ledger::child_of_the_ledger";

#[test]
fn operators_that_commit_at_once_share_one_chain() {
    let place = Place::new();
    drop(place.shared());
    let children = [None, Some(cron()), Some(carol())]
        .map(|person| child(person.as_ref(), TEST, "commit 200", &place.folder));
    for child in children {
        well(child);
    }
    let ledger = SqliteLedger::open(&place.places().ledger).unwrap();
    assert_eq!(sound(&ledger), 1200);
}

#[test]
fn what_was_committed_survives_kill_9() {
    let place = Place::new();
    drop(place.alone());
    let mut least = 0;
    for round in 0..12 {
        let mut child = child(None, TEST, "commit for ever", &place.folder);
        let mut words = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..round * 7 % 40 {
            let line = words.next().unwrap().unwrap();
            if let Some(seq) = line.strip_prefix("committed ") {
                least = seq.parse().unwrap();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in words.map_while(Result::ok) {
            if let Some(seq) = line.strip_prefix("committed ") {
                least = seq.parse().unwrap();
            }
        }
        let ledger = SqliteLedger::open(&place.places().ledger).unwrap();
        let newest = sound(&ledger);
        assert!(newest >= least, "{newest} < {least}");
        assert_eq!(newest % 3, 0, "a commit of three lines is whole");
    }
    assert!(least > 0);
}

#[test]
fn a_lock_ends_with_its_holder() {
    let place = Place::new();
    let ledger = place.alone();
    let mut child = child(None, TEST, "keep the lock", &place.folder);
    let mut words = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(words.any(|line| line.unwrap().ends_with("locked true")));
    let begun = Instant::now();
    assert!(
        ledger
            .lock("target:shop", Duration::from_millis(200))
            .unwrap()
            .is_none()
    );
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(
        ledger
            .lock("target:other", Duration::ZERO)
            .unwrap()
            .is_some()
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        ledger
            .lock("target:shop", Duration::ZERO)
            .unwrap()
            .is_some()
    );
}

// Disks ------------------------------------------------------------------------------------------------------------

const TINY: &str = r#"mount -t tmpfs -o size=12m,mode=755 tmpfs "$JIT_TEST_PLACE"; exec "$@""#;

fn fill(folder: &Path) {
    use std::io::Write;
    let mut filler = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("filler"))
        .unwrap();
    for block in [65_536, 4096, 1] {
        while filler.write_all(&vec![1; block]).is_ok() {}
    }
}

#[test]
fn on_a_full_disk_the_reserve_lets_what_matters_be_recorded() {
    let place = Place::new();
    well(child_after(TINY, TEST, "full disk", &place.folder));
}

fn on_a_full_disk(folder: &Path) {
    let ledger = create(&places(folder), Sharing::Alone, &now(0)).unwrap();
    ledger
        .commit(&now(1), new_request(1, State::Approved))
        .unwrap();
    let reserve = places(folder).ledger.with_file_name("reserve");
    assert!(reserve.exists());
    fill(folder);
    // The log has some room of its own at first; then the reserve is what there is.
    let mut committed = ledger.head().unwrap().0;
    while reserve.exists() {
        committed = ledger.commit(&now(2), events(50)).unwrap().end - 1;
        assert!(committed < 100_000, "the disk never filled");
    }
    assert!(
        ledger.commit(&now(3), events(50)).is_ok(),
        "the reserve was given back"
    );
    committed += 50;
    // In the end there is no room at all, and that is said.
    let full = loop {
        fill(folder);
        match ledger.commit(&now(4), events(500)) {
            Ok(given) => committed = given.end - 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Unwritable { .. }), "{full}");
    assert_eq!(sound(&ledger), committed);
    drop(ledger);
    fs::remove_file(folder.join("filler")).unwrap();
    let ledger = SqliteLedger::open(&places(folder).ledger).unwrap();
    assert_eq!(sound(&ledger), committed);
    ledger.commit(&now(5), events(1)).unwrap();
    assert!(reserve.exists(), "remade when there was room again");
}

#[test]
fn a_disk_that_is_full_from_the_start_still_lets_the_ledger_be_read() {
    let place = Place::new();
    well(child_after(
        TINY,
        TEST,
        "full from the start",
        &place.folder,
    ));
}

fn on_a_disk_full_from_the_start(folder: &Path) {
    let path = places(folder).ledger;
    drop(create(&places(folder), Sharing::Alone, &now(0)).unwrap());
    // With the reserve: it is given back for the index of the log.
    fill(folder);
    let ledger = SqliteLedger::open(&path).unwrap();
    ledger
        .commit(&now(1), new_request(1, State::Approved))
        .unwrap();
    drop(ledger);
    // Without: read all the same.
    let _ = fs::remove_file(path.with_file_name("reserve"));
    fill(folder);
    let ledger = SqliteLedger::open(&path).unwrap();
    assert!(ledger.request(&id(1)).unwrap().is_some());
    assert!(
        ledger
            .leases(&FindLeases::DueWithSharers(target(1), now(1)))
            .unwrap()
            .is_empty()
    );
    let full = ledger.commit(&now(2), events(2000)).unwrap_err();
    assert!(matches!(full, StoreError::Unwritable { .. }), "{full}");
    assert!(ledger.lock("target:shop", Duration::ZERO).is_ok());
}

#[test]
fn a_read_only_disk_still_lets_the_ledger_be_read() {
    let place = Place::new();
    well(child_after(TINY, TEST, "read-only", &place.folder));
}

fn on_a_read_only_disk(folder: &Path) {
    let path = places(folder).ledger;
    let ledger = create(&places(folder), Sharing::Alone, &now(0)).unwrap();
    assert!(
        ledger
            .lock("target:shop", Duration::ZERO)
            .unwrap()
            .is_some()
    );
    ledger
        .commit(&now(1), new_request(1, State::Approved))
        .unwrap();
    let remount = |how: &str| {
        let mut mount = std::process::Command::new("mount");
        assert!(
            mount
                .args(["-o", &format!("remount,{how}")])
                .arg(folder)
                .status()
                .unwrap()
                .success()
        );
    };
    // What stands only in the log must be read too: a copy of both files, as a crash of the machine leaves them.
    let copy = folder.join("copy");
    fs::create_dir(&copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).unwrap();
    for end in ["", "-wal"] {
        let name = format!("ledger.db{end}");
        fs::copy(path.with_file_name(&name), copy.join(&name)).unwrap();
        fs::set_permissions(copy.join(&name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(fs::metadata(copy.join("ledger.db-wal")).unwrap().len() > 0);
    drop(ledger);
    remount("ro");
    for path in [path, copy.join("ledger.db")] {
        assert!(may_operate(&path).unwrap());
        let ledger = SqliteLedger::open(&path).unwrap();
        assert!(!ledger.is_writable());
        assert!(ledger.request(&id(1)).unwrap().is_some());
        let refused = ledger.commit(&now(2), events(1)).unwrap_err();
        assert!(
            matches!(refused, StoreError::Unwritable { .. }),
            "{refused}"
        );
        assert!(ledger.set_journal_mark(1, None).is_err());
        if !path.starts_with(&copy) {
            assert!(
                ledger
                    .lock("target:shop", Duration::ZERO)
                    .unwrap()
                    .is_some()
            );
        }
    }
    remount("rw");
}
