//! Every statement of the ledger, from its file.

macro_rules! sql {
    ($($name:ident = $file:literal;)*) => {
        $(pub const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)*
        /// All of them but the schema, so that a test can have each prepared.
        #[cfg(test)]
        pub const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

sql! {
    EVENT_HEAD = "event_head";
    EVENT_INSERT = "event_insert";
    EVENTS_FROM = "events_from";
    EVENTS_OF = "events_of";
    FACT_GET = "fact_get";
    FACT_SET = "fact_set";
    HOLD_INSERT = "hold_insert";
    HOLD_SAVE = "hold_save";
    HOLDS_ALL = "holds_all";
    HOLDS_STANDING = "holds_standing";
    JOURNAL_MARK = "journal_mark";
    JOURNAL_MARK_SET = "journal_mark_set";
    LEASE_INSERT = "lease_insert";
    LEASE_SAVE = "lease_save";
    LEASES_DUE = "leases_due";
    LEASES_ENDED_SINCE = "leases_ended_since";
    LEASES_LIVE = "leases_live";
    LEASES_LIVE_OF_TARGET = "leases_live_of_target";
    LEASES_LIVE_WITH_KEYS = "leases_live_with_keys";
    LEASES_OF = "leases_of";
    LEDGER_ID = "ledger_id";
    LEDGER_INSERT = "ledger_insert";
    PERSON_NAME = "person_name";
    PERSON_SEEN = "person_seen";
    REQUEST_BY_ID = "request_by_id";
    REQUEST_INSERT = "request_insert";
    REQUEST_SAVE = "request_save";
    REQUESTS_BY_PREFIX = "requests_by_prefix";
    REQUESTS_ENDED_SINCE = "requests_ended_since";
    REQUESTS_IN_STATES = "requests_in_states";
    REQUESTS_LAPSING = "requests_lapsing";
    REQUESTS_NEWEST = "requests_newest";
    REQUESTS_OF_REQUESTER = "requests_of_requester";
    REQUESTS_OF_TARGET = "requests_of_target";
    SEEN_ADVANCE = "seen_advance";
    SEEN_GET = "seen_get";
    SEEN_RESET = "seen_reset";
    SUBMISSION_BY_DIGEST = "submission_by_digest";
    SUBMISSIONS_OF = "submissions_of";
    SUBMISSION_INSERT = "submission_insert";
    TEXT_BY_HASH = "text_by_hash";
    TEXT_KEEP = "text_keep";
}

/// The schema, one step a version: the first makes version 1.
pub const MIGRATIONS: &[&str] = &[include_str!("sql/schema_1.sql")];
