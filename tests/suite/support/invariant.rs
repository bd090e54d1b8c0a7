//! The one invariant, whatever broke: after the faults stopped and one sweep ran, what every account can really read
//! equals what the ledger says and what was there before, nothing is overdue, no privilege that was there before is
//! missing, and the audit chain verifies with no event lost or doubled.
//!
//! ```ignore
//! let before = Before::of(&shop);
//! // … faults …
//! before.nothing_is_left_behind(&shop);
//! ```

use std::collections::{BTreeMap, BTreeSet};

use jit::access::{Identity, Lease, LeaseState, Now, RequestId, State, Ttl};
use jit::stores::sqlite::SqliteLedger;
use jit::stores::{FindLeases, FindRequests, Ledger};

use super::client::Session;
use super::jit::run;
use super::people::cron;
use super::server::Kind;
use super::shop::Shop;

/// Account (without the shop's suffix), table, column: what somebody can read.
pub type Cell = (String, String, String);

/// The accounts of a shop that receive access.
pub const ACCOUNTS: [&str; 5] = ["jitalice", "jitbob", "jitcarol", "jitdave", "jitmallory"];

/// What accounts could read, and which privileges others than `jit` had given, before anything was asked for.
#[derive(Clone, Debug)]
pub struct Before {
    accounts: Vec<String>,
    reads: BTreeSet<Cell>,
    rows: BTreeSet<String>,
    disputes: bool,
}

impl Before {
    pub fn of(shop: &Shop<'_>) -> Self {
        Self::of_accounts(shop, ACCOUNTS.map(str::to_owned).to_vec())
    }

    /// The same where others receive access.
    pub fn of_accounts(shop: &Shop<'_>, accounts: Vec<String>) -> Self {
        Self {
            reads: readable_by(shop, &accounts),
            rows: foreign_rows(shop),
            accounts,
            disputes: false,
        }
    }

    /// A DBA has given these, too, and not taken them back. Where rows of the catalog have names and no giver, a
    /// lease beside them may wait for a person now: then it is disputed, and the sweep says so.
    pub fn and_meanwhile(mut self, reads: impl IntoIterator<Item = Cell>) -> Self {
        self.reads.extend(reads);
        // What our grantor may give goes with a column that a DBA drops.
        self.rows.retain(|row| !row.starts_with("jit_grantor_"));
        self.disputes = true;
        self
    }

    /// Sweeps once, which must succeed, and looks at everything.
    #[track_caller]
    pub fn nothing_is_left_behind(&self, shop: &Shop<'_>) {
        // What becomes due while the sweep is on its way is the next one's.
        let now = jit::workflow::clock::now();
        shop.sweep().ok();
        self.is_kept(shop, &now);
    }

    /// The same by a clock that goes so many seconds ahead. When the sweep began.
    #[track_caller]
    pub fn nothing_is_left_behind_at(&self, shop: &Shop<'_>, seconds: u64) -> Now {
        let ahead = format!("+{seconds}s");
        let mut now = jit::workflow::clock::now();
        now.at = now.at.plus(Ttl::from_secs(seconds));
        let sweep = run(&mut shop.jit.command_at(&ahead, &cron(), &["sweep"]), "");
        let waits = self.disputes && !disputed(&ledger(shop)).is_empty();
        assert!(sweep.code == 0 || (waits && sweep.code == 6), "{sweep}");
        self.is_kept(shop, &now);
        now
    }

    /// What can be read now and could not be before, each with the requests of all live leases of it.
    pub fn given_since(&self, shop: &Shop<'_>, ledger: &dyn Ledger) -> Vec<(Cell, Vec<RequestId>)> {
        let live = ledger.leases(&FindLeases::Live(None)).expect("readable");
        let mut leases: BTreeMap<Cell, Vec<RequestId>> = BTreeMap::new();
        for lease in &live {
            if let Some(cell) = cell_of(shop, lease) {
                let requests = leases.entry(cell).or_default();
                requests.push(lease.id.request.clone());
            }
        }
        readable_by(shop, &self.accounts)
            .difference(&self.reads)
            .map(|cell| (cell.clone(), leases.remove(cell).unwrap_or_default()))
            .collect()
    }

    /// Looks at everything, without a sweep. What was due by `now` must be gone.
    #[track_caller]
    pub fn is_kept(&self, shop: &Shop<'_>, now: &Now) {
        let ledger = ledger(shop);
        let wanted: BTreeSet<Cell> = self.reads.union(&leased(shop, &ledger)).cloned().collect();
        assert_eq!(
            readable_by(shop, &self.accounts),
            wanted,
            "what can be read (left) is what the ledger says and what was there before (right)"
        );
        let missing: Vec<_> = self.rows.difference(&foreign_rows(shop)).cloned().collect();
        assert!(missing.is_empty(), "was there before: {missing:#?}");
        let excused = if self.disputes {
            disputed(&ledger)
        } else {
            BTreeSet::new()
        };
        nothing_is_overdue(&ledger, now, &excused);
        audit_is_whole(shop, &ledger);
    }
}

