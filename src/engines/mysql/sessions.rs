//! Sessions: our own that still wait, and those of grantees that can go on reading.
//!
//! `SHOW FULL PROCESSLIST` is the one list that every version of both servers has, whatever is switched off. One
//! always sees one's own sessions in it; those of others only with PROCESS.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mysql_async::Params;

use super::account::Account;
use super::connection::Link;
use super::observe::{self, value};
use super::render::{self, MARK};
use super::rows::Place;
use crate::access::{Privilege, RequestId, TableName};
use crate::engines::{EngineError, Session};

/// How long a killed session may take to leave.
const LEAVING: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// A row of the process list.
struct Process {
    id: u64,
    user: String,
    /// Without the port.
    host: String,
    command: String,
    seconds: i64,
    statement: Option<String>,
}

async fn processes(link: &mut Link) -> Result<Vec<Process>, EngineError> {
    let rows = link
        .rows(include_str!("sql/processes.sql"), Params::Empty)
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let host: String = value(row, 2)?;
            Some(Process {
                id: value(row, 0)?,
                user: value(row, 1)?,
                host: without_port(&host).to_owned(),
                command: value(row, 4)?,
                seconds: value(row, 5).unwrap_or(0),
                statement: value::<Option<String>>(row, 7).flatten(),
            })
        })
        .collect())
}

/// `10.0.0.3:40112` → `10.0.0.3`; `localhost` as it is.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Our own other sessions that fit.
async fn own(
    link: &mut Link,
    fits: &dyn Fn(&Process) -> bool,
) -> Result<BTreeSet<u64>, EngineError> {
    // The list shows the name of the login, which is also what GRANT writes as grantor.
    let (me, session) = (link.server().grantor.clone(), link.server().session);
    Ok(processes(link)
        .await?
        .into_iter()
        .filter(|process| process.user == me && process.id != session && fits(process))
        .map(|process| process.id)
        .collect())
}

/// See `Engine::end_own`.
pub(super) async fn end_own(link: &mut Link, requests: &[RequestId]) -> Result<usize, EngineError> {
    link.ready().await?;
    end_fitting(link, &|process| {
        let statement = process.statement.as_deref();
        is_idle(process) || statement.is_some_and(|text| render::carries(text, requests))
    })
    .await
}

/// Before anything is changed on these tables: ends our own sessions that still wait with a GRANT or REVOKE on one of
/// them, and those that are idle. Operators exclude each other in the ledger, so such a session is one whose operator
/// is dead: MySQL would still carry its statement out when the lock is freed (facts-mysql, finding 3).
pub(super) async fn end_waiting(
    link: &mut Link,
    tables: &BTreeSet<TableName>,
) -> Result<usize, EngineError> {
    let names: Vec<String> = tables.iter().map(render::table).collect();
    end_fitting(link, &|process| {
        let statement = process.statement.as_deref();
        is_idle(process)
            || statement.is_some_and(|statement| {
                statement.starts_with(MARK) && names.iter().any(|name| statement.contains(name))
            })
    })
    .await
}

/// A session that does nothing says nothing of what it was for: its client may have prepared a GRANT or a REVOKE, and
/// the packet that has it carried out may still be on its way, sent again by a kernel whose program has long given it
/// up. What else is idle for a moment belongs to a command that only looks, and asks again.
fn is_idle(process: &Process) -> bool {
    process.command == "Sleep"
}

