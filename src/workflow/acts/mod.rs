//! What each act does to the ledger: one file an act, each giving one change or one rejection.
//!
//! Nothing here talks to a target. Who acts is what the inbox authenticated.

mod approve;
mod ask;
mod deny;
mod resume;
mod revoke;
mod settle;
mod withdraw;

pub use approve::met;
pub use ask::{Verdict, verdict};

use crate::access::{Actor, Now, Person, Request, RequestId, State};
use crate::stores::{Change, StoreError};

use super::Operator;
use super::history::Histories;
use super::submission::Act;

/// One authenticated submission, about to be judged.
pub struct Incoming<'a> {
    pub person: &'a Person,
    pub act: &'a Act,
    /// What was handed in, for the request's id.
    pub bytes: &'a [u8],
    pub now: &'a Now,
    /// Read once for the whole drain.
    pub histories: &'a Histories,
}

impl Incoming<'_> {
    pub fn actor(&self) -> Actor {
        Actor::Person(self.person.clone())
    }

    /// Bare root is nobody in particular: it may sweep and revoke, but neither ask nor approve.
    fn must_be_somebody(&self, what: &str) -> Result<(), Rejection> {
        if self.person.uid == 0 {
            return Err(Rejection::new(format!(
                "root is nobody in particular and may not {what}; do it as yourself, or through sudo"
            )));
        }
        Ok(())
    }
}

/// An act that takes effect.
#[derive(Debug, Default)]
pub struct Accepted {
    pub change: Change,
    /// The request it made or moved first.
    pub request: Option<RequestId>,
    /// In words, where "accepted" does not say it all.
    pub note: Option<String>,
}

/// An act that takes none, and why. It is recorded all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub why: String,
}

impl Rejection {
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// What comes of an act.
pub type Outcome = Result<Accepted, Rejection>;

/// Judges one act against the ledger as it is now.
///
/// # Errors
/// Only those of the ledger; what the person did wrong is a [`Rejection`].
pub fn judge(op: &Operator, incoming: &Incoming<'_>) -> Result<Outcome, StoreError> {
    match incoming.act {
        Act::Request(ask) => ask::judge(op, incoming, ask),
        Act::Approve {
            id,
            digest,
            ttl,
            note,
        } => approve::judge(
            op,
            incoming,
            &approve::Yes {
                id,
                digest,
                ttl: *ttl,
                note: note.as_deref(),
            },
        ),
        Act::Deny { id, reason } => deny::judge(op, incoming, id, reason),
        Act::Cancel { id } => withdraw::cancel(op, incoming, id),
        Act::Return { id } => withdraw::give_back(op, incoming, id),
        Act::Revoke { ids, reason } => revoke::by_id(op, incoming, ids, reason),
        Act::RevokeAll { selector, reason } => revoke::by_selector(op, incoming, selector, reason),
        Act::Resume { holds, reason } => resume::judge(op, incoming, holds, reason),
        Act::Settle { id, keep, reason } => settle::judge(op, incoming, id, *keep, reason),
    }
}

/// The request, or the rejection that says there is none.
fn find(op: &Operator, id: &RequestId) -> Result<Result<Request, Rejection>, StoreError> {
    Ok(op
        .ledger
        .request(id)?
        .ok_or_else(|| Rejection::new(format!("there is no request {id}"))))
}

/// `return`s the rejection out of a function that gives `Result<Outcome, StoreError>`.
macro_rules! or_reject {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(rejection) => return Ok(Err(rejection)),
        }
    };
}
use or_reject;

/// Moves a request in a value; the store checks the same move again.
///
/// Callers match on the state before: a move that is not in the table is their bug, and the ledger refuses it.
fn moved(mut request: Request, to: State, now: &Now, outcome: Option<String>) -> Request {
    request.state = to;
    if to.is_final() {
        request.ended_at = Some(now.at);
    }
    if outcome.is_some() {
        request.outcome = outcome;
    }
    request
}
