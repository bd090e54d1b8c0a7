//! What operators put into a person's mailbox: their requests, what awaits them, what they may ask for.

use serde::{Deserialize, Serialize};

use crate::access::{At, Now, Person, Request, RequestId, State, Ttl};
use crate::policy::approvals;
use crate::stores::{Fact, FindRequests, StoreError};

use super::Operator;
use super::view::{ColumnView, RequestView, columns_of, of_request};

/// The newest form of a mailbox view.
pub const VERSION: u32 = 1;
/// What ended within this span is still shown in mailboxes.
const SHOWN_FOR: Ttl = Ttl::from_secs(7 * 24 * 3600);
/// At most so many ended requests and answers of one person in a mailbox.
const SHOWN: usize = 100;

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub digest: String,
    pub at: At,
    pub act: String,
    pub outcome: String,
    pub request: Option<RequestId>,
}

/// What lies in a mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PersonView {
    pub v: u32,
    pub at: At,
    pub last_sweep: Option<At>,
    /// One's own, open ones first, and what ended lately.
    pub requests: Vec<RequestView>,
    /// What one may decide about.
    pub awaiting: Vec<RequestView>,
    /// Everybody's open requests, for admins.
    pub others: Vec<RequestView>,
    pub answers: Vec<Answer>,
    pub columns: Vec<ColumnView>,
    /// Holds that stand, in words.
    pub holds: Vec<String>,
}

/// The requests of one person, what awaits them, and what admins may see besides.
pub struct Visible {
    pub mine: Vec<Request>,
    pub awaiting: Vec<Request>,
    pub others: Vec<Request>,
}

/// Whether a pending request waits for this person's yes or no.
pub fn awaits(op: &Operator, request: &Request, person: &Person) -> bool {
    let given: Vec<&str> = request
        .approvals
        .iter()
        .map(|a| a.by.name.as_str())
        .collect();
    request.state == State::Pending
        && request.requester.uid != person.uid
        && !given.contains(&person.name.as_str())
        && request.terms.as_ref().is_some_and(|terms| {
            approvals::who_can(
                &terms.lines,
                &given,
                &request.requester.name,
                op.rules.people.directory(),
            )
            .contains(&person.name)
        })
}

/// What lies in a person's mailbox now, as JSON.
pub fn of_person(op: &Operator, person: &Person, now: &Now) -> Result<Vec<u8>, StoreError> {
    let open: Vec<State> = State::ALL.into_iter().filter(|s| !s.is_final()).collect();
    let open = op.ledger.requests(&FindRequests {
        states: Some(open),
        ..FindRequests::default()
    })?;
    let ended = op.ledger.requests(&FindRequests {
        requester: Some(person.uid),
        ended_since: Some(now.at.minus(SHOWN_FOR)),
        limit: Some(SHOWN),
        ..FindRequests::default()
    })?;
    let is_admin = op.rules.people.is_admin(&person.name);
    let mut view = PersonView {
        v: VERSION,
        at: now.at,
        last_sweep: op
            .ledger
            .fact(Fact::LastSweep)?
            .and_then(|text| At::try_from(text).ok()),
        requests: Vec::new(),
        awaiting: Vec::new(),
        others: Vec::new(),
        answers: op
            .ledger
            .submissions_of(person.uid, SHOWN)?
            .into_iter()
            .map(|drained| Answer {
                digest: drained.digest,
                at: drained.at,
                act: drained.act,
                outcome: drained.outcome,
                request: drained.request,
            })
            .collect(),
        columns: columns_of(op, &person.name)?,
        holds: op
            .ledger
            .holds(false)?
            .iter()
            .map(|hold| {
                format!(
                    "hold {}: {} ({}, by {})",
                    hold.number, hold.selector, hold.reason, hold.by
                )
            })
            .collect(),
    };
    for request in open
        .iter()
        .chain(ended.iter().filter(|r| r.state.is_final()))
    {
        // Number and name: whoever has the number now is not who had it before.
        if request.requester == *person {
            view.requests.push(of_request(op, request, true)?);
        } else if awaits(op, request, person) {
            view.awaiting.push(of_request(op, request, true)?);
        } else if is_admin || decides(op, request, person) {
            view.others.push(of_request(op, request, false)?);
        }
    }
    Ok(serde_json::to_vec(&view).unwrap_or_default())
}

/// Whether the request's rule names this person as an approver at all.
pub fn decides(op: &Operator, request: &Request, person: &Person) -> bool {
    let directory = op.rules.people.directory();
    request.terms.as_ref().is_some_and(|terms| {
        terms.lines.iter().any(|line| {
            line.by
                .iter()
                .any(|entry| directory.covers(entry, &person.name))
        })
    })
}
