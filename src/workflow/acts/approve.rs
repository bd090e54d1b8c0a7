//! `jit approve`: one approver's yes.

use crate::access::{Approval, Request, RequestId, State, Terms, Ttl};
use crate::audit::event::EventKind;
use crate::policy::approvals;
use crate::stores::{Change, Effect, StoreError};
use crate::workflow::{Operator, events, view};

use super::ask::{Verdict, verdict};
use super::{Accepted, Incoming, Outcome, Rejection, moved, or_reject};

/// What an approver handed in.
pub struct Yes<'a> {
    pub id: &'a RequestId,
    /// Of what was shown.
    pub digest: &'a str,
    pub ttl: Option<Ttl>,
    pub note: Option<&'a str>,
}

pub fn judge(op: &Operator, incoming: &Incoming<'_>, yes: &Yes<'_>) -> Result<Outcome, StoreError> {
    or_reject!(incoming.must_be_somebody("approve"));
    let request = or_reject!(super::find(op, yes.id)?);
    or_reject!(may_decide(op, incoming, &request, "approve"));
    if request.state != State::Pending {
        return Ok(Err(Rejection::new(format!(
            "request {} is {}, not pending",
            request.id, request.state
        ))));
    }
    if view::digest(&request) != yes.digest {
        return Ok(Err(Rejection::new(format!(
            "request {} has changed since it was shown; look at it again: jit show {}",
            request.id, request.id
        ))));
    }
    if request
        .approvals
        .iter()
        .any(|given| given.by.uid == incoming.person.uid)
    {
        return Ok(Err(Rejection::new(format!(
            "you have approved {} already",
            request.id
        ))));
    }
    if let Some(ttl) = yes.ttl
        && ttl > request.ttl
    {
        return Ok(Err(Rejection::new(format!(
            "an approval may shorten, never lengthen: {} was asked for, not {ttl}",
            request.ttl
        ))));
    }
    let now = incoming.now;
    let current = match verdict(op, &request, now, incoming.histories)? {
        Verdict::Allowed(terms) => terms,
        Verdict::Refused(why) => return Ok(Ok(failed(op, &request, incoming, why))),
    };
    let mut approved = request.clone();
    approved.approvals.push(Approval {
        by: incoming.person.clone(),
        at: now.at,
        ttl: yes.ttl,
        note: yes.note.map(str::to_owned),
    });
    if met(op, &approved, &current) {
        approved.state = State::Approved;
    }
    let mut lines = events::of_request(EventKind::Approved, &incoming.actor(), &approved, yes.note);
    for line in &mut lines {
        line.ttl_s = Some(crate::access::time::seconds(yes.ttl.unwrap_or(request.ttl)));
    }
    Ok(Ok(Accepted {
        change: Change {
            effects: vec![Effect::SaveRequest {
                was: State::Pending,
                now: Box::new(approved),
            }],
            events: lines,
        },
        request: Some(request.id),
        note: None,
    }))
}

/// The rules have changed under the request: it fails, and says which rule.
fn failed(op: &Operator, request: &Request, incoming: &Incoming<'_>, why: String) -> Accepted {
    let failed = moved(
        request.clone(),
        State::Failed,
        incoming.now,
        Some(format!("no longer allowed: {why}")),
    );
    let why = failed.outcome.clone();
    Accepted {
        change: Change {
            events: events::of_request(
                EventKind::GrantFailed,
                &op.itself(),
                &failed,
                why.as_deref(),
            ),
            effects: vec![Effect::moved(request.state, &failed)],
        },
        request: Some(request.id.clone()),
        note: why,
    }
}

/// Whether the recorded and the current approval lines are both met.
pub fn met(op: &Operator, request: &Request, current: &Terms) -> bool {
    let given: Vec<&str> = request
        .approvals
        .iter()
        .map(|a| a.by.name.as_str())
        .collect();
    let directory = op.rules.people.directory();
    request
        .terms
        .iter()
        .chain([current])
        .all(|terms| approvals::met(&terms.lines, &given, &request.requester.name, directory))
}

/// Whether a person may say yes or no to a request: named by its approval lines, not the requester, not the
/// grantee.
pub fn may_decide(
    op: &Operator,
    incoming: &Incoming<'_>,
    request: &Request,
    what: &str,
) -> Result<(), Rejection> {
    let person = incoming.person;
    if request.requester.uid == person.uid || request.requester.name == person.name {
        return Err(Rejection::new(format!(
            "nobody may {what} their own request, administrators included"
        )));
    }
    let directory = op.rules.people.directory();
    let named = request.terms.as_ref().is_some_and(|terms| {
        terms.lines.iter().any(|line| {
            line.by
                .iter()
                .any(|entry| directory.covers(entry, &person.name))
        })
    });
    if !named {
        return Err(Rejection::new(format!(
            "{} is no approver of request {}",
            person.name, request.id
        )));
    }
    if op
        .rules
        .people
        .grantee(&request.target, &person.name)
        .is_ok_and(|account| account == request.grantee)
    {
        return Err(Rejection::new(format!(
            "{} uses the account {} on {}, which would receive the access",
            person.name, request.grantee, request.target
        )));
    }
    Ok(())
}