async fn end_fitting(
    link: &mut Link,
    fits: &dyn Fn(&Process) -> bool,
) -> Result<usize, EngineError> {
    let found = own(link, fits).await?;
    for id in &found {
        // Gone already (1094) is as good; whether it left is looked at below.
        match link.run(&format!("KILL {id}")).await {
            Ok(()) | Err(EngineError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let left = wait_until_gone(link, &found).await?;
    match left.first() {
        None => Ok(found.len()),
        Some(id) => Err(EngineError::Unknown {
            address: link.shown(),
            statement: format!("KILL {id}"),
            why: "our own session does not end; its statement may still be carried out".to_owned(),
        }),
    }
}

/// Those that are still there when the time is over.
async fn wait_until_gone(
    link: &mut Link,
    ids: &BTreeSet<u64>,
) -> Result<BTreeSet<u64>, EngineError> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let until = Instant::now() + LEAVING;
    loop {
        let left: BTreeSet<u64> = processes(link)
            .await?
            .into_iter()
            .map(|process| process.id)
            .filter(|id| ids.contains(id))
            .collect();
        if left.is_empty() || Instant::now() >= until {
            return Ok(left);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether the process list shows us everybody.
pub(super) async fn sees_all(link: &mut Link) -> Result<bool, EngineError> {
    let rights = observe::rights(link, &BTreeSet::new()).await?;
    let seeing: BTreeSet<Account> = observe::read::<(String, String)>(
        link,
        include_str!("sql/see_sessions.sql"),
        Params::Empty,
    )
    .await?
    .into_iter()
    .map(|(user, host)| Account::new(user, host))
    .collect();
    let me = &link.server().me;
    Ok(seeing.contains(me) || rights.roles_of(me).iter().any(|role| seeing.contains(role)))
}

/// See `Engine::sessions`.
///
/// MySQL checks every statement anew, so only a statement that runs now can go on: it finishes. (A server-side
/// cursor that was opened before goes on giving what it had collected by then; no list tells of those, so where a
/// policy ends sessions, idle ones are ended too.) On MariaDB a HANDLER that is open reads on for ever, whole rows,
/// and no list tells of those either: every session of the grantee counts (facts-mysql, finding 4).
pub(super) async fn sessions(
    link: &mut Link,
    of: &[Privilege],
    end: bool,
) -> Result<Vec<Session>, EngineError> {
    let mut accounts: BTreeMap<Account, BTreeSet<TableName>> = BTreeMap::new();
    for place in of
        .iter()
        .filter_map(|privilege| Place::named(&privilege.named))
    {
        accounts
            .entry(place.account)
            .or_default()
            .insert(place.table);
    }
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    if !sees_all(link).await? {
        return Err(EngineError::NotSetUp {
            address: link.shown(),
            why: "our account may not see the sessions of others (PROCESS)".to_owned(),
        });
    }
    let mariadb = link.server().is_mariadb();
    let ours = link.server().session;
    let mut found = Vec::new();
    for process in processes(link).await? {
        if process.id == ours {
            continue;
        }
        let Some((account, tables)) = accounts.iter().find(|(account, _)| {
            account.user == process.user && account.may_come_from(&process.host)
        }) else {
            continue;
        };
        if let Some(why) = why(&process, tables, mariadb, end) {
            found.push(Session {
                id: process.id,
                account: account.to_string(),
                why: format!("{why} (from {})", process.host),
                ended: false,
            });
        }
    }
    if end {
        end_all(link, &mut found).await?;
    }
    Ok(found)
}

fn why(
    process: &Process,
    tables: &BTreeSet<TableName>,
    mariadb: bool,
    end: bool,
) -> Option<String> {
    let running = process.statement.is_some() || process.command != "Sleep";
    let names: Vec<_> = tables.iter().map(ToString::to_string).collect();
    match (mariadb, running) {
        (true, _) => Some(format!(
            "open since before the revoke: a HANDLER that it may have open goes on reading {}",
            names.join(" and ")
        )),
        (false, true) => Some(format!(
            "running a statement since {} s, which finishes",
            process.seconds.max(0)
        )),
        (false, false) if end => Some(
            "idle; a cursor that it may have open goes on giving what it had collected".to_owned(),
        ),
        (false, false) => None,
    }
}

async fn end_all(link: &mut Link, found: &mut [Session]) -> Result<(), EngineError> {
    let mut killed = BTreeSet::new();
    for session in found.iter_mut() {
        match link.run(&format!("KILL {}", session.id)).await {
            Ok(()) => {
                killed.insert(session.id);
            }
            // 1094: it has left by itself.
            Err(EngineError::Refused { code, .. }) if code == "1094" => {
                killed.insert(session.id);
            }
            Err(EngineError::Refused { message, code, .. }) => {
                session
                    .why
                    .push_str(&format!("; it could not be ended: {message} ({code})"));
            }
            Err(error) => return Err(error),
        }
    }
    let left = wait_until_gone(link, &killed).await?;
    for session in found.iter_mut() {
        session.ended = killed.contains(&session.id) && !left.contains(&session.id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_cut_off() {
        assert_eq!(without_port("10.0.0.3:40112"), "10.0.0.3");
        assert_eq!(without_port("::1:40112"), "::1");
        assert_eq!(without_port("localhost"), "localhost");
        assert_eq!(without_port(""), "");
    }
}
