//! Settling what a crash left between intent and record.

use crate::access::{Ended, LeaseState, Request, Standing, State, TargetName};
use crate::audit::event::EventKind;
use crate::engines::Engine;
use crate::stores::{Change, Effect, FindLeases, FindRequests};

use super::activate::{self, Intent};
use super::acts::{Verdict, met, verdict};
use super::history::Histories;
use super::target::{Failing, TargetReport};
use super::{Operator, clock, commit_each, events, look, publish};

/// Looks at every request in `granting`. The caller holds the target's lock, so nobody is in the middle of it:
/// whoever was is dead. Unexpired and still allowed, it is finished forward under the same expiry; otherwise it
/// goes to `revoking` and is taken until observed gone.
pub async fn granting(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
) -> Result<(), Failing> {
    let found = op.ledger.requests(&FindRequests {
        states: Some(vec![State::Granting]),
        target: Some(target.clone()),
        ..FindRequests::default()
    })?;
    if found.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = found.iter().map(|request| request.id.clone()).collect();
    engine.end_own(&ids).await?;
    let now = op.now();
    let clock_is_right = clock::behind(&now, &op.ledger.seen()?) <= clock::TOLERANCE;
    let histories = Histories::default();
    let mut forward = Vec::new();
    let mut changes = Vec::new();
    for request in found {
        let leases: Vec<_> = op
            .ledger
            .leases(&FindLeases::Of(request.id.clone()))?
            .into_iter()
            .filter(|lease| lease.state.is_live())
            .collect();
        if leases
            .iter()
            .any(|l| !l.server.same_database(engine.server()))
        {
            continue;
        }
        let why = if leases.iter().any(|lease| lease.is_due(&now)) {
            Some((
                Ended::Expired,
                "it expired before the grant was finished".to_owned(),
            ))
        } else if !clock_is_right {
            Some(failed(
                "the clock was set back before the grant was finished".to_owned(),
            ))
        } else {
            match verdict(op, &request, &now, &histories)? {
                Verdict::Refused(why) => Some(failed(format!("no longer allowed: {why}"))),
                Verdict::Allowed(terms) if !met(op, &request, &terms) => Some(failed(
                    "no longer allowed: the policies now ask for approvals that it does not have"
                        .to_owned(),
                )),
                Verdict::Allowed(_) => None,
            }
        };
        match why {
            Some((ended, why)) => changes.push(back(op, request, ended, &why)),
            None => forward.push(Intent { request, leases }),
        }
    }
    commit_each(op, &now, &changes)?;
    if forward.is_empty() {
        return Ok(());
    }
    if let Err(error) = publish::journal(op) {
        report.audit_error(&error);
        activate::give_up(op, &forward, &format!("nothing was granted: {error}"))?;
        return Ok(());
    }
    refresh(op, &mut forward, engine).await?;
    activate::carry_out(op, &forward, engine, report).await
}

fn failed(why: String) -> (Ended, String) {
    (Ended::Failed { why: why.clone() }, why)
}

fn back(op: &Operator, mut request: Request, ended: Ended, why: &str) -> Change {
    request.state = State::Revoking;
    request.ended = Some(ended);
    request.outcome = Some(why.to_owned());
    Change {
        events: events::of_request(EventKind::Revoking, &op.itself(), &request, Some(why)),
        effects: vec![Effect::moved(State::Granting, &request)],
    }
}

/// Names may have changed while nobody looked; identities have not.
async fn refresh(
    op: &Operator,
    intents: &mut [Intent],
    engine: &mut dyn Engine,
) -> Result<(), Failing> {
    let mut renamed = Change::default();
    let privileges = look::distinct(intents.iter().flat_map(|intent| &intent.leases));
    let standing = look::observe(engine, &privileges).await?;
    for lease in intents.iter_mut().flat_map(|intent| &mut intent.leases) {
        debug_assert!(matches!(
            lease.state,
            LeaseState::Owed | LeaseState::Held | LeaseState::Disputed { .. }
        ));
        if let Some(Standing::Held { named, .. } | Standing::Absent { named, .. }) =
            standing.get(&lease.key())
            && lease.privilege.named != *named
        {
            lease.privilege.named = named.clone();
            let save = Effect::SaveLease(Box::new(lease.clone()));
            renamed.effects.push(save);
        }
    }
    if !renamed.effects.is_empty() {
        op.ledger.commit(&op.now(), renamed)?;
    }
    Ok(())
}
