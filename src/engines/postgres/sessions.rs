//! Sessions: those that can go on reading after a revoke, and our own that a crash left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_postgres::types::Type;

use crate::access::{Privilege, RequestId, TableName};
use crate::engines::{EngineError, Session};

use super::identities::{self, Spot};
use super::identity::get;
use super::link::{Fault, Link, Send};
use super::reads::Pairs;
use super::render;

const SESSIONS: &str = include_str!("sql/sessions.sql");
const TERMINATE: &str = include_str!("sql/terminate.sql");
const ALIVE: &str = include_str!("sql/alive.sql");
const OWN: &str = include_str!("sql/own_sessions.sql");
const CLOCK: &str = include_str!("sql/clock.sql");

/// How long to wait until the server shows ended sessions gone.
const UNTIL_GONE: Duration = Duration::from_secs(5);

/// Sessions that can go on reading: only those that hold a lock on the relation. Whoever must take a new one
/// learns of the REVOKE by that (facts-postgres, finding 2), so an open transaction without a lock there is none.
/// WITH HOLD cursors and copies are data that has left the table already, and do not show.
pub async fn sessions(
    link: &Link,
    database: u32,
    of: &[Privilege],
    end: bool,
) -> Result<Vec<Session>, EngineError> {
    let pairs: Pairs = identities::all(of, database, link.shown())?
        .iter()
        .filter_map(|entry| match entry.spot {
            Spot::Column { relation, .. } => Some((relation, entry.role)),
            Spot::Schema { .. } => None,
        })
        .collect();
    let rows = link.ask("sessions", SESSIONS, pairs.parameters()).await?;
    let mut found: BTreeMap<Backend, (Session, BTreeSet<TableName>)> = BTreeMap::new();
    for row in &rows {
        let backend = Backend {
            pid: get(row, 0)?,
            role: get(row, 1)?,
        };
        let table = TableName::new(get::<String>(row, 3)?, get::<String>(row, 4)?);
        let since: Option<String> = get(row, 6)?;
        let (_, tables) = found.entry(backend).or_insert((
            Session {
                id: u64::from(backend.pid.unsigned_abs()),
                account: get(row, 2)?,
                why: since
                    .map(|since| format!(" since {since}"))
                    .unwrap_or_default(),
                ended: false,
            },
            BTreeSet::new(),
        ));
        tables.insert(table);
    }
    for (session, tables) in found.values_mut() {
        let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
        session.why = format!(
            "open transaction with a lock on {}{}",
            tables.join(", "),
            session.why
        );
    }
    if end {
        let backends: Vec<Backend> = found.keys().copied().collect();
        let refused = terminate(link, &backends).await?;
        let left = gone(link, &backends).await?;
        for (backend, (session, _)) in &mut found {
            session.ended = !left.contains(&backend.pid);
            match refused.get(&backend.pid) {
                Some(why) if !session.ended => {
                    session.why = format!("{}; we may not end it: {why}", session.why);
                }
                _ if !session.ended => {
                    session.why = format!("{}; told to end, and still there", session.why);
                }
                _ => {}
            }
        }
    }
    Ok(found.into_values().map(|(session, _)| session).collect())
}

/// Ends other sessions of our own login that are in the middle of something for one of these requests.
///
/// # Errors
/// `Unknown` where one of them is still there after a while: what it was doing may still happen.
pub async fn end_own(link: &Link, requests: &[RequestId]) -> Result<usize, EngineError> {
    if requests.is_empty() {
        return Ok(0);
    }
    let ids: Vec<&str> = requests.iter().map(RequestId::as_str).collect();
    let rows = link
        .ask(
            "our own sessions",
            OWN,
            vec![(&ids, Type::TEXT_ARRAY), (&render::BATCH, Type::TEXT)],
        )
        .await?;
    let backends = rows
        .iter()
        .map(|row| {
            Ok(Backend {
                pid: get(row, 0)?,
                role: get(row, 1)?,
            })
        })
        .collect::<Result<Vec<_>, EngineError>>()?;
    let refused = terminate(link, &backends).await?;
    let left = gone(link, &backends).await?;
    match left.first() {
        None => Ok(backends.len()),
        Some(pid) => Err(EngineError::Unknown {
            address: link.shown().to_owned(),
            statement: "pg_terminate_backend".to_owned(),
            why: match refused.get(pid) {
                Some(why) => format!("session {pid} of our own cannot be ended: {why}"),
                None => format!("session {pid} of our own is still there"),
            },
        }),
    }
}

