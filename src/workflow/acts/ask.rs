//! `jit request` and `jit extend`: a new request, judged by the rules at once; the target is looked at later.

use crate::access::{Now, Request, RequestId, State};
use crate::audit::event::EventKind;
use crate::policy::Judgement;
use crate::stores::{Change, Effect, StoreError};
use crate::workflow::history::Histories;
use crate::workflow::rules::Asked;
use crate::workflow::submission::AskAct;
use crate::workflow::{Operator, events};

use super::{Accepted, Incoming, Outcome, Rejection, moved, or_reject};

pub fn judge(op: &Operator, incoming: &Incoming<'_>, ask: &AskAct) -> Result<Outcome, StoreError> {
    or_reject!(incoming.must_be_somebody("ask for access"));
    let now = incoming.now;
    let id = RequestId::of_submission(incoming.person.uid, incoming.bytes);
    if op.ledger.request(&id)?.is_some() {
        // Forty bits of hash: it happens to nobody, and if it does, asking again mends it.
        return Ok(Err(Rejection::new(format!(
            "there is a request {id} already; ask again"
        ))));
    }
    if !op.rules.targets.contains_key(&ask.target) {
        return Ok(Err(Rejection::new(format!(
            "there is no target {}",
            ask.target
        ))));
    }
    let grantee = match op.rules.people.grantee(&ask.target, &incoming.person.name) {
        Ok(grantee) => grantee,
        Err(why) => return Ok(Err(Rejection::new(why))),
    };
    if let Some(extended) = &ask.extends {
        let extended = or_reject!(super::find(op, extended)?);
        or_reject!(may_extend(&extended, incoming, ask));
    }
    let mut request = Request {
        id,
        state: State::Submitted,
        requester: incoming.person.clone(),
        target: ask.target.clone(),
        grantee,
        tables: ask.tables.clone(),
        ttl: ask.ttl,
        reason: ask.reason.clone(),
        purpose: ask.purpose.clone(),
        ticket: ask.ticket.clone(),
        extends: ask.extends.clone(),
        submitted_at: now.at,
        // Until the rule says otherwise.
        lapses_at: now.at.plus(crate::access::Ttl::from_secs(24 * 3600)),
        terms: None,
        privileges: Vec::new(),
        caveats: Vec::new(),
        sql: Vec::new(),
        will_read: Vec::new(),
        approvals: Vec::new(),
        granted_at: None,
        expires_at: None,
        ended: None,
        ended_at: None,
        outcome: None,
    };
    let judged = verdict(op, &request, now, incoming.histories)?;
    let refusal = match judged {
        Verdict::Allowed(terms) => {
            request.lapses_at = now.at.plus(terms.within);
            request.terms = Some(*terms);
            None
        }
        Verdict::Refused(why) => Some(why),
    };
    let actor = incoming.actor();
    let mut change = Change {
        effects: vec![Effect::NewRequest(Box::new(request.clone()))],
        events: events::of_request(EventKind::Requested, &actor, &request, None),
    };
    if let Some(why) = refusal {
        let refused = moved(request.clone(), State::Refused, now, Some(why.clone()));
        change.events.extend(events::of_request(
            EventKind::Refused,
            &op.itself(),
            &refused,
            Some(&why),
        ));
        change
            .effects
            .push(Effect::moved(State::Submitted, &refused));
    }
    Ok(Ok(Accepted {
        change,
        request: Some(request.id),
        note: None,
    }))
}

/// Extending goes on with one's own access, to the same columns.
fn may_extend(extended: &Request, incoming: &Incoming<'_>, ask: &AskAct) -> Result<(), Rejection> {
    if extended.requester != *incoming.person {
        return Err(Rejection::new(format!(
            "request {} is not yours",
            extended.id
        )));
    }
    if extended.state != State::Active {
        return Err(Rejection::new(format!(
            "request {} is {} and cannot be extended; ask anew",
            extended.id, extended.state
        )));
    }
    if extended.target != ask.target || extended.tables != ask.tables {
        return Err(Rejection::new(format!(
            "an extension is for the same columns as {}",
            extended.id
        )));
    }
    Ok(())
}

/// What rules and holds say of a request now.
pub enum Verdict {
    Allowed(Box<crate::access::Terms>),
    Refused(String),
}

/// Judges a request by the rules of now, holds included: on arrival, and again before the grant.
pub fn verdict(
    op: &Operator,
    request: &Request,
    now: &Now,
    histories: &Histories,
) -> Result<Verdict, StoreError> {
    if let Some(hold) = op
        .ledger
        .holds(false)?
        .into_iter()
        .find(|hold| hold.selector.fits(request))
    {
        return Ok(Verdict::Refused(format!(
            "{} stopped new access to {} ({}); an admin ends that with: jit resume {} --reason …",
            hold.by, hold.selector, hold.reason, hold.number
        )));
    }
    let unbroken = histories.unbroken(op, request, now)?;
    let judgement = op.rules.judge(&Asked {
        who: &request.requester.name,
        target: &request.target,
        tables: &request.tables,
        purpose: request.purpose.as_deref(),
        ticket: request.ticket.as_deref(),
        ttl: request.ttl,
        unbroken,
    });
    if let Some(recorded) = &request.terms
        && let Err(why) = crate::policy::still_allows(recorded, &judgement)
    {
        return Ok(Verdict::Refused(why));
    }
    Ok(match judgement {
        Judgement::Allowed(terms) => Verdict::Allowed(Box::new(terms)),
        Judgement::Refused(refusals) => Verdict::Refused(
            refusals
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        ),
    })
}
