//! The schema's version.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::Fault;
use super::statements::{FIRST_VERSION, MIGRATIONS};
use crate::stores::StoreError;

/// `jit1`: what makes an SQLite file a ledger of ours.
pub(super) const APPLICATION_ID: i64 = 0x6a69_7431;

/// Checks that this is a ledger, and brings its schema up to ours.
///
/// # Errors
/// `Damaged` for somebody else's database, `Newer` for one that a newer jit has changed,
/// `Older` for one from before the first release.
pub(super) fn migrate(connection: &Connection, path: &Path) -> Result<(), Fault> {
    if is_ours(connection, path)?.is_empty() {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another operator may have been first.
    for step in pending(&transaction, path)? {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", ours())?;
    transaction.commit()?;
    Ok(())
}

/// As [`migrate`], where nothing can be written: an older schema is an error.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), Fault> {
    if is_ours(connection, path)?.is_empty() {
        return Ok(());
    }
    Err(StoreError::Unwritable {
        path: path.display().to_string(),
        why: "its schema is older than this jit, and its file system is read-only".into(),
    }
    .into())
}

/// The steps that are missing.
fn is_ours(connection: &Connection, path: &Path) -> Result<&'static [&'static str], Fault> {
    if pragma(connection, "application_id")? != APPLICATION_ID {
        return Err(StoreError::Damaged {
            path: path.display().to_string(),
            why: "it is not a ledger of jit".into(),
        }
        .into());
    }
    pending(connection, path)
}