/// A session and whose it is: the number alone is soon somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Backend {
    pub(super) pid: i32,
    pub(super) role: u32,
}

impl Backend {
    fn end(&self) -> Send<'_> {
        Send::Ask {
            name: "end a session",
            sql: TERMINATE,
            parameters: vec![(&self.pid, Type::INT4), (&self.role, Type::OID)],
        }
    }
}

/// Tells sessions to end. Gives back why where the server refused.
pub(super) async fn terminate(
    link: &Link,
    backends: &[Backend],
) -> Result<BTreeMap<i32, String>, EngineError> {
    if backends.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sends = backends.iter().map(Backend::end).collect();
    let answers = link.pipeline(sends).await;
    crate::failpoint::reach("postgres-session-ended");
    let mut refused = BTreeMap::new();
    for (backend, answer) in backends.iter().zip(answers) {
        match answer {
            Ok(_) => {}
            Err(Fault::Refused { .. }) => {
                if let Some(why) = terminate_as_signaller(link, backend).await? {
                    refused.insert(backend.pid, why);
                }
            }
            Err(fault) => return Err(link.error(fault, "pg_terminate_backend")),
        }
    }
    Ok(refused)
}

/// Once more as pg_signal_backend: on 15 and before our login inherits nothing, and must become it.
async fn terminate_as_signaller(
    link: &Link,
    backend: &Backend,
) -> Result<Option<String>, EngineError> {
    let answers = link
        .pipeline(vec![
            Send::Run("BEGIN; SET LOCAL ROLE pg_signal_backend".to_owned()),
            backend.end(),
            // Ends the transaction whether or not it failed.
            Send::Run("COMMIT".to_owned()),
        ])
        .await;
    crate::failpoint::reach("postgres-session-ended");
    for answer in answers {
        match answer {
            Ok(_) => {}
            Err(Fault::Refused { message, .. }) => return Ok(Some(message)),
            Err(fault) => return Err(link.error(fault, "pg_terminate_backend")),
        }
    }
    Ok(None)
}

/// Waits until sessions are gone, and gives back those that are not.
pub(super) async fn gone(link: &Link, backends: &[Backend]) -> Result<Vec<i32>, EngineError> {
    if backends.is_empty() {
        return Ok(Vec::new());
    }
    let pids: Vec<i32> = backends.iter().map(|backend| backend.pid).collect();
    let roles: Vec<u32> = backends.iter().map(|backend| backend.role).collect();
    let deadline = Instant::now() + UNTIL_GONE;
    let mut pause = Duration::from_millis(5);
    loop {
        let rows = link
            .ask(
                "sessions that are left",
                ALIVE,
                vec![(&pids, Type::INT4_ARRAY), (&roles, Type::OID_ARRAY)],
            )
            .await?;
        let left = rows
            .iter()
            .map(|row| get(row, 0))
            .collect::<Result<Vec<i32>, _>>()?;
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// The server's clock minus ours, in milliseconds: ours is taken as the middle of the round trip.
pub async fn clock_skew(link: &Link) -> Result<i64, EngineError> {
    let before = millis();
    let rows = link.ask("clock", CLOCK, Vec::new()).await?;
    let after = millis();
    let theirs: i64 = match rows.first() {
        Some(row) => get(row, 0)?,
        None => before,
    };
    Ok(theirs - (before + (after - before) / 2))
}

fn millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
