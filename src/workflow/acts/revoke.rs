//! `jit revoke`: the kill switch. By id for those a request concerns, by selector for admins, with a hold.

use crate::access::hold::{Hold, Selector};
use crate::access::{Ended, Request, RequestId, State};
use crate::audit::event::{Draft, EventKind};
use crate::stores::{Change, Effect, FindRequests, StoreError};
use crate::workflow::{Operator, events};

use super::{Accepted, Incoming, Outcome, Rejection, moved, or_reject};

/// Ends these requests now, whatever their state.
pub fn by_id(
    op: &Operator,
    incoming: &Incoming<'_>,
    ids: &[RequestId],
    reason: &str,
) -> Result<Outcome, StoreError> {
    let mut accepted = Accepted::default();
    for id in ids {
        let request = or_reject!(super::find(op, id)?);
        if !may_revoke(op, incoming, &request) {
            return Ok(Err(Rejection::new(format!(
                "request {id} may be revoked by its requester, its approvers and admins only"
            ))));
        }
        if request.state.is_final() {
            return Ok(Err(Rejection::new(format!(
                "request {id} is {} already",
                request.state
            ))));
        }
        accepted.request.get_or_insert_with(|| id.clone());
        end(&mut accepted.change, incoming, request, reason);
    }
    Ok(Ok(accepted))
}

/// Ends everything in scope now, and holds new requests there until `jit resume`.
pub fn by_selector(
    op: &Operator,
    incoming: &Incoming<'_>,
    selector: &Selector,
    reason: &str,
) -> Result<Outcome, StoreError> {
    if !is_admin(op, incoming) {
        return Ok(Err(Rejection::new("only admins may revoke by selector")));
    }
    let open: Vec<State> = State::ALL.into_iter().filter(|s| !s.is_final()).collect();
    let find = FindRequests {
        states: Some(open),
        target: selector.target.clone(),
        ..FindRequests::default()
    };
    let mut accepted = Accepted::default();
    let mut ended = 0;
    op.ledger.each_request(&find, &mut |request| {
        if selector.fits(&request) {
            ended += 1;
            end(&mut accepted.change, incoming, request, reason);
        }
        Ok(())
    })?;
    let number = op
        .ledger
        .holds(true)?
        .iter()
        .map(|h| h.number)
        .max()
        .unwrap_or(0)
        + 1;
    let mut line = Draft::new(EventKind::Held, &incoming.actor());
    line.target = selector.target.clone();
    line.grantee = selector.grantee.clone();
    line.requester = selector.requester.clone();
    if let Some(column) = &selector.column {
        line.table = Some(column.table.clone());
        line.columns = column.columns.clone();
    }
    line.reason = Some(reason.to_owned());
    line.observed = Some(serde_json::json!({
        "hold": number, "scope": selector.to_string(), "requests": ended
    }));
    accepted.change.events.insert(0, line);
    accepted.change.effects.push(Effect::NewHold(Hold {
        number,
        selector: selector.clone(),
        reason: reason.to_owned(),
        by: incoming.person.clone(),
        at: incoming.now.at,
        resumed: None,
    }));
    accepted.note = Some(format!(
        "hold {number} on {selector}, requests ended in its scope: {ended}; new ones are refused until: jit resume {number} --reason …"
    ));
    Ok(Ok(accepted))
}

/// One open request in scope: access is on its way out, and what was only asked for is denied. One that is being
/// taken already stays as it is.
fn end(change: &mut Change, incoming: &Incoming<'_>, request: Request, reason: &str) {
    let was = request.state;
    let by = incoming.person.name.clone();
    let (kind, request) = match was {
        State::Granting | State::Active => {
            let mut request = request;
            request.state = State::Revoking;
            request.ended = Some(Ended::Revoked {
                by,
                reason: reason.to_owned(),
            });
            (EventKind::Revoking, request)
        }
        State::Submitted | State::Pending | State::Approved => {
            let outcome = format!("{by} revoked it: {reason}");
            (
                EventKind::Denied,
                moved(request, State::Denied, incoming.now, Some(outcome)),
            )
        }
        _ => return,
    };
    change.events.extend(events::of_request(
        kind,
        &incoming.actor(),
        &request,
        Some(reason),
    ));
    change.effects.push(Effect::moved(was, &request));
}

fn may_revoke(op: &Operator, incoming: &Incoming<'_>, request: &Request) -> bool {
    let directory = op.rules.people.directory();
    request.requester == *incoming.person
        || is_admin(op, incoming)
        || request.terms.as_ref().is_some_and(|terms| {
            terms.lines.iter().any(|line| {
                line.by
                    .iter()
                    .any(|entry| directory.covers(entry, &incoming.person.name))
            })
        })
}

/// An admin by the settings, or bare root, who could do it by other means anyway.
pub fn is_admin(op: &Operator, incoming: &Incoming<'_>) -> bool {
    incoming.person.uid == 0 || op.rules.people.is_admin(&incoming.person.name)
}
