//! The schema's own laws, tried on a database in memory.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::statements as sql;
use super::{migrate, open};
use crate::access::State;

fn ledger() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    open::prepare(&connection).unwrap();
    let transaction =
        Transaction::new_unchecked(&connection, TransactionBehavior::Immediate).unwrap();
    migrate::begin(&transaction).unwrap();
    transaction.commit().unwrap();
    connection
}

fn request(connection: &Connection, id: &str, state: &str) -> Result<usize, rusqlite::Error> {
    let ended = state.parse::<State>().unwrap().is_final().then_some(1);
    connection.execute(
        sql::REQUEST_INSERT,
        rusqlite::named_params! {
            ":id": id, ":state": state, ":requester": 1, ":target": "t", ":lapses_at": 1, ":ended_at": ended,
            ":doc": r#"{"outcome":null,"x":1}"#,
        },
    )
}

fn lease(connection: &Connection, request: &str, state: &str) -> Result<usize, rusqlite::Error> {
    let ended = !matches!(state, "owed" | "held" | "disputed");
    connection.execute(
        "INSERT INTO leases (request, position, target, state, key, expires_at, boot, boot_due, ended_at, doc)
         VALUES (?1, 1, 't', ?2, 'k', 100, 'b', 100, ?3, '{}')",
        rusqlite::params![request, state, ended.then_some(1)],
    )
}

/// Forces a request into a state, past the laws, so that a move from there can be tried.
fn forced(connection: &Connection, state: State) {
    let drop = "DROP TRIGGER requests_begin";
    connection.execute_batch(drop).unwrap();
    request(connection, "aaaaaaaa", state.word()).unwrap();
}

fn law(error: rusqlite::Error) -> String {
    let text = error.to_string();
    assert!(
        text.starts_with("law: "),
        "refused, but not by a law: {text}"
    );
    text
}

#[test]
fn the_table_of_moves_is_the_pure_function() {
    let connection = ledger();
    let mut statement = connection
        .prepare("SELECT was, becomes FROM moves")
        .unwrap();
    let mut stored: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut pure = Vec::new();
    for was in State::ALL {
        for next in State::ALL {
            if was.may_become(next) {
                pure.push((was.word().to_owned(), next.word().to_owned()));
            }
        }
    }
    stored.sort();
    pure.sort();
    assert_eq!(stored, pure);
}

#[test]
fn the_schema_refuses_every_other_move() {
    for was in State::ALL {
        for next in State::ALL {
            let connection = ledger();
            forced(&connection, was);
            let moved = connection.execute(
                "UPDATE requests SET state = ?1, ended_at = ?2",
                rusqlite::params![next.word(), next.is_final().then_some(1)],
            );
            assert_eq!(
                moved.is_ok(),
                was.may_become(next) || was == next,
                "{was} to {next}: {moved:?}"
            );
        }
    }
}

#[test]
fn a_request_begins_where_a_submission_leads() {
    for state in State::ALL {
        let begun = request(&ledger(), "aaaaaaaa", state.word());
        let allowed = state == State::Submitted || State::Submitted.may_become(state);
        assert_eq!(begun.is_ok(), allowed, "{state}");
    }
    assert!(request(&ledger(), "aaaaaaaa", "submitted").is_ok());
    let odd = ledger().execute("INSERT INTO requests (id, state, requester, target, lapses_at, doc) VALUES ('aaaaaaaa', 'odd', 1, 't', 1, '{}')", []);
    assert!(odd.is_err());
}

#[test]
fn nothing_of_a_final_request_changes_but_its_note() {
    let connection = ledger();
    request(&connection, "aaaaaaaa", "refused").unwrap();
    for change in [
        "UPDATE requests SET doc = json_set(doc, '$.x', 2)",
        "UPDATE requests SET ended_at = 2",
        "UPDATE requests SET lapses_at = 2",
        "UPDATE requests SET requester = 2",
        "UPDATE requests SET target = 'u'",
        "UPDATE requests SET id = 'bbbbbbbb'",
        "UPDATE requests SET state = 'lapsed'",
        "DELETE FROM requests",
        "REPLACE INTO requests (id, state, requester, target, lapses_at, doc) VALUES ('aaaaaaaa', 'submitted', 2, 't', 1, '{}')",
    ] {
        law(connection.execute(change, []).expect_err(change));
    }
    let note = "UPDATE requests SET doc = json_set(doc, '$.outcome', 'so')";
    assert_eq!(connection.execute(note, []), Ok(1));
}

