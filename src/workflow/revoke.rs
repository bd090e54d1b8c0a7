//! Taking away what is due on one target, and proving it.
//!
//! The order is fixed: say so in the ledger, observe, plan, REVOKE, observe again, record. A ledger that cannot be
//! written or an audit file that cannot take a line holds up none of it.

mod evidence;
mod record;

use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};

use crate::access::plan::{self, Plan, Settlement, Urgency};
use crate::access::{
    Ended, Lease, LeaseId, LeaseState, Now, Privilege, Request, RequestId, Standing, State,
    TargetName, Ttl,
};
use crate::audit::event::EventKind;
use crate::engines::{Engine, Verb};
use crate::failpoint;
use crate::stores::{Change, Effect, FindLeases, FindRequests, StoreError};

use super::look::{self, Observed, distinct, explained};
use super::target::{Failing, TargetReport};
use super::{Operator, commit_each, disputes, events, portions};

use evidence::Evidence;
use record::{Seen, finished, record, told};

/// How long others' locks may hold up what has expired: with a sweep every minute, the first one that meets a
/// bystander's lock tells of it, and the next ends the session.
const GRACE: Ttl = Ttl::from_secs(60);

/// What must go, from the ledger alone.
pub struct Due {
    /// The due leases, and every live one that shares a privilege with one of them.
    pub leases: Vec<Lease>,
    pub requests: HashMap<RequestId, Request>,
    /// Only these requests' leases may count as due: of others not all leases are here. `None`: all may.
    portion: Option<HashSet<RequestId>>,
}

impl Due {
    /// Reads it. Leases of another server than `here` are left out and counted.
    pub fn read(op: &Operator, target: &TargetName, now: &Now) -> Result<Self, StoreError> {
        let leases = op
            .ledger
            .leases(&FindLeases::DueWithSharers(target.clone(), now.clone()))?;
        let requests = op
            .ledger
            .requests(&FindRequests {
                states: Some(vec![State::Granting, State::Active, State::Revoking]),
                target: Some(target.clone()),
                ..FindRequests::default()
            })?
            .into_iter()
            .map(|request| (request.id.clone(), request))
            .collect();
        Ok(Self {
            leases,
            requests,
            portion: None,
        })
    }

    /// Whether a lease must end now: its request is being taken, or its time is over.
    pub fn is_due(&self, lease: &Lease, now: &Now) -> bool {
        let request = &lease.id.request;
        let portion = self.portion.as_ref();
        portion.is_none_or(|portion| portion.contains(request))
            && (lease.is_due(now)
                || self
                    .requests
                    .get(request)
                    .is_none_or(|request| request.state == State::Revoking))
    }

    /// The same of these requests alone.
    pub fn of(op: &Operator, target: &TargetName, ids: &[RequestId]) -> Result<Self, StoreError> {
        let find = FindLeases::OfWithSharers(target.clone(), ids.to_vec());
        let leases = op.ledger.leases(&find)?;
        let mut with_leases: Vec<_> = leases.iter().map(|l| l.id.request.clone()).collect();
        with_leases.dedup();
        let requests = op.ledger.requests_of(&with_leases)?.into_iter();
        Ok(Self {
            requests: requests
                .map(|(id, request)| (id, request.for_taking()))
                .collect(),
            leases,
            portion: Some(ids.iter().cloned().collect()),
        })
    }

    /// How urgently a lease must end, if it must: pressing where it has expired a while ago, where somebody pulled the
    /// kill switch, and where nobody was entitled to it. What was only given back early was its owner's until then.
    pub fn urgency(&self, lease: &Lease, now: &Now) -> Option<Urgency> {
        if !self.is_due(lease, now) {
            return None;
        }
        let ended = self
            .requests
            .get(&lease.id.request)
            .and_then(|request| request.ended.as_ref());
        let pressing = lease.is_due(&now.earlier(GRACE))
            || matches!(ended, Some(Ended::Revoked { .. } | Ended::Failed { .. }));
        Some(match pressing {
            true => Urgency::Pressing,
            false => Urgency::Usual,
        })
    }

    /// Whether it was said before that a request is being revoked.
    fn is_announced(&self, id: &RequestId) -> bool {
        let request = self.requests.get(id);
        request.is_some_and(|request| request.state == State::Revoking)
    }