/// Makes the schema in an empty database.
pub(super) fn begin(transaction: &Transaction<'_>) -> Result<(), Fault> {
    for step in MIGRATIONS {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", ours())?;
    Ok(())
}

fn ours() -> i64 {
    let steps = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    FIRST_VERSION.saturating_add(steps - 1)
}

fn pending(connection: &Connection, path: &Path) -> Result<&'static [&'static str], Fault> {
    let theirs = pragma(connection, "user_version")?;
    if theirs < FIRST_VERSION {
        return Err(StoreError::Older(path.display().to_string()).into());
    }
    usize::try_from(theirs - FIRST_VERSION + 1)
        .ok()
        .and_then(|done| MIGRATIONS.get(done..))
        .ok_or_else(|| {
            StoreError::Newer {
                path: path.display().to_string(),
                theirs,
                ours: ours(),
            }
            .into()
        })
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// An empty ledger in memory, without its one row, for tests of the schema and its statements.
#[cfg(test)]
pub(super) fn in_memory() -> Result<Connection, Fault> {
    let connection = Connection::open_in_memory()?;
    super::open::prepare(&connection)?;
    let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
    begin(&transaction)?;
    transaction.commit()?;
    Ok(connection)
}

/// The schema's own laws.
#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::statements as sql;
    use super::*;
    use crate::access::State;

    fn ledger() -> Connection {
        in_memory().unwrap()
    }

    fn request(connection: &Connection, id: &str, state: &str) -> Result<usize, rusqlite::Error> {
        let ended = state.parse::<State>().unwrap().is_final().then_some(1);
        connection.execute(
            sql::REQUEST_INSERT,
            rusqlite::named_params! {
                ":id": id, ":state": state, ":requester": 1, ":target": "t", ":lapses_at": 1, ":ended_at": ended,
                ":granted_at": None::<i64>, ":expires_at": None::<i64>, ":ended": None::<&str>,
                ":outcome": None::<&str>,
            },
        )?;
        let document = rusqlite::params![connection.last_insert_rowid(), r#"{"x":1}"#];
        connection.execute(sql::REQUEST_DOC_INSERT, document)
    }

    fn lease(
        connection: &Connection,
        request: &str,
        state: &str,
    ) -> Result<usize, rusqlite::Error> {
        let ended = !matches!(state, "owed" | "held" | "disputed");
        connection.execute(sql::LEASE_DOC_INSERT, ["{}"])?;
        connection.execute(
            "INSERT INTO leases (request, position, target, state, live, doc, key, expires_at, boot, boot_due, ended_at)
             VALUES (?1, 1, 't', ?2, ?3, ?4, 'k', 100, 'b', 100, ?5)",
            rusqlite::params![
                request,
                state,
                (!ended).then_some(1),
                connection.last_insert_rowid(),
                ended.then_some(1)
            ],
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
        let odd = ledger().execute("INSERT INTO requests (id, state, requester, target, lapses_at) VALUES ('aaaaaaaa', 'odd', 1, 't', 1)", []);
        assert!(odd.is_err());
    }

    #[test]
    fn nothing_of_a_final_request_changes_but_its_note() {
        let connection = ledger();
        request(&connection, "aaaaaaaa", "refused").unwrap();
        for change in [
            "UPDATE request_docs SET doc = json_set(doc, '$.x', 2)",
            "UPDATE requests SET granted_at = 2",
            "UPDATE requests SET expires_at = 2",
            "UPDATE requests SET ended = '{}'",
            "UPDATE requests SET ended_at = 2",
            "UPDATE requests SET lapses_at = 2",
            "UPDATE requests SET requester = 2",
            "UPDATE requests SET target = 'u'",
            "UPDATE requests SET id = 'bbbbbbbb'",
            "UPDATE requests SET state = 'lapsed'",
            "DELETE FROM request_docs",
            "DELETE FROM requests",
            "REPLACE INTO requests (id, state, requester, target, lapses_at) VALUES ('aaaaaaaa', 'submitted', 2, 't', 1)",
            "REPLACE INTO request_docs VALUES (1, '{}')",
        ] {
            law(connection.execute(change, []).expect_err(change));
        }
        let note = "UPDATE requests SET outcome = 'so'";
        assert_eq!(connection.execute(note, []), Ok(1));
    }

    #[test]
    fn what_was_asked_and_approved_stays_from_the_grant_on() {
        for state in State::ALL {
            let connection = ledger();
            forced(&connection, state);
            let change = "UPDATE request_docs SET doc = json_set(doc, '$.x', 2)";
            let changed = connection.execute(change, []);
            match state {
                State::Submitted | State::Pending | State::Approved => {
                    assert_eq!(changed, Ok(1), "{state}");
                }
                _ => {
                    law(changed.unwrap_err());
                }
            }
        }
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
            "UPDATE leases SET doc = 9",
            "UPDATE leases SET target = 'u'",
            "DELETE FROM leases",
        ] {
            law(connection.execute(change, []).expect_err(change));
        }
        for odd in [
            "UPDATE leases SET ended_at = 1",
            "UPDATE leases SET state = 'gone'",
            "UPDATE leases SET state = 'gone', ended_at = 1",
            "UPDATE leases SET state = 'gone', live = NULL",
            "UPDATE leases SET live = NULL, ended_at = 1",
            "UPDATE leases SET live = NULL",
            "UPDATE leases SET live = 0",
            "UPDATE leases SET live = 2",
        ] {
            assert!(connection.execute(odd, []).is_err(), "{odd}");
        }
        connection
            .execute("UPDATE leases SET expires_at = 99, state = 'held'", [])
            .unwrap();
        connection.execute(sql::LEASE_DOC_INSERT, ["{}"]).unwrap();
        let renamed = "UPDATE leases SET doc = 2, stamp = 's'";
        assert_eq!(connection.execute(renamed, []), Ok(1), "while it is live");
        connection
            .execute(
                "UPDATE leases SET state = 'revoked', live = NULL, ended_at = 5",
                [],
            )
            .unwrap();
        for change in [
            "UPDATE leases SET state = 'held', live = 1, ended_at = NULL",
            "UPDATE leases SET note = 'so'",
            "UPDATE leases SET stamp = 't'",
            "UPDATE leases SET doc = 1",
            "UPDATE lease_docs SET doc = '{\"a\":1}'",
            "DELETE FROM lease_docs",
            "DELETE FROM leases",
            "REPLACE INTO lease_docs VALUES (1, '{}')",
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
            .execute(
                "UPDATE leases SET state = 'gone', live = NULL, ended_at = 1",
                [],
            )
            .unwrap();
        connection.execute(end, []).unwrap();
        let late =
            "INSERT INTO leases (request, position, target, state, live, doc, key, expires_at, boot, boot_due)
                VALUES ('aaaaaaaa', 2, 't', 'owed', 1, 1, 'k', 100, 'b', 100)";
        law(connection.execute(late, []).unwrap_err());
    }

    #[test]
    fn a_lease_has_its_document() {
        let connection = ledger();
        request(&connection, "aaaaaaaa", "approved").unwrap();
        lease(&connection, "aaaaaaaa", "owed").unwrap();
        let without =
            "INSERT INTO leases (request, position, target, state, live, doc, key, expires_at, boot, boot_due)
                VALUES ('aaaaaaaa', 2, 't', 'owed', 1, 2, 'k', 100, 'b', 100)";
        law(connection.execute(without, []).unwrap_err());
        connection.execute(sql::LEASE_DOC_INSERT, ["{}"]).unwrap();
        assert_eq!(connection.execute(without, []), Ok(1));
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
            .execute(sql::EVENT_INSERT, ["aaaaaaaa", "x"])
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
            .execute(sql::EVENT_INSERT, [None, Some("x")])
            .unwrap();
        let below = "INSERT INTO events (seq, line) VALUES (-1, 'y')";
        assert!(connection.execute(below, []).is_err());
        let number = "SELECT max(seq), count(*) FROM events";
        let numbers = connection.query_row(number, [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(numbers.unwrap(), (2, 2));
    }
}
