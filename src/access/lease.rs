//! A lease: one privilege held by one grantee because of one request, until an instant.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::RequestId;
use super::key::PrivilegeKey;
use super::names::{Grantee, TargetName};
use super::privilege::{Privilege, ServerIdentity};
use super::time::{At, BootInstant, Now};

/// Request and position in it: unique in a ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId {
    pub request: RequestId,
    pub position: u32,
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.request, self.position)
    }
}

/// Where a lease stands. Only the ended ones owe nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The intent is recorded; whether the GRANT happened is not known. It owes its undo all the same.
    Owed,
    /// Observed in the catalog after the GRANT.
    Held,
    /// It should be gone, but a person must decide first: `why` is what stands in the way.
    Disputed { why: String },
    /// Our row is observed gone.
    Revoked { ended_at: At },
    /// It was not there any more, or what it was about is not: `why` says which.
    Gone { ended_at: At, why: String },
    /// Another live lease of the same privilege has taken over the undo.
    Covered { ended_at: At, by: RequestId },
    /// A person decided that it stays, as a standing privilege that is not ours any more.
    Left { ended_at: At, by: String },
}

impl LeaseState {
    /// Whether the lease still owes its undo.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Owed | Self::Held | Self::Disputed { .. })
    }

    /// When it ended, where it has.
    pub fn ended_at(&self) -> Option<At> {
        match self {
            Self::Owed | Self::Held | Self::Disputed { .. } => None,
            Self::Revoked { ended_at }
            | Self::Gone { ended_at, .. }
            | Self::Covered { ended_at, .. }
            | Self::Left { ended_at, .. } => Some(*ended_at),
        }
    }

    /// The word in the ledger's `state` column.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Held => "held",
            Self::Disputed { .. } => "disputed",
            Self::Revoked { .. } => "revoked",
            Self::Gone { .. } => "gone",
            Self::Covered { .. } => "covered",
            Self::Left { .. } => "left",
        }
    }
}

/// Everything that the undo needs, recorded before the GRANT is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: LeaseId,
    pub target: TargetName,
    pub grantee: Grantee,
    pub server: ServerIdentity,
    pub privilege: Privilege,
    /// The instant of the intent plus the duration; nothing ever moves it later.
    pub expires_at: At,
    /// The same end by the boot clock: where that boot is running, the lease is due from then on.
    pub boot_end: BootInstant,
    pub state: LeaseState,
}

impl Lease {
    pub fn key(&self) -> PrivilegeKey {
        self.privilege.key()
    }

    /// Whether its time is over by either clock.
    pub fn is_due(&self, now: &Now) -> bool {
        now.at >= self.expires_at
            || (now.boot.boot == self.boot_end.boot && now.boot.millis >= self.boot_end.millis)
    }
}
