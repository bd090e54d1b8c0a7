//! The stories, top to bottom: what happens to a submission, a grant, a revoke, a sweep.
//!
//! Here values from the pure rooms meet the effects of the lower ones. Nothing here prints or asks.

pub mod activate;
pub mod acts;
pub mod arrive;
pub mod belongs;
pub mod clock;
pub mod disputes;
pub mod drain;
pub mod events;
pub mod history;
pub mod look;
pub mod mailbox;
pub mod offered;
pub mod overdue;
pub mod portions;
pub mod publish;
pub mod recover;
pub mod remember;
pub mod requestable;
pub mod revoke;
pub mod rules;
pub mod strays;
pub mod submission;
pub mod sweep;
pub mod target;
pub mod view;

use std::cell::RefCell;
use std::path::PathBuf;

use crate::access::{Actor, Now, Person};
use crate::stores::{Change, Inbox, Ledger, StoreError};

pub use portions::Shares;
pub use rules::Rules;

/// A process that may write the ledger and holds the credentials of the targets.
pub struct Operator {
    pub ledger: Box<dyn Ledger>,
    pub inbox: Box<dyn Inbox>,
    /// The audit file.
    pub audit: PathBuf,
    pub rules: Rules,
    /// How much is done at once on each target.
    pub shares: RefCell<Shares>,
    /// Who runs it.
    pub me: Person,
}

impl Operator {
    pub fn now(&self) -> Now {
        clock::now()
    }

    /// The operator's own work: expiry, strays, recovery.
    pub fn itself(&self) -> Actor {
        Actor::Sweep(self.me.clone())
    }
}

/// Commits all changes in one transaction; where one of them meets a conflict, each by itself, leaving out those
/// that do: somebody else has moved that request, and the next look sees it. Whether none did.
pub(crate) fn commit_each(
    op: &Operator,
    now: &Now,
    changes: &[Change],
) -> Result<bool, StoreError> {
    if changes.is_empty() {
        return Ok(true);
    }
    match op.ledger.commit_all(now, changes) {
        Err(StoreError::Conflict(_)) => {}
        other => return other.map(|_| true),
    }
    for change in changes {
        match op.ledger.commit_all(now, std::slice::from_ref(change)) {
            Ok(_) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