    /// Leases whose state was saved meanwhile.
    fn took_state(&mut self, mut states: HashMap<LeaseId, LeaseState>) {
        for lease in &mut self.leases {
            if let Some(state) = states.remove(&lease.id) {
                lease.state = state;
            }
        }
    }

    fn plan(&self, now: &Now, observed: &Observed) -> Plan {
        let urgency = |lease: &Lease| self.urgency(lease, now);
        plan::plan(now, &self.leases, &urgency, observed)
    }

    /// Those of the leases that must end now.
    pub fn due(&self, now: &Now) -> Vec<&Lease> {
        self.leases
            .iter()
            .filter(|lease| lease.state.is_live() && self.is_due(lease, now))
            .collect()
    }
}

/// Observes what is due and plans; changes nothing. What `--dry-run` prints and [`due`] runs.
///
/// # Errors
/// Those of the ledger's reading and of the target.
pub async fn plan(
    op: &Operator,
    target: &TargetName,
    due: &Due,
    now: &Now,
    engine: &mut dyn Engine,
) -> Result<Plan, Failing> {
    let observed = explained(op, target, engine, &distinct(due.due(now))).await?;
    Ok(due.plan(now, &observed))
}

/// Takes what is due and records what was seen.
///
/// # Errors
/// Those of the ledger's reading, and of the target as a whole; each failed REVOKE is in the report.
pub async fn due(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
) -> Result<(), Failing> {
    let now = op.now();
    let mut worst: Option<Failing> = None;
    for wave in portions::due(op, target, &now)? {
        match take(op, target, engine, report, &wave, &now).await {
            Ok(()) => {}
            Err(Failing::Engine(error)) if error.is_unreachable() => return Err(error.into()),
            // What cannot be looked at or written down in one portion is no reason to leave the next.
            Err(error) => {
                if worst
                    .as_ref()
                    .is_none_or(|worst| weight(&error) > weight(worst))
                {
                    worst = Some(error);
                }
            }
        }
    }
    match worst {
        Some(worst) => Err(worst),
        None => close_finished(op, target),
    }
}

/// Which of several failures is told: what is still there is worse than what is gone and not written down.
fn weight(failing: &Failing) -> u8 {
    match failing {
        Failing::Unrecorded(_) => 0,
        Failing::Ledger(_) => 1,
        Failing::Engine(_) | Failing::Twins { .. } | Failing::Audit(_) => 2,
    }
}

/// One portion of what is due.
async fn take(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
    wave: &[RequestId],
    now: &Now,
) -> Result<(), Failing> {
    let mut due = Due::of(op, target, wave)?;
    let elsewhere: HashSet<LeaseId> = due
        .leases
        .iter()
        .filter(|lease| !lease.server.same_database(engine.server()))
        .map(|lease| lease.id.clone())
        .collect();
    due.leases.retain(|lease| !elsewhere.contains(&lease.id));
    if due.due(now).is_empty() {
        return Ok(());
    }

    let unsure = unsure(&due, now);
    let announced = announce(op, &mut due, now, engine);
    if let Err((error, _)) = &announced {
        report.ledger_error(error);
    }
    failpoint::reach("revoke-announced");
    // The intent lines go out now where they can; nothing waits for them.
    if let Err(error) = super::publish::journal(op) {
        report.audit_error(&error);
    }
    if !unsure.is_empty() {
        engine.end_own(&unsure).await?;
    }

    let observed = explained(op, target, engine, &distinct(due.due(now))).await?;
    let touched = observed.keys().cloned();
    let leases: Vec<&Lease> = due.leases.iter().collect();
    match disputes::note(op, target, engine, touched, &leases, &observed).await {
        Ok(noted) => due.took_state(noted.states),
        // The REVOKEs of what is due go on.
        Err(Failing::Ledger(error)) => report.ledger_error(&error),
        Err(error) => return Err(error),
    }
    let plan = due.plan(now, &observed);
    // Other targets go on while this one waits, and need the room.
    drop(observed);
    let reports = engine.revoke(&plan.steps).await;
    report.ended(&reports);
    failpoint::reach("revoke-sent");
    let taken: Vec<Privilege> = plan
        .steps
        .iter()
        .flat_map(|step| step.privileges.iter().cloned())
        .collect();
    let (after, still_reads) = look::aftermath(op, target, engine, &taken).await?;
    let evidence = Evidence::gather(engine, &due, now, &plan, still_reads).await;
    report.sessions += evidence.sessions.len();
    let seen = Seen {
        plan: &plan,
        told: told(&plan, reports),
        after: &after,
        evidence: &evidence,
        unannounced: announced.err().map(|(_, changes)| changes),
    };
    let nothing_left = nothing_left(&plan, &after);
    record(op, &due, &seen, engine, report).map_err(|error| match error {
        Failing::Ledger(error) if nothing_left => Failing::Unrecorded(error),
        error => error,
    })?;
    failpoint::reach("revoke-recorded");
    Ok(())
}