/// The shop's ledger, read here and not by a command.
#[track_caller]
pub fn ledger(shop: &Shop<'_>) -> SqliteLedger {
    SqliteLedger::open(&shop.jit.ledger()).expect("the shop's ledger")
}

/// Tables and their columns as the catalog has them now.
pub fn tables(shop: &Shop<'_>) -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let sql = format!(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{}'",
        shop.schema()
    );
    for row in shop.dba(&sql) {
        let [Some(table), Some(column)] = row.as_slice() else {
            panic!("a name is NULL: {row:?}")
        };
        tables
            .entry(table.clone())
            .or_default()
            .push(column.clone());
    }
    tables
}

/// What these accounts can really read: each logs in and tries each column of each table.
#[track_caller]
pub fn readable_by(shop: &Shop<'_>, accounts: &[impl AsRef<str>]) -> BTreeSet<Cell> {
    let tables = tables(shop);
    let mut cells = BTreeSet::new();
    for account in accounts.iter().map(AsRef::as_ref) {
        let mut session = match Session::open(shop.server, &shop.as_account(account)) {
            Ok(session) => session,
            // no such account now
            Err(refused) if ["28P01", "28000", "1045"].contains(&refused.code.as_str()) => continue,
            Err(refused) => panic!("{account} cannot log in: {refused}"),
        };
        for (table, columns) in &tables {
            for column in columns {
                match session.sql(&format!("SELECT {column} FROM {}", shop.table(table))) {
                    Ok(_) => {
                        cells.insert((account.to_owned(), table.clone(), column.clone()));
                    }
                    Err(refused) => assert!(
                        ["42501", "1142", "1143", "1044"].contains(&refused.code.as_str()),
                        "{account} reads {table}.{column}: {refused}"
                    ),
                }
            }
        }
    }
    cells
}

/// What live leases of the ledger open now, by identity on Postgres and by name elsewhere.
pub fn leased(shop: &Shop<'_>, ledger: &dyn Ledger) -> BTreeSet<Cell> {
    let tables = tables(shop);
    let live = ledger.leases(&FindLeases::Live(None)).expect("readable");
    live.iter()
        .filter_map(|lease| cell_of(shop, lease))
        .filter(|(_, table, column)| tables.get(table).is_some_and(|all| all.contains(column)))
        .collect()
}

/// What a lease opens, by the names of today; `None` where nothing is left of it.
fn cell_of(shop: &Shop<'_>, lease: &Lease) -> Option<Cell> {
    let (login, table, column) = match &lease.privilege.identity {
        Identity::PostgresColumn {
            relation,
            attnum,
            role,
            ..
        } => {
            let sql = format!(
                "SELECT r.rolname, c.relname, a.attname FROM pg_roles r, pg_class c JOIN pg_attribute a ON \
                 a.attrelid = c.oid WHERE r.oid = {role} AND c.oid = {relation} AND a.attnum = {attnum} \
                 AND NOT a.attisdropped"
            );
            let rows = shop.dba(&sql);
            let row = rows.first()?;
            (row[0].clone()?, row[1].clone()?, row[2].clone()?)
        }
        Identity::MysqlColumn {
            table,
            column,
            user,
            ..
        } => (user.to_string(), table.to_string(), column.to_string()),
        Identity::PostgresSchema { .. } => return None,
    };
    let account = login.strip_suffix(&format!("_{}", shop.suffix))?;
    Some((account.to_owned(), table, column))
}

