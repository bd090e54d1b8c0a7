//! Every statement of the ledger, from its file.

macro_rules! sql {
    ($($name:ident = $file:literal, $text:expr;)*) => {
        $(pub const $name: &str = $text;)*
        /// All of them but the schema, so that a test can have each prepared.
        #[cfg(test)]
        pub const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

/// A way to find requests, with the beginning and the end that all of them share.
macro_rules! found {
    ($way:literal) => {
        concat!(
            include_str!("sql/requests_whole.sql"),
            include_str!(concat!("sql/", $way, ".sql")),
            include_str!("sql/requests_found.sql")
        )
    };
}

sql! {
    EVENT_HEAD = "event_head", include_str!("sql/event_head.sql");
    EVENT_INSERT = "event_insert", include_str!("sql/event_insert.sql");
    EVENTS_FROM = "events_from", include_str!("sql/events_from.sql");
    EVENTS_OF = "events_of", include_str!("sql/events_of.sql");
    FACT_GET = "fact_get", include_str!("sql/fact_get.sql");
    FACT_SET = "fact_set", include_str!("sql/fact_set.sql");
    HOLD_INSERT = "hold_insert", include_str!("sql/hold_insert.sql");
    HOLD_SAVE = "hold_save", include_str!("sql/hold_save.sql");
    HOLDS_ALL = "holds_all", include_str!("sql/holds_all.sql");
    HOLDS_STANDING = "holds_standing", include_str!("sql/holds_standing.sql");
    JOURNAL_MARK = "journal_mark", include_str!("sql/journal_mark.sql");
    JOURNAL_MARK_SET = "journal_mark_set", include_str!("sql/journal_mark_set.sql");
    LEASE_DOC = "lease_doc", include_str!("sql/lease_doc.sql");
    LEASE_DOC_INSERT = "lease_doc_insert", include_str!("sql/lease_doc_insert.sql");
    LEASE_END = "lease_end", include_str!("sql/lease_end.sql");
    LEASE_INSERT = "lease_insert", include_str!("sql/lease_insert.sql");
    LEASE_KEYS_DUE = "lease_keys_due", include_str!("sql/lease_keys_due.sql");
    LEASE_KEYS_LIVE = "lease_keys_live", include_str!("sql/lease_keys_live.sql");
    LEASE_MOVE = "lease_move", include_str!("sql/lease_move.sql");
    LEASE_SAVE = "lease_save", include_str!("sql/lease_save.sql");
    LEASE_SERVERS_LIVE = "lease_servers_live", include_str!("sql/lease_servers_live.sql");
    LEASE_TARGETS_LIVE = "lease_targets_live",
        concat!(include_str!("sql/live_targets.sql"), include_str!("sql/lease_targets_live.sql"));
    LEASES_END = "leases_end", include_str!("sql/leases_end.sql");
    LEASES_MOVE = "leases_move", include_str!("sql/leases_move.sql");
    LEASES_DUE = "leases_due", include_str!("sql/leases_due.sql");
    LEASES_ENDED_SINCE = "leases_ended_since", include_str!("sql/leases_ended_since.sql");
    LEASES_LIVE = "leases_live", include_str!("sql/leases_live.sql");
    LEASES_LIVE_OF_REQUESTS = "leases_live_of_requests", include_str!("sql/leases_live_of_requests.sql");
    LEASES_LIVE_OF_TARGET = "leases_live_of_target", include_str!("sql/leases_live_of_target.sql");
    LEASES_GIVEN_WITH_KEYS = "leases_given_with_keys", include_str!("sql/leases_given_with_keys.sql");
    LEASES_OF = "leases_of", include_str!("sql/leases_of.sql");
    LEDGER_ID = "ledger_id", include_str!("sql/ledger_id.sql");
    LEDGER_INSERT = "ledger_insert", include_str!("sql/ledger_insert.sql");
    PERSON_NAME = "person_name", include_str!("sql/person_name.sql");
    PERSON_SEEN = "person_seen", include_str!("sql/person_seen.sql");
    REQUEST_BY_ID = "request_by_id",
        concat!(include_str!("sql/requests_whole.sql"), include_str!("sql/request_by_id.sql"));
    REQUEST_DOC_INSERT = "request_doc_insert", include_str!("sql/request_doc_insert.sql");
    REQUEST_DOC_SAVE = "request_doc_save", include_str!("sql/request_doc_save.sql");
    REQUEST_INSERT = "request_insert", include_str!("sql/request_insert.sql");
    REQUEST_MOVE = "request_move", include_str!("sql/request_move.sql");
    REQUESTS_BY_IDS = "requests_by_ids",
        concat!(include_str!("sql/requests_whole.sql"), include_str!("sql/requests_by_ids.sql"));
    REQUESTS_BY_PREFIX = "requests_by_prefix", found!("requests_by_prefix");
    REQUESTS_ENDED_SINCE = "requests_ended_since", found!("requests_ended_since");
    REQUESTS_IN_STATES = "requests_in_states", found!("requests_in_states");
    REQUESTS_LAPSING = "requests_lapsing", found!("requests_lapsing");
    REQUESTS_NEWEST = "requests_newest", found!("requests_newest");
    REQUESTS_OF_REQUESTER = "requests_of_requester", found!("requests_of_requester");
    REQUESTS_OF_TARGET = "requests_of_target", found!("requests_of_target");
    REQUESTS_WAITING = "requests_waiting", include_str!("sql/requests_waiting.sql");
    SEEN_ADVANCE = "seen_advance", include_str!("sql/seen_advance.sql");
    SEEN_GET = "seen_get", include_str!("sql/seen_get.sql");
    SEEN_RESET = "seen_reset", include_str!("sql/seen_reset.sql");
    SUBMISSION_BY_DIGEST = "submission_by_digest", include_str!("sql/submission_by_digest.sql");
    SUBMISSIONS_OF = "submissions_of", include_str!("sql/submissions_of.sql");
    SUBMISSION_INSERT = "submission_insert", include_str!("sql/submission_insert.sql");
    TEXT_BY_HASH = "text_by_hash", include_str!("sql/text_by_hash.sql");
    TEXT_KEEP = "text_keep", include_str!("sql/text_keep.sql");
    WORK_DUE = "work_due",
        concat!(include_str!("sql/live_targets.sql"), include_str!("sql/work_due.sql"));
    WORK_WAITING = "work_waiting", include_str!("sql/work_waiting.sql");
}

/// The schema in its first released version, and a step for each version after it.
pub const MIGRATIONS: &[&str] = &[include_str!("sql/schema.sql")];

/// The version that the first of [`MIGRATIONS`] makes: what came before it was never released.
pub const FIRST_VERSION: i64 = 4;

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, StatementStatus};

    use super::super::migrate::in_memory;
    use crate::stores::sqlite::statements as sql;

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

    #[test]
    fn a_statement_is_planned_once_and_not_for_each_value() {
        let connection = in_memory().unwrap();
        for (name, statement) in [
            ("request_by_id", sql::REQUEST_BY_ID),
            ("leases_of", sql::LEASES_OF),
            ("submission_by_digest", sql::SUBMISSION_BY_DIGEST),
        ] {
            let mut asked = connection.prepare(statement).unwrap();
            for id in ["one", "another", "third"] {
                assert!(!asked.exists([id]).unwrap());
                asked.clear_bindings();
            }
            let again = asked.get_status(StatementStatus::RePrepare);
            assert_eq!(again, 0, "{name}");
        }
    }

    /// No statement reads a table that grows from end to end, but for the lists that people ask for with a limit.
    #[test]
    fn the_cost_grows_with_what_is_due_and_never_with_history() {
        let connection = in_memory().unwrap();
        for (name, statement) in sql::ALL {
            for step in plan_of(&connection, statement) {
                let growing = [
                    "requests",
                    "leases",
                    "events",
                    "submissions",
                    "texts",
                    "people",
                    "lease_docs",
                    "l",
                    "r",
                    "d",
                ];
                let scans = step
                    .strip_prefix("SCAN ")
                    .is_some_and(|rest| growing.contains(&rest.split(' ').next().unwrap()));
                let allowed = match *name {
                    "requests_newest" => step == "SCAN requests",
                    // One step down the tree: LIMIT 1.
                    "event_head" => step == "SCAN events",
                    // The index holds nothing but live ones.
                    "leases_live" => step.starts_with("SCAN l USING INDEX leases_by_key"),
                    _ => false,
                };
                assert!(!scans || allowed, "{name}: {step}");
            }
        }
    }

    /// A sorter keeps all that it sorts in memory: numbers, not the documents of all requests that are open.
    #[test]
    fn no_documents_of_requests_are_sorted() {
        let connection = in_memory().unwrap();
        let of_requests = sql::ALL
            .iter()
            .filter(|(name, _)| name.starts_with("requests_"));
        for (name, statement) in of_requests {
            let mut explain = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
                .unwrap();
            let mut rows = explain.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let (parent, step): (i64, String) = (row.get(1).unwrap(), row.get(3).unwrap());
                assert!(parent != 0 || !step.contains("TEMP B-TREE"), "{name}");
            }
        }
    }

    /// SQLite copies each page before such a statement touches it, or makes a table for it, at every row. One that moves
    /// many rows may make one for all of them.
    #[test]
    fn what_a_sweep_writes_by_the_thousand_neither_may_fail_alone_nor_needs_a_table() {
        let connection = in_memory().unwrap();
        for (name, statement) in [
            ("event_insert", sql::EVENT_INSERT),
            ("lease_insert", sql::LEASE_INSERT),
            ("lease_end", sql::LEASE_END),
            ("lease_move", sql::LEASE_MOVE),
            ("leases_end", sql::LEASES_END),
            ("leases_move", sql::LEASES_MOVE),
            ("request_move", sql::REQUEST_MOVE),
        ] {
            // With the triggers' own programs.
            let mut explain = connection.prepare(&format!("EXPLAIN {statement}")).unwrap();
            let mut rows = explain.raw_query();
            let mut steps = 0;
            let mut tables = 0;
            while let Some(row) = rows.next().unwrap() {
                let (operation, p2): (String, i64) = (row.get(1).unwrap(), row.get(3).unwrap());
                let costly = match operation.as_str() {
                    "Function" | "PureFunc" | "MustBeInt" => true,
                    "OpenEphemeral" => {
                        tables += 1;
                        tables > usize::from(name.starts_with("leases_"))
                    }
                    // 2 is ABORT.
                    "Halt" | "HaltIfNull" => p2 == 2,
                    _ => false,
                };
                assert!(!costly, "{name}: {operation} {p2}");
                steps += 1;
            }
            assert!(steps > 10, "{name}");
        }
    }

    #[test]
    fn what_every_sweep_asks_goes_by_the_partial_indexes() {
        let connection = in_memory().unwrap();
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
                sql::LEASE_KEYS_DUE,
                "SEARCH leases USING INDEX leases_by_expiry (target=? AND expires_at<?)",
            ),
            (
                sql::LEASE_KEYS_DUE,
                "SEARCH leases USING INDEX leases_by_boot (target=? AND boot=? AND boot_due<?)",
            ),
            (
                sql::LEASE_KEYS_DUE,
                "SEARCH r USING INDEX requests_by_state (state=?)",
            ),
            (
                sql::LEASE_KEYS_DUE,
                "SEARCH l USING INDEX sqlite_autoindex_leases_1 (request=?)",
            ),
            (
                sql::LEASES_DUE,
                "SEARCH l USING INDEX sqlite_autoindex_leases_1 (request=?)",
            ),
            (
                sql::LEASE_KEYS_LIVE,
                "SEARCH leases USING INDEX leases_by_key (target=?)",
            ),
            (
                sql::LEASE_TARGETS_LIVE,
                "SEARCH l USING INDEX leases_by_key (target>?)",
            ),
            (
                sql::LEASE_SERVERS_LIVE,
                "SEARCH leases USING INDEX leases_by_key (target=?)",
            ),
            (
                sql::LEASES_LIVE_OF_REQUESTS,
                "SEARCH own USING INDEX sqlite_autoindex_leases_1 (request=?)",
            ),
            (
                sql::LEASES_LIVE_OF_REQUESTS,
                "SEARCH l USING INDEX leases_by_key (target=? AND key=?)",
            ),
            (
                sql::LEASES_GIVEN_WITH_KEYS,
                "SEARCH l USING INDEX leases_by_key (target=? AND key=?)",
            ),
            (
                sql::LEASES_LIVE_OF_TARGET,
                "SEARCH l USING INDEX leases_by_key (target=?)",
            ),
            (
                sql::LEASES_ENDED_SINCE,
                "SEARCH l USING INDEX leases_by_end (target=? AND ended_at>?)",
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
                sql::REQUESTS_WAITING,
                "SEARCH r USING INDEX requests_by_state (state=?)",
            ),
            (
                sql::REQUESTS_ENDED_SINCE,
                "SEARCH requests USING INDEX requests_by_end (ended_at>?)",
            ),
            (
                sql::REQUESTS_BY_IDS,
                "SEARCH r USING INDEX sqlite_autoindex_requests_1 (id=?)",
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
            (
                sql::WORK_DUE,
                "SEARCH leases USING INDEX leases_by_expiry (target=? AND expires_at<?)",
            ),
            (
                sql::WORK_DUE,
                "SEARCH leases USING INDEX leases_by_boot (target=? AND boot=? AND boot_due<?)",
            ),
            (
                sql::WORK_DUE,
                "SEARCH l USING INDEX leases_by_key (target>?)",
            ),
            (
                sql::WORK_WAITING,
                "SEARCH r USING INDEX requests_by_state (state=?)",
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
}
