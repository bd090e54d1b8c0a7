//! A request and the only ways in which it moves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::RequestId;
use super::names::{Grantee, TableColumns, TargetName};
use super::person::Person;
use super::privilege::Privilege;
use super::terms::Terms;
use super::time::{At, Ttl};

/// Where a request stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In the ledger, not yet judged against the target.
    #[default]
    Submitted,
    /// Waiting for approvers.
    Pending,
    /// Waiting for the grant.
    Approved,
    /// The intent is recorded; the GRANT may or may not have been sent.
    Granting,
    /// Observed in the catalog.
    Active,
    /// To be taken away; stays here until that is observed.
    Revoking,
    Ended,
    Refused,
    Denied,
    Cancelled,
    Lapsed,
    Failed,
}

impl State {
    pub const ALL: [Self; 12] = [
        Self::Submitted,
        Self::Pending,
        Self::Approved,
        Self::Granting,
        Self::Active,
        Self::Revoking,
        Self::Ended,
        Self::Refused,
        Self::Denied,
        Self::Cancelled,
        Self::Lapsed,
        Self::Failed,
    ];

    /// A request still waits for its GRANT, and may lapse.
    pub const WAITING: [Self; 3] = [Self::Submitted, Self::Pending, Self::Approved];

    /// The whole table of moves. The ledger's schema holds the same rows, and a test compares them.
    ///
    /// Beyond the contract's list, `submitted` may be cancelled, denied (by a kill switch) or lapse: a target
    /// that is down must not keep a request open for ever.
    pub const fn may_become(self, next: Self) -> bool {
        use State::*;
        matches!(
            (self, next),
            (
                Submitted,
                Pending | Approved | Refused | Cancelled | Denied | Lapsed
            ) | (Pending, Approved | Denied | Cancelled | Lapsed | Failed)
                | (Approved, Granting | Denied | Cancelled | Lapsed | Failed)
                | (Granting, Active | Revoking)
                | (Active, Revoking)
                | (Revoking, Ended | Failed)
        )
    }

    /// Whether nothing can happen to it any more.
    pub fn is_final(self) -> bool {
        Self::ALL.iter().all(|next| !self.may_become(*next))
    }

    /// Whether leases may exist that owe their undo.
    pub fn may_hold(self) -> bool {
        matches!(self, Self::Granting | Self::Active | Self::Revoking)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Granting => "granting",
            Self::Active => "active",
            Self::Revoking => "revoking",
            Self::Ended => "ended",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Lapsed => "lapsed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.word() == text)
            .ok_or_else(|| format!("{text:?} is not a state"))
    }
}

/// Why access is taken, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "lowercase")]
pub enum Ended {
    Expired,
    Returned,
    Revoked {
        by: String,
        reason: String,
    },
    /// The grant did not come about; what may have been given is taken back, and the request fails.
    Failed {
        why: String,
    },
}

impl Ended {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Returned => "returned",
            Self::Revoked { .. } => "revoked",
            Self::Failed { .. } => "failed",
        }
    }
}

/// One approver's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: Person,
    pub at: At,
    /// The approver's shorter duration, if any; the shortest of all rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What moves of a request while the rest of it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    pub state: State,
    pub granted_at: Option<At>,
    pub expires_at: Option<At>,
    pub ended: Option<Ended>,
    pub ended_at: Option<At>,
    pub outcome: Option<String>,
}

/// One person's ask, and all that has happened to it.
///
/// As JSON it is without its [`Course`]: a ledger keeps that beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub id: RequestId,
    #[serde(skip)]
    pub state: State,
    pub requester: Person,
    pub target: TargetName,
    pub grantee: Grantee,
    /// What was asked for, in full names.
    pub tables: Vec<TableColumns>,
    /// As asked; approvals may shorten the lease, never this.
    pub ttl: Ttl,
    pub reason: String,
    pub purpose: Option<String>,
    pub ticket: Option<String>,
    /// The request whose access this one goes on with.
    pub extends: Option<RequestId>,
    pub submitted_at: At,
    /// When it lapses if it is not granted by then.
    pub lapses_at: At,
    /// The recorded judgement; `None` until it was judged, and where it was refused.
    pub terms: Option<Terms>,
    /// What the survey at arrival resolved: the privileges to lease, `with:` columns included.
    pub privileges: Vec<Privilege>,
    /// What the approver must know: what the engine cannot keep, what USAGE opens, what will be readable.
    pub caveats: Vec<String>,
    /// The GRANTs as surveyed at arrival, for the approver to read; what was really sent is in the events.
    pub sql: Vec<String>,
    /// Columns of these tables that the grantee will then be able to read.
    pub will_read: Vec<TableColumns>,
    pub approvals: Vec<Approval>,
    #[serde(skip)]
    pub granted_at: Option<At>,
    #[serde(skip)]
    pub expires_at: Option<At>,
    /// Why it is being taken, or was taken.
    #[serde(skip)]
    pub ended: Option<Ended>,
    #[serde(skip)]
    pub ended_at: Option<At>,
    /// Why it was refused, denied, failed or cancelled, in words for the requester.
    #[serde(skip)]
    pub outcome: Option<String>,
}

impl Request {
    /// Without what only its GRANT needs, which is most of it. For looking at, and never to be saved.
    pub fn for_taking(mut self) -> Self {
        self.privileges = Vec::new();
        self.caveats = Vec::new();
        self.sql = Vec::new();
        self.will_read = Vec::new();
        self
    }

    pub fn course(&self) -> Course {
        Course {
            state: self.state,
            granted_at: self.granted_at,
            expires_at: self.expires_at,
            ended: self.ended.clone(),
            ended_at: self.ended_at,
            outcome: self.outcome.clone(),
        }
    }

    /// The same request on this course.
    #[must_use]
    pub fn on(self, course: Course) -> Self {
        Self {
            state: course.state,
            granted_at: course.granted_at,
            expires_at: course.expires_at,
            ended: course.ended,
            ended_at: course.ended_at,
            outcome: course.outcome,
            ..self
        }
    }

    /// The duration that the lease will have: as asked, or the shortest that an approver gave.
    pub fn lease_ttl(&self) -> Ttl {
        self.approvals
            .iter()
            .filter_map(|approval| approval.ttl)
            .fold(self.ttl, Ttl::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_are_the_seven_exits() {
        let last: Vec<_> = State::ALL.into_iter().filter(|s| s.is_final()).collect();
        assert_eq!(
            last,
            [
                State::Ended,
                State::Refused,
                State::Denied,
                State::Cancelled,
                State::Lapsed,
                State::Failed
            ]
        );
    }

    #[test]
    fn what_may_hold_a_privilege_leaves_only_through_revoking() {
        for from in State::ALL.into_iter().filter(|s| s.may_hold()) {
            for to in State::ALL.into_iter().filter(|s| from.may_become(*s)) {
                assert!(
                    to.may_hold() || from == State::Revoking,
                    "{from} must not become {to}"
                );
            }
        }
    }

    #[test]
    fn words_read_back() {
        for state in State::ALL {
            assert_eq!(state.word().parse::<State>().unwrap(), state);
        }
    }
}
