//! `jit cancel` and `jit return`: the requester's own second thoughts.

use crate::access::{Ended, Request, RequestId, State};
use crate::audit::event::EventKind;
use crate::stores::{Change, Effect, StoreError};
use crate::workflow::{Operator, events};

use super::{Accepted, Incoming, Outcome, Rejection, moved, or_reject};

/// Withdraws an open request.
pub fn cancel(
    op: &Operator,
    incoming: &Incoming<'_>,
    id: &RequestId,
) -> Result<Outcome, StoreError> {
    let request = or_reject!(super::find(op, id)?);
    or_reject!(own(&request, incoming));
    if !matches!(
        request.state,
        State::Submitted | State::Pending | State::Approved
    ) {
        let hint = if request.state.may_hold() {
            format!("; give it back with: jit return {id}")
        } else {
            String::new()
        };
        return Ok(Err(Rejection::new(format!(
            "request {id} is {}{hint}",
            request.state
        ))));
    }
    let was = request.state;
    let cancelled = moved(request, State::Cancelled, incoming.now, None);
    Ok(Ok(saved(was, cancelled, EventKind::Cancelled, incoming)))
}

/// Gives access back before its time.
pub fn give_back(
    op: &Operator,
    incoming: &Incoming<'_>,
    id: &RequestId,
) -> Result<Outcome, StoreError> {
    let mut request = or_reject!(super::find(op, id)?);
    or_reject!(own(&request, incoming));
    let was = request.state;
    match was {
        State::Granting | State::Active => {}
        State::Revoking => {
            return Ok(Err(Rejection::new(format!(
                "request {id} is being taken back already"
            ))));
        }
        State::Submitted | State::Pending | State::Approved => {
            return Ok(Err(Rejection::new(format!(
                "request {id} is {was}: nothing was given yet; withdraw it with: jit cancel {id}"
            ))));
        }
        _ => return Ok(Err(Rejection::new(format!("request {id} is {was}")))),
    }
    request.state = State::Revoking;
    request.ended = Some(Ended::Returned);
    Ok(Ok(saved(was, request, EventKind::Returned, incoming)))
}

fn own(request: &Request, incoming: &Incoming<'_>) -> Result<(), Rejection> {
    if request.requester == *incoming.person {
        Ok(())
    } else {
        Err(Rejection::new(format!(
            "request {} is not yours",
            request.id
        )))
    }
}

fn saved(was: State, request: Request, kind: EventKind, incoming: &Incoming<'_>) -> Accepted {
    Accepted {
        request: Some(request.id.clone()),
        change: Change {
            events: events::of_request(kind, &incoming.actor(), &request, None),
            effects: vec![Effect::moved(was, &request)],
        },
        note: None,
    }
}
