//! `jit revoke ID --keep-standing | --take`: a person decides about leases that are disputed, because somebody
//! else has granted the same. What is decided of one request holds for the same privileges of others that are over.

use std::collections::BTreeMap;

use foldhash::HashSet;

use crate::access::{Lease, LeaseState, Request, RequestId, State};
use crate::audit::event::EventKind;
use crate::stores::{Effect, FindLeases, StoreError};
use crate::workflow::{Operator, events};

use super::revoke::is_admin;
use super::{Accepted, Incoming, Outcome, Rejection, or_reject};

pub fn judge(
    op: &Operator,
    incoming: &Incoming<'_>,
    id: &RequestId,
    keep: bool,
    reason: &str,
) -> Result<Outcome, StoreError> {
    if !is_admin(op, incoming) {
        return Ok(Err(Rejection::new(
            "only admins may settle a disputed lease",
        )));
    }
    let request = or_reject!(super::find(op, id)?);
    let is_disputed = |lease: &Lease| matches!(lease.state, LeaseState::Disputed { .. });
    let of_request = op.ledger.leases(&FindLeases::Of(id.clone()))?;
    if !of_request.iter().any(is_disputed) {
        return Ok(Err(Rejection::new(format!(
            "nothing of request {id} is disputed"
        ))));
    }
    if request.state != State::Revoking {
        return Ok(Err(Rejection::new(format!(
            "request {id} is {} and goes on: what is disputed of it is settled once it has ended (jit revoke {id} ends \
             it now)",
            request.state
        ))));
    }
    let keys: HashSet<_> = of_request
        .iter()
        .filter(|lease| is_disputed(lease))
        .map(Lease::key)
        .collect();
    let find = FindLeases::GivenWithKeys(request.target.clone(), keys.into_iter().collect());
    let mut accepted = Accepted {
        request: Some(id.clone()),
        ..Accepted::default()
    };
    let mut by_request: BTreeMap<RequestId, Vec<Lease>> = BTreeMap::new();
    for lease in op.ledger.leases(&find)? {
        let leases = by_request.entry(lease.id.request.clone()).or_default();
        leases.push(lease);
    }
    for (id, leases) in by_request {
        let Some(request) = op.ledger.request(&id)? else {
            continue;
        };
        if request.state == State::Revoking {
            let disputed = leases.into_iter().filter(is_disputed).collect();
            decide(&mut accepted, incoming, &request, disputed, keep, reason);
        } else if keep {
            stays_theirs(&mut accepted, leases, incoming);
        }
    }
    Ok(Ok(accepted))
}

/// What the person decided, of one request.
fn decide(
    accepted: &mut Accepted,
    incoming: &Incoming<'_>,
    request: &Request,
    disputed: Vec<Lease>,
    keep: bool,
    reason: &str,
) {
    for (subject, leases) in events::by_subject(&disputed) {
        let kind = if keep {
            EventKind::Kept
        } else {
            EventKind::Revoking
        };
        let mut line = events::of_leases(kind, &incoming.actor(), request, &subject, &leases, None);
        line.why = Some(reason.to_owned());
        if keep {
            let due = leases.first().map(|lease| lease.expires_at);
            events::set_end(&mut line, incoming.now.at, due);
        }
        accepted.change.events.push(line);
    }
    for lease in disputed {
        accepted.change.effects.push(if keep {
            let state = LeaseState::Left {
                ended_at: incoming.now.at,
                by: incoming.person.name.clone(),
            };
            let id = lease.id;
            Effect::MoveLease { id, state }
        } else {
            // Without a stamp nothing can be contested: the next revoke takes it.
            Effect::StampLease {
                id: lease.id,
                state: LeaseState::Held,
                stamp: None,
            }
        });
    }
}

/// A lease of the same privilege that goes on must not take it at its own end: a person is asked again then.
fn stays_theirs(accepted: &mut Accepted, leases: Vec<Lease>, incoming: &Incoming<'_>) {
    for lease in leases {
        if lease.state == LeaseState::Held {
            let state = LeaseState::Disputed {
                why: format!(
                    "{} has left the same standing, as somebody else's",
                    incoming.person.name
                ),
            };
            let id = lease.id;
            let effect = Effect::MoveLease { id, state };
            accepted.change.effects.push(effect);
        }
    }
}
