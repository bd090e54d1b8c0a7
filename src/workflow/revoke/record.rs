//! Writing down what was seen of each due lease, and ending the requests that owe nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use foldhash::{HashMap, HashMapExt};
use serde_json::json;

use crate::access::plan::{Plan, Settlement};
use crate::access::{
    Course, Ended, Lease, LeaseId, LeaseState, Now, PrivilegeKey, Request, RequestId, SharedText,
    Standing, State,
};
use crate::audit::event::{Draft, EventKind};
use crate::engines::{Engine, Report, Session, Verb};
use crate::stores::{Change, Effect};
use crate::workflow::events::{self, Subject};
use crate::workflow::look::Observed;
use crate::workflow::target::{Failing, TargetReport};
use crate::workflow::{Operator, commit_each};

use super::evidence::Evidence;
use super::{Due, privileges_of};

/// Everything that was seen in one round.
pub struct Seen<'a> {
    pub plan: &'a Plan,
    pub told: HashMap<PrivilegeKey, Rc<Told>>,
    pub after: &'a Observed,
    pub evidence: &'a Evidence,
    /// The announcement, where the ledger could not take it before the REVOKE.
    pub unannounced: Option<Vec<Change>>,
}

/// What the engine said of the step that a privilege was in.
#[derive(Default)]
pub struct Told {
    error: Option<String>,
    batch: Option<String>,
    in_the_way: Vec<Session>,
}

pub fn told(plan: &Plan, reports: Vec<Report>) -> HashMap<PrivilegeKey, Rc<Told>> {
    let mut by_key = HashMap::new();
    for (step, report) in plan.steps.iter().zip(reports) {
        let told = Rc::new(Told {
            error: report.error.as_ref().map(ToString::to_string),
            batch: report.batch,
            in_the_way: report.in_the_way,
        });
        for privilege in &step.privileges {
            by_key.insert(privilege.key(), told.clone());
        }
    }
    by_key
}

/// The sessions that were in the way of these.
fn in_the_way<'s>(seen: &'s Seen<'_>, leases: &[&Lease]) -> BTreeSet<&'s Session> {
    leases
        .iter()
        .filter_map(|lease| seen.told.get(&lease.key()))
        .flat_map(|told| &told.in_the_way)
        .collect()
}

/// What became of one due lease.
enum Fate {
    Ends(LeaseState, EventKind),
    Disputed(String),
    Fails(String),
}

fn fate(
    lease: &Lease,
    seen: &Seen<'_>,
    settled: &HashMap<&LeaseId, &Settlement>,
    now: &Now,
) -> Option<Fate> {
    let ended_at = now.at;
    match settled.get(&lease.id) {
        Some(Settlement::Gone { why }) => {
            return Some(Fate::Ends(
                LeaseState::Gone {
                    ended_at,
                    why: why.clone(),
                },
                EventKind::Gone,
            ));
        }
        Some(Settlement::Covered { by }) => {
            return Some(Fate::Ends(
                LeaseState::Covered {
                    ended_at,
                    by: by.clone(),
                },
                EventKind::Kept,
            ));
        }
        Some(Settlement::Disputed { why }) => return Some(Fate::Disputed(why.clone())),
        None => {}
    }
    let told = seen.told.get(&lease.key())?;
    Some(match seen.after.get(&lease.key()) {
        Some(Standing::Absent { .. }) => {
            Fate::Ends(LeaseState::Revoked { ended_at }, EventKind::Revoked)
        }
        Some(Standing::Gone { why }) => Fate::Ends(
            LeaseState::Gone {
                ended_at,
                why: why.clone(),
            },
            EventKind::Gone,
        ),
        Some(Standing::Held { .. }) => Fate::Fails(told.error.clone().unwrap_or_else(|| {
            "the server answered the REVOKE with success, and the privilege is still there".into()
        })),
        None => Fate::Fails("its privilege could not be observed".into()),
    })
}