#[test]
fn a_lease_ends_once_and_never_expires_later() {
    let connection = ledger();
    request(&connection, "aaaaaaaa", "approved").unwrap();
    law(lease(&connection, "aaaaaaaa", "revoked").unwrap_err());
    assert!(lease(&connection, "bbbbbbbb", "owed").is_err());
    lease(&connection, "aaaaaaaa", "owed").unwrap();
    for change in [
        "UPDATE leases SET expires_at = 101",
        "UPDATE leases SET boot_due = 101",
        "UPDATE leases SET boot = 'c'",
        "UPDATE leases SET key = 'l'",
        "UPDATE leases SET target = 'u'",
        "DELETE FROM leases",
    ] {
        law(connection.execute(change, []).expect_err(change));
    }
    assert!(
        connection
            .execute("UPDATE leases SET ended_at = 1", [])
            .is_err()
    );
    assert!(
        connection
            .execute("UPDATE leases SET state = 'gone'", [])
            .is_err()
    );
    connection
        .execute("UPDATE leases SET expires_at = 99, state = 'held'", [])
        .unwrap();
    connection
        .execute("UPDATE leases SET state = 'revoked', ended_at = 5", [])
        .unwrap();
    for change in [
        "UPDATE leases SET state = 'held', ended_at = NULL",
        "UPDATE leases SET doc = '{\"a\":1}'",
        "DELETE FROM leases",
    ] {
        law(connection.execute(change, []).expect_err(change));
    }
}

#[test]
fn a_request_with_a_live_lease_is_not_final() {
    let connection = ledger();
    request(&connection, "aaaaaaaa", "approved").unwrap();
    lease(&connection, "aaaaaaaa", "owed").unwrap();
    for state in ["granting", "revoking"] {
        connection
            .execute("UPDATE requests SET state = ?1", [state])
            .unwrap();
    }
    let end = "UPDATE requests SET state = 'ended', ended_at = 1";
    law(connection.execute(end, []).unwrap_err());
    connection
        .execute("UPDATE leases SET state = 'gone', ended_at = 1", [])
        .unwrap();
    connection.execute(end, []).unwrap();
    let late = "INSERT INTO leases (request, position, target, state, key, expires_at, boot, boot_due, doc)
                VALUES ('aaaaaaaa', 2, 't', 'owed', 'k', 100, 'b', 100, '{}')";
    law(connection.execute(late, []).unwrap_err());
}

#[test]
fn what_is_kept_for_ever_is_never_changed() {
    let connection = ledger();
    connection
        .execute(
            sql::LEDGER_INSERT,
            rusqlite::params!["0".repeat(32), 1, "b", 1],
        )
        .unwrap();
    connection
        .execute(sql::EVENT_INSERT, rusqlite::params![1, "aaaaaaaa", "x"])
        .unwrap();
    connection.execute(sql::TEXT_KEEP, ["h", "b"]).unwrap();
    connection
        .execute(sql::HOLD_INSERT, rusqlite::params![1, 1, "{}"])
        .unwrap();
    connection
        .execute(
            "INSERT INTO submissions VALUES (?1, 1, 'a', 1, 'request', 'accepted', NULL)",
            ["d".repeat(64)],
        )
        .unwrap();
    for change in [
        "UPDATE events SET line = 'y'",
        "DELETE FROM events",
        "REPLACE INTO events (seq, line) VALUES (1, 'y')",
        "INSERT INTO events (seq, line) VALUES (3, 'y')",
        "INSERT INTO events (seq, line) VALUES (0, 'y')",
        "UPDATE texts SET body = 'y'",
        "DELETE FROM texts",
        "REPLACE INTO texts VALUES ('h', 'y')",
        "UPDATE submissions SET outcome = 'y'",
        "DELETE FROM submissions",
        "UPDATE holds SET resumed_at = NULL",
        "DELETE FROM holds",
        "UPDATE ledger SET id = '1'",
        "DELETE FROM ledger",
    ] {
        law(connection.execute(change, []).expect_err(change));
    }
    connection
        .execute(sql::EVENT_INSERT, rusqlite::params![2, None::<String>, "x"])
        .unwrap();
}

