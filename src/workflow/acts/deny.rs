//! `jit deny`: an approver's no, which is final.

use crate::access::{RequestId, State};
use crate::audit::event::EventKind;
use crate::stores::{Change, Effect, StoreError};
use crate::workflow::{Operator, events};

use super::approve::may_decide;
use super::{Accepted, Incoming, Outcome, Rejection, moved, or_reject};

pub fn judge(
    op: &Operator,
    incoming: &Incoming<'_>,
    id: &RequestId,
    reason: &str,
) -> Result<Outcome, StoreError> {
    or_reject!(incoming.must_be_somebody("deny"));
    let request = or_reject!(super::find(op, id)?);
    or_reject!(may_decide(op, incoming, &request, "deny"));
    if !matches!(request.state, State::Pending | State::Approved) {
        let hint = if request.state.may_hold() {
            format!("; take it back with: jit revoke {id} --reason …")
        } else {
            String::new()
        };
        return Ok(Err(Rejection::new(format!(
            "request {id} is {}{hint}",
            request.state
        ))));
    }
    let was = request.state;
    let outcome = format!("{} denied it: {reason}", incoming.person.name);
    let denied = moved(request, State::Denied, incoming.now, Some(outcome));
    Ok(Ok(Accepted {
        request: Some(denied.id.clone()),
        change: Change {
            events: events::of_request(EventKind::Denied, &incoming.actor(), &denied, Some(reason)),
            effects: vec![Effect::moved(was, &denied)],
        },
        note: None,
    }))
}