/// Whether the catalog shows nothing more of what was due, whatever becomes of its record.
fn nothing_left(plan: &Plan, after: &Observed) -> bool {
    let held = |standing: &Standing| matches!(standing, Standing::Held { .. });
    let disputed = |settled: &plan::Settled| matches!(settled.how, Settlement::Disputed { .. });
    !after.values().any(held) && !plan.settled.iter().any(disputed)
}

/// Requests of due leases whose GRANT, or whose REVOKE of an earlier try, may still be under way somewhere.
fn unsure(due: &Due, now: &Now) -> Vec<RequestId> {
    let mut ids: Vec<RequestId> = due
        .due(now)
        .into_iter()
        .filter(|lease| lease.state == LeaseState::Owed || due.is_announced(&lease.id.request))
        .map(|lease| lease.id.request.clone())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Moves requests whose time is over to `revoking`, with a line a table. `due` is changed even where the ledger
/// cannot be written: the REVOKEs go on.
///
/// # Errors
/// The ledger's, with the changes that it could not take: they belong before whatever is recorded of these requests.
fn announce(
    op: &Operator,
    due: &mut Due,
    now: &Now,
    engine: &dyn Engine,
) -> Result<(), (StoreError, Vec<Change>)> {
    let mut expired: BTreeMap<RequestId, Vec<&Lease>> = BTreeMap::new();
    for lease in due
        .leases
        .iter()
        .filter(|l| l.state.is_live() && l.is_due(now) && due.is_due(l, now))
    {
        expired
            .entry(lease.id.request.clone())
            .or_default()
            .push(lease);
    }
    let mut changes = Vec::new();
    for (id, leases) in expired {
        let Some(request) = due.requests.get_mut(&id) else {
            continue;
        };
        let was = request.state;
        if was == State::Revoking {
            continue;
        }
        request.state = State::Revoking;
        request.ended.get_or_insert(Ended::Expired);
        let events = events::by_subject(leases)
            .into_iter()
            .map(|(subject, leases)| {
                let mut line = events::of_leases(
                    EventKind::Revoking,
                    &op.itself(),
                    request,
                    &subject,
                    &leases,
                    Some(engine.flavour().kind.word()),
                );
                line.sql = vec![engine.sql(Verb::Revoke, &privileges_of(&leases))];
                line
            })
            .collect();
        changes.push(Change {
            effects: vec![Effect::moved(was, request)],
            events,
        });
    }
    match commit_each(op, now, &changes) {
        Ok(_) => Ok(()),
        Err(error) => Err((error, changes)),
    }
}

fn privileges_of(leases: &[&Lease]) -> Vec<Privilege> {
    leases.iter().map(|lease| lease.privilege.clone()).collect()
}

/// Requests in `revoking` whose last lease was ended elsewhere: by a person who settled it, or before a crash.
fn close_finished(op: &Operator, target: &TargetName) -> Result<(), Failing> {
    let now = op.now();
    let still_due: HashSet<RequestId> = op
        .ledger
        .due_keys(target, &now)?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let mut changes = Vec::new();
    let find = FindRequests {
        states: Some(vec![State::Revoking]),
        target: Some(target.clone()),
        ..FindRequests::default()
    };
    op.ledger.each_request(&find, &mut |request| {
        // Every live lease of a request that is being revoked is due.
        if !still_due.contains(&request.id) {
            changes.push(Change {
                effects: vec![Effect::MoveRequest {
                    was: request.state,
                    course: Box::new(finished(request.course(), &now)),
                    id: request.id,
                }],
                events: Vec::new(),
            });
        }
        Ok(())
    })?;
    commit_each(op, &now, &changes)?;
    Ok(())
}