fn plan_of(connection: &Connection, statement: &str) -> Vec<String> {
    let mut explain = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
        .unwrap();
    let mut rows = explain.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    steps
}

/// No statement reads a table that grows from end to end, but for the lists that people ask for with a limit.
#[test]
fn the_cost_grows_with_what_is_due_and_never_with_history() {
    let connection = ledger();
    for (name, statement) in sql::ALL {
        for step in plan_of(&connection, statement) {
            let growing = [
                "requests",
                "leases",
                "events",
                "submissions",
                "texts",
                "people",
                "l",
                "r",
            ];
            let scans = step
                .strip_prefix("SCAN ")
                .is_some_and(|rest| growing.contains(&rest.split(' ').next().unwrap()));
            let allowed = match *name {
                "requests_newest" => step == "SCAN requests",
                // One step down the tree: LIMIT 1.
                "event_head" => step == "SCAN events",
                // The index holds nothing but live ones.
                "leases_live" => step.starts_with("SCAN leases USING INDEX leases_by_key"),
                _ => false,
            };
            assert!(!scans || allowed, "{name}: {step}");
        }
    }
}

#[test]
fn what_every_sweep_asks_goes_by_the_partial_indexes() {
    let connection = ledger();
    for (statement, wanted) in [
        (
            sql::LEASES_DUE,
            "SEARCH leases USING INDEX leases_by_expiry (target=? AND expires_at<?)",
        ),
        (
            sql::LEASES_DUE,
            "SEARCH leases USING INDEX leases_by_boot (target=? AND boot=? AND boot_due<?)",
        ),
        (
            sql::LEASES_DUE,
            "SEARCH r USING INDEX requests_by_state (state=?)",
        ),
        (
            sql::LEASES_DUE,
            "SEARCH l USING INDEX leases_by_key (target=? AND key=?)",
        ),
        (
            sql::LEASES_LIVE_WITH_KEYS,
            "SEARCH l USING INDEX leases_by_key (target=? AND key=?)",
        ),
        (
            sql::LEASES_LIVE_OF_TARGET,
            "SEARCH leases USING INDEX leases_by_key (target=?)",
        ),
        (
            sql::LEASES_ENDED_SINCE,
            "SEARCH leases USING INDEX leases_by_end (target=? AND ended_at>?)",
        ),
        (
            sql::REQUESTS_LAPSING,
            "SEARCH requests USING INDEX requests_by_lapse (lapses_at<?)",
        ),
        (
            sql::REQUESTS_IN_STATES,
            "SEARCH requests USING INDEX requests_by_state (state=?)",
        ),
        (
            sql::REQUESTS_ENDED_SINCE,
            "SEARCH requests USING INDEX requests_by_end (ended_at>?)",
        ),
        (
            sql::REQUESTS_BY_PREFIX,
            "SEARCH requests USING INDEX sqlite_autoindex_requests_1 (id>? AND id<?)",
        ),
        (
            sql::REQUESTS_OF_REQUESTER,
            "SEARCH requests USING INDEX requests_by_requester (requester=?)",
        ),
        (
            sql::EVENTS_FROM,
            "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)",
        ),
        (
            sql::EVENTS_OF,
            "SEARCH events USING INDEX events_by_request (request=?)",
        ),
        (sql::HOLDS_STANDING, "SCAN holds USING INDEX holds_standing"),
    ] {
        let steps = plan_of(&connection, statement);
        assert!(
            steps.iter().any(|step| step == wanted),
            "{wanted} is not in {steps:#?}"
        );
    }
}
