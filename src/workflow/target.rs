//! One visit to one target: what it found, and what went wrong there without touching the others.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::access::{At, Lease, RequestId, TargetName};
use crate::audit::event::EventKind;
use crate::engines::{self, EngineError};
use crate::stores::StoreError;

use super::remember::ColumnsRead;

/// Why a step on a target could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Failing {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// The revokes were done and proven; the ledger could not take it.
    #[error("it is seen gone from the catalog, but that could not be recorded: {0}")]
    Unrecorded(StoreError),
    /// Two targets of the settings are one database.
    #[error("{target} and {twin} are one database; take one of them out of the settings")]
    Twins {
        target: TargetName,
        twin: TargetName,
    },
    /// The audit file cannot take lines.
    #[error("{0}")]
    Audit(String),
}

/// A lease that should be gone and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overdue {
    pub request: RequestId,
    pub what: String,
    pub since: At,
    pub why: String,
    /// Nothing failed: it waits for a person, because somebody else has granted the same.
    pub disputed: bool,
}

/// What one visit did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TargetReport {
    pub target: String,
    /// Why the target could not be worked on at all.
    pub unreachable: Option<String>,
    /// Another operator was at work there and stayed.
    pub locked: bool,
    /// Errors of single steps.
    pub errors: Vec<String>,
    /// The ledger could not be written, or the audit file could not take lines.
    pub ledger_errors: Vec<String>,
    pub audit_errors: Vec<String>,
    pub granted: usize,
    pub revoked: usize,
    pub gone: usize,
    pub kept: usize,
    pub strays: usize,
    pub refused: usize,
    pub failed: usize,
    /// Why each of these failed.
    pub failures: Vec<String>,
    /// Sessions that could go on reading.
    pub sessions: usize,
    /// Those that were ended because a REVOKE waited for them, in words.
    pub ended_sessions: Vec<String>,
    pub overdue: Vec<Overdue>,
    /// Why approved requests were not granted, if they were not.
    pub held_back: Option<String>,
    /// Whether everything that was due was looked at and nothing is left but what waits for a person.
    pub revokes_done: bool,
    /// That its columns were read.
    #[serde(skip)]
    pub columns_read: Option<ColumnsRead>,
}

impl TargetReport {
    pub fn new(target: &TargetName) -> Self {
        Self {
            target: target.to_string(),
            ..Self::default()
        }
    }

    pub fn count(&mut self, kind: EventKind) {
        match kind {
            EventKind::Revoked => self.revoked += 1,
            EventKind::Gone => self.gone += 1,
            EventKind::Kept => self.kept += 1,
            _ => {}
        }
    }

    /// A lease that could not be taken.
    pub fn trouble(&mut self, lease: &Lease, why: &str, now: At) {
        self.is_still_there(lease, why, now, false);
    }

    /// A lease that a person must decide about.
    pub fn disputed(&mut self, lease: &Lease, why: &str, now: At) {
        self.is_still_there(lease, why, now, true);
    }

    /// What keeps this target's revokes from being done, if anything does.
    pub fn undone(&self) -> Option<&str> {
        let failing = self.overdue.iter().find(|overdue| !overdue.disputed);
        self.unreachable
            .as_deref()
            .or(failing.map(|overdue| overdue.why.as_str()))
    }

    fn is_still_there(&mut self, lease: &Lease, why: &str, now: At, disputed: bool) {
        let what = match (
            lease.privilege.named.table(),
            lease.privilege.named.column(),
        ) {
            (Some(table), Some(column)) => format!("{table}:{column} of {}", lease.grantee),
            _ => format!("USAGE of {}", lease.grantee),
        };
        self.overdue.push(Overdue {
            request: lease.id.request.clone(),
            what,
            since: lease.expires_at.min(now),
            why: why.to_owned(),
            disputed,
        });
    }

    /// Files the sessions that the engine ended for its REVOKEs.
    pub fn ended(&mut self, reports: &[engines::Report]) {
        let ended: BTreeSet<&engines::Session> = reports
            .iter()
            .flat_map(|report| &report.in_the_way)
            .filter(|session| session.ended)
            .collect();
        self.ended_sessions.extend(ended.into_iter().map(|session| {
            format!(
                "session {} of {}: {}",
                session.id, session.account, session.why
            )
        }));
    }

    pub fn ledger_error(&mut self, error: &StoreError) {
        self.ledger_errors.push(error.to_string());
    }

    pub fn audit_error(&mut self, error: &Failing) {
        self.audit_errors.push(error.to_string());
    }

    /// Files an error where it belongs.
    pub fn file(&mut self, error: Failing) {
        match error {
            Failing::Engine(error) if error.is_unreachable() => {
                self.unreachable = Some(error.to_string())
            }
            Failing::Engine(error) => self.errors.push(error.to_string()),
            Failing::Ledger(error) => self.ledger_errors.push(error.to_string()),
            error @ Failing::Unrecorded(_) => self.ledger_errors.push(error.to_string()),
            error @ Failing::Twins { .. } => self.errors.push(error.to_string()),
            Failing::Audit(error) => self.audit_errors.push(error),
        }
    }
}
