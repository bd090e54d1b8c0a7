//! Committing, and knowing that it was: a COMMIT may answer ROLLBACK, or nothing at all.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::engines::EngineError;
use crate::engines::postgres::identity::get;
use crate::engines::postgres::link::{Fault, Link, Send};

use super::{Done, Failure, changed, is_passing, lost};

const XACT_STATUS: &str = include_str!("../sql/xact_status.sql");

pub(super) async fn commit(link: &Link, xid: String) -> Result<Done, Failure> {
    crate::failpoint::reach("postgres-uncommitted");
    let mut answers = link
        .pipeline(vec![Send::Run("COMMIT".to_owned()), status(&xid)])
        .await
        .into_iter();
    crate::failpoint::reach("postgres-committed");
    let (committed, told) = (answers.next(), answers.next());
    match committed {
        Some(Ok(_)) => {}
        Some(Err(fault @ Fault::Refused { .. })) => {
            let passing = fault.code().is_some_and(is_passing);
            return Err(Failure::Pieces {
                culprits: BTreeSet::new(),
                error: link.error(fault, "COMMIT"),
                passing,
            });
        }
        Some(Err(fault)) => return Err(lost(link, fault, Some(xid))),
        None => return Err(Failure::Whole(changed(link, "COMMIT", "it was not sent"))),
    }
    match told {
        Some(Ok(rows)) => match fate(&rows).map_err(Failure::Whole)? {
            Fate::Committed => Ok(Done { xid }),
            Fate::Aborted => Err(Failure::Pieces {
                culprits: BTreeSet::new(),
                error: changed(link, "COMMIT", "it answered ROLLBACK"),
                passing: true,
            }),
            Fate::Open | Fate::Unknown => Err(Failure::Lost {
                error: changed(link, "COMMIT", "the server does not say what became of it"),
                xid: Some(xid),
            }),
        },
        Some(Err(fault)) => Err(lost(link, fault, Some(xid))),
        None => Err(Failure::Whole(changed(link, "COMMIT", "it was not sent"))),
    }
}

fn status(xid: &String) -> Send<'_> {
    Send::Ask {
        name: "fate of the transaction",
        sql: XACT_STATUS,
        parameters: vec![(xid, Type::TEXT)],
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Committed,
    Aborted,
    Open,
    /// Too old, or no answer.
    Unknown,
}

fn fate(rows: &[Row]) -> Result<Fate, EngineError> {
    let word: Option<String> = match rows.first() {
        Some(row) => get(row, 0)?,
        None => None,
    };
    Ok(match word.as_deref() {
        Some("committed") => Fate::Committed,
        Some("aborted") => Fate::Aborted,
        Some("in progress") => Fate::Open,
        _ => Fate::Unknown,
    })
}

/// Asks a new connection what became of a transaction whose COMMIT got no answer; waits a little while it is open.
pub async fn fate_of(link: &Link, xid: &String) -> Result<Fate, EngineError> {
    for _ in 0..20 {
        let rows = match link.pipeline(vec![status(xid)]).await.pop() {
            Some(answer) => answer.map_err(|fault| link.error(fault, "fate of the transaction"))?,
            None => Vec::new(),
        };
        match fate(&rows)? {
            Fate::Open => tokio::time::sleep(Duration::from_millis(100)).await,
            told => return Ok(told),
        }
    }
    Ok(Fate::Open)
}