/// Writes down what was seen of each due lease, and ends the requests that owe nothing more.
pub fn record(
    op: &Operator,
    due: &Due,
    seen: &Seen<'_>,
    engine: &dyn Engine,
    report: &mut TargetReport,
) -> Result<(), Failing> {
    let now = op.now();
    let settled: HashMap<&LeaseId, &Settlement> = seen
        .plan
        .settled
        .iter()
        .map(|settled| (&settled.lease, &settled.how))
        .collect();
    let mut by_request: BTreeMap<&RequestId, Vec<&Lease>> = BTreeMap::new();
    for lease in due.due(&now) {
        by_request.entry(&lease.id.request).or_default().push(lease);
    }
    let mut changes = seen.unannounced.clone().unwrap_or_default();
    for (id, leases) in by_request {
        let Some(request) = due.requests.get(id) else {
            continue;
        };
        let mut change = Change::default();
        let mut open = 0;
        let mut ends: BTreeMap<(Subject, String), (EventKind, Vec<&Lease>)> = BTreeMap::new();
        let mut troubles: BTreeMap<(Subject, String), (EventKind, Vec<&Lease>)> = BTreeMap::new();
        for lease in leases {
            let subject = Subject::of(&lease.privilege);
            match fate(lease, seen, &settled, &now) {
                // Became due after the plan was made: the next round takes it.
                None => open += 1,
                Some(Fate::Ends(state, kind)) => {
                    report.count(kind);
                    ends.entry((subject, format!("{kind:?}{}", why_of(&state))))
                        .or_insert((kind, Vec::new()))
                        .1
                        .push(lease);
                    let stamp = left(lease, &state, seen);
                    change.effects.push(Effect::put(lease, state, stamp));
                }
                Some(Fate::Disputed(why)) => {
                    open += 1;
                    report.disputed(lease, &why, now.at);
                    let state = LeaseState::Disputed { why: why.clone() };
                    let lines = troubles
                        .entry((subject, why))
                        .or_insert((EventKind::Kept, Vec::new()));
                    // That it is disputed is in the trail already where its state says so.
                    if lease.state != state {
                        lines.1.push(lease);
                        let id = lease.id.clone();
                        change.effects.push(Effect::MoveLease { id, state });
                    }
                }
                Some(Fate::Fails(why)) => {
                    open += 1;
                    report.trouble(lease, &why, now.at);
                    troubles
                        .entry((subject, why))
                        .or_insert((EventKind::RevokeFailed, Vec::new()))
                        .1
                        .push(lease);
                }
            }
        }
        for ((subject, _), (kind, leases)) in &ends {
            change.events.push(end_line(
                op, request, subject, *kind, leases, seen, engine, &now,
            ));
        }
        let mut course = request.course();
        let complaint = troubles
            .keys()
            .map(|(_, why)| why.as_str())
            .collect::<Vec<_>>()
            .join("; ");
        let ended = troubles
            .values()
            .any(|(_, leases)| in_the_way(seen, leases).iter().any(|s| s.ended));
        let said = course.outcome.as_deref() == Some(complaint.as_str());
        if !complaint.is_empty() && (!said || ended) {
            // Said once, not at every sweep: the audit trail stays readable while somebody mends it. What we did to a
            // session is always said.
            for ((subject, why), (kind, leases)) in &troubles {
                if leases.is_empty() {
                    continue;
                }
                let mut line = events::of_leases(
                    *kind,
                    &op.itself(),
                    request,
                    subject,
                    leases,
                    Some(engine.flavour().kind.word()),
                );
                line.why = Some(why.clone());
                line.sql = vec![engine.sql(Verb::Revoke, &privileges_of(leases))];
                let sessions = in_the_way(seen, leases);
                if !sessions.is_empty() {
                    events::observe(&mut line, "sessions", json!(sessions));
                }
                change.events.push(line);
            }
            course.outcome = Some(complaint);
        }
        if open == 0 {
            course = finished(course, &now);
        }
        if course != request.course() {
            change.effects.push(Effect::MoveRequest {
                id: id.clone(),
                was: request.state,
                course: Box::new(course),
            });
        }
        changes.push(change);
    }
    commit_each(op, &now, &changes)?;
    Ok(())
}

/// What the REVOKE of a lease left in the catalog of its account and table, where the engine tells.
fn left<'s>(lease: &Lease, state: &LeaseState, seen: &'s Seen<'_>) -> Option<&'s SharedText> {
    match (state, seen.after.get(&lease.key())) {
        (LeaseState::Revoked { .. }, Some(Standing::Absent { stamp, .. })) => stamp.as_ref(),
        _ => None,
    }
}

fn why_of(state: &LeaseState) -> String {
    match state {
        LeaseState::Gone { why, .. } => why.clone(),
        LeaseState::Covered { by, .. } => by.to_string(),
        _ => String::new(),
    }
}

#[allow(clippy::too_many_arguments)] // one line of the trail needs all of what was seen
fn end_line(
    op: &Operator,
    request: &Request,
    subject: &Subject,
    kind: EventKind,
    leases: &[&Lease],
    seen: &Seen<'_>,
    engine: &dyn Engine,
    now: &Now,
) -> Draft {
    let mut line = events::of_leases(
        kind,
        &op.itself(),
        request,
        subject,
        leases,
        Some(engine.flavour().kind.word()),
    );
    let early = matches!(
        request.ended,
        Some(Ended::Returned | Ended::Revoked { .. } | Ended::Failed { .. })
    );
    let due_at = leases.first().map(|lease| lease.expires_at);
    events::set_end(&mut line, now.at, if early { None } else { due_at });
    match kind {
        EventKind::Revoked => {
            events::observe(&mut line, "row", json!("absent"));
            line.sql = vec![engine.sql(Verb::Revoke, &privileges_of(leases))];
            line.batch = leases
                .first()
                .and_then(|lease| seen.told.get(&lease.key()))
                .and_then(|told| told.batch.clone());
        }
        EventKind::Kept => {
            let by = seen
                .plan
                .settled
                .iter()
                .find_map(|settled| match &settled.how {
                    Settlement::Covered { by } if leases.iter().any(|l| l.id == settled.lease) => {
                        Some(by)
                    }
                    _ => None,
                });
            line.why = by.map(|by| {
                format!("request {by} has the same access and goes on; it now owes the undo")
            });
        }
        _ => {
            line.why = seen
                .plan
                .settled
                .iter()
                .find_map(|settled| match &settled.how {
                    Settlement::Gone { why } if leases.iter().any(|l| l.id == settled.lease) => {
                        Some(why.clone())
                    }
                    _ => None,
                });
            line.why = line.why.or_else(|| {
                leases
                    .iter()
                    .find_map(|lease| match seen.after.get(&lease.key()) {
                        Some(Standing::Gone { why }) => Some(why.clone()),
                        _ => None,
                    })
            });
        }
    }
    if kind != EventKind::Kept {
        seen.evidence
            .add_to(&mut line, leases, in_the_way(seen, leases));
    }
    line
}

/// The end of a request that owes nothing more.
pub fn finished(course: Course, now: &Now) -> Course {
    let (state, outcome) = match &course.ended {
        Some(Ended::Failed { why }) => (State::Failed, Some(why.clone())),
        _ => (State::Ended, None),
    };
    Course {
        state,
        outcome,
        ended_at: Some(now.at),
        ..course
    }
}