/// Privileges on the shop's tables that somebody else than `jit` has given, as text.
pub fn foreign_rows(shop: &Shop<'_>) -> BTreeSet<String> {
    let sql = match shop.server.kind() {
        Kind::Postgres => format!(
            "SELECT x.grantee::regrole::text || ' ' || x.privilege_type || ' on ' || x.what || ' by ' || \
             x.grantor::regrole::text || ' ' || x.is_grantable FROM ( \
             SELECT c.relname || '' AS what, (aclexplode(c.relacl)).* FROM pg_class c \
             WHERE c.relnamespace = 'public'::regnamespace \
             UNION ALL SELECT c.relname || '.' || a.attname, (aclexplode(a.attacl)).* FROM pg_class c \
             JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace \
             AND NOT a.attisdropped) x \
             WHERE x.grantor::regrole::text <> 'jit_grantor_{}'",
            shop.suffix
        ),
        Kind::Mysql | Kind::Mariadb => format!(
            "SELECT CONCAT(User, ' ', word, ' on ', Table_name, '.', Column_name) FROM mysql.columns_priv \
             JOIN (SELECT 'Select' AS word UNION ALL SELECT 'Insert' UNION ALL SELECT 'Update' \
             UNION ALL SELECT 'References') words ON FIND_IN_SET(word, Column_priv) \
             WHERE Db = '{0}' AND User <> '{1}' \
             UNION ALL SELECT CONCAT(User, ' ', Table_priv, ' on ', Table_name) FROM mysql.tables_priv \
             WHERE Db = '{0}' AND Table_priv <> ''",
            shop.database,
            shop.login("jitadmin")
        ),
    };
    shop.dba(&sql)
        .into_iter()
        .map(|row| row[0].clone().expect("a text"))
        .collect()
}

/// Requests of which a lease waits for a person's word.
fn disputed(ledger: &dyn Ledger) -> BTreeSet<RequestId> {
    let live = ledger.leases(&FindLeases::Live(None)).expect("readable");
    live.into_iter()
        .filter(|lease| matches!(lease.state, LeaseState::Disputed { .. }))
        .map(|lease| lease.id.request)
        .collect()
}

/// Nothing that should be gone is still owed, but for what these requests wait for.
#[track_caller]
pub fn nothing_is_overdue(ledger: &dyn Ledger, now: &Now, excused: &BTreeSet<RequestId>) {
    let unsettled: Vec<_> = ledger
        .requests(&FindRequests {
            states: Some(vec![State::Granting, State::Revoking]),
            ..FindRequests::default()
        })
        .expect("readable")
        .into_iter()
        .filter(|request| !excused.contains(&request.id))
        .map(|request| (request.id, request.state, request.outcome))
        .collect();
    assert!(unsettled.is_empty(), "unsettled: {unsettled:#?}");
    let due: Vec<_> = ledger
        .leases(&FindLeases::Live(None))
        .expect("readable")
        .into_iter()
        .filter(|lease| lease.is_due(now) && !excused.contains(&lease.id.request))
        .collect();
    assert!(due.is_empty(), "overdue at {}: {due:#?}", now.at);
}

/// The chain verifies; the file's lines are the ledger's, each once; and each lease's story is told once.
#[track_caller]
pub fn audit_is_whole(shop: &Shop<'_>, ledger: &dyn Ledger) {
    shop.jit(&cron(), &["audit", "verify"]).ok();
    let text = std::fs::read_to_string(shop.jit.audit()).expect("the audit file");
    let written: Vec<&str> = text.split_inclusive('\n').collect();
    let owed = ledger.lines_after(0, usize::MAX / 4).expect("readable");
    let known: Vec<&str> = owed.iter().map(|owed| owed.line.as_str()).collect();
    assert!(
        written == known,
        "the file has {} lines and the ledger {}; the first that differs: {:?}",
        written.len(),
        known.len(),
        written.iter().zip(&known).position(|(a, b)| a != b)
    );
    let events: Vec<serde_json::Value> = known
        .iter()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let requests = ledger.requests(&FindRequests::default()).expect("readable");
    for request in requests {
        let leases = ledger
            .leases(&FindLeases::Of(request.id.clone()))
            .expect("readable");
        for lease in &leases {
            let (Some(table), Some(column)) = (
                lease.privilege.named.table(),
                lease.privilege.named.column(),
            ) else {
                continue;
            };
            // Names may have changed since; the request has the ones it was asked by, and the events either.
            let told = |kinds: &[&str]| -> usize {
                events
                    .iter()
                    .filter(|event| {
                        event["request"] == request.id.as_str()
                            && kinds.contains(&event["event"].as_str().unwrap_or_default())
                            && event["table"] == table.to_string()
                            && event["columns"]
                                .as_array()
                                .is_some_and(|all| all.iter().any(|c| *c == column.0.as_str()))
                            && (event["event"] != "kept" || event["ended_at"].is_string())
                    })
                    .count()
            };
            let ended = told(&["revoked", "gone", "kept"]);
            let wanted = usize::from(!lease.state.is_live());
            assert_eq!(ended, wanted, "ends told of {lease:#?}");
            if matches!(lease.state, LeaseState::Held) {
                assert_eq!(told(&["granted"]), 1, "grants told of {lease:#?}");
            }
            assert!(told(&["granted"]) <= 1, "grants told of {lease:#?}");
            assert_eq!(told(&["granting"]), 1, "intents told of {lease:#?}");
        }
    }
}
