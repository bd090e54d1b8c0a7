//! Taking away what is due on one target, and proving it.
//!
//! The order is fixed: say so in the ledger, observe, plan, REVOKE, observe again, record. A ledger that cannot be
//! written or an audit file that cannot take a line holds up none of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;

use crate::access::plan::{self, Plan, Settlement};
use crate::access::{
    Ended, Lease, LeaseId, LeaseState, Now, Privilege, PrivilegeKey, Request, RequestId, Sessions,
    Standing, State, TargetName,
};
use crate::audit::event::{Draft, EventKind};
use crate::engines::{Engine, Report, Session, Verb};
use crate::stores::{Change, Effect, FindLeases, FindRequests, StoreError};

use super::events::{self, Subject};
use super::look::{distinct, explained};
use super::target::{Failing, TargetReport};
use super::{Operator, commit_each, failpoint};

/// What must go, from the ledger alone.
pub struct Due {
    /// The due leases, and every live one that shares a privilege with one of them.
    pub leases: Vec<Lease>,
    pub requests: HashMap<RequestId, Request>,
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
        Ok(Self { leases, requests })
    }

    /// Whether a lease must end now: its request is being taken, or its time is over.
    pub fn is_due(&self, lease: &Lease, now: &Now) -> bool {
        lease.is_due(now)
            || self
                .requests
                .get(&lease.id.request)
                .is_none_or(|request| request.state == State::Revoking)
    }

    fn due(&self, now: &Now) -> Vec<&Lease> {
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
    let privileges = distinct(due.due(now));
    let observed = explained(op, target, engine, &privileges).await?;
    Ok(plan::plan(
        now,
        &due.leases,
        &|lease| due.is_due(lease, now),
        &observed,
    ))
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
    let mut due = Due::read(op, target, &now)?;
    let elsewhere: HashSet<LeaseId> = due
        .leases
        .iter()
        .filter(|lease| !lease.server.same_database(engine.server()))
        .map(|lease| lease.id.clone())
        .collect();
    due.leases.retain(|lease| !elsewhere.contains(&lease.id));
    if due.due(&now).is_empty() {
        return close_finished(op, &due);
    }

    if let Err(error) = announce(op, &mut due, &now, engine) {
        report.ledger_error(&error);
    }
    failpoint::reach("revoke-announced");
    // The intent lines go out now where they can; nothing waits for them.
    if let Err(error) = super::publish::journal(op) {
        report.audit_error(&error);
    }
    let unsure: Vec<RequestId> = unsure(&due, &now);
    if !unsure.is_empty() {
        engine.end_own(&unsure).await?;
    }

    let plan = plan(op, target, &due, &now, engine).await?;
    let reports = engine.revoke(&plan.steps).await;
    failpoint::reach("revoke-sent");
    let taken: Vec<Privilege> = plan
        .steps
        .iter()
        .flat_map(|step| step.privileges.iter().cloned())
        .collect();
    let after = if taken.is_empty() {
        HashMap::new()
    } else {
        explained(op, target, engine, &taken).await?
    };
    let evidence = Evidence::gather(engine, &due, &now, &plan, &taken).await;
    report.sessions += evidence.sessions.len();
    let seen = Seen {
        plan: &plan,
        failures: failures(&plan, &reports),
        after: &after,
        evidence: &evidence,
    };
    record(op, &due, &seen, engine, report)?;
    failpoint::reach("revoke-recorded");
    Ok(())
}

/// Requests of due leases whose GRANT may still be under way somewhere.
fn unsure(due: &Due, now: &Now) -> Vec<RequestId> {
    let mut ids: Vec<RequestId> = due
        .due(now)
        .into_iter()
        .filter(|lease| lease.state == LeaseState::Owed)
        .map(|lease| lease.id.request.clone())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Moves requests whose time is over to `revoking`, with a line a table. `due` is changed even where the ledger
/// cannot be written: the REVOKEs go on.
fn announce(
    op: &Operator,
    due: &mut Due,
    now: &Now,
    engine: &dyn Engine,
) -> Result<(), StoreError> {
    let mut expired: BTreeMap<RequestId, Vec<&Lease>> = BTreeMap::new();
    for lease in due
        .leases
        .iter()
        .filter(|l| l.state.is_live() && l.is_due(now))
    {
        expired
            .entry(lease.id.request.clone())
            .or_default()
            .push(lease);
    }
    let mut changes = Vec::new();
    let mut moved = Vec::new();
    for (id, leases) in expired {
        let Some(request) = due.requests.get(&id) else {
            continue;
        };
        let was = request.state;
        if was == State::Revoking {
            continue;
        }
        let mut request = request.clone();
        request.state = State::Revoking;
        request.ended.get_or_insert(Ended::Expired);
        let events = events::by_subject(leases)
            .into_iter()
            .map(|(subject, leases)| {
                let mut line = events::of_leases(
                    EventKind::Revoking,
                    &op.itself(),
                    &request,
                    &subject,
                    &leases,
                    Some(engine.flavour().kind.word()),
                );
                line.sql = vec![engine.sql(Verb::Revoke, &privileges_of(&leases))];
                line
            })
            .collect();
        changes.push(Change {
            effects: vec![Effect::SaveRequest {
                was,
                now: Box::new(request.clone()),
            }],
            events,
        });
        moved.push(request);
    }
    let result = commit_each(op, now, changes);
    for request in moved {
        due.requests.insert(request.id.clone(), request);
    }
    result
}

fn privileges_of(leases: &[&Lease]) -> Vec<Privilege> {
    leases.iter().map(|lease| lease.privilege.clone()).collect()
}

/// What a REVOKE did not change: other ways to read, and sessions that go on.
#[derive(Default)]
struct Evidence {
    still: HashMap<PrivilegeKey, Vec<String>>,
    sessions: Vec<(Vec<PrivilegeKey>, Session)>,
    /// Why it could not be gathered, if it could not.
    missing: Option<String>,
}

impl Evidence {
    async fn gather(
        engine: &mut dyn Engine,
        due: &Due,
        now: &Now,
        plan: &Plan,
        taken: &[Privilege],
    ) -> Self {
        let mut evidence = Self::default();
        // Of what another lease covers nothing is to be said: reading goes on, and rightly so.
        let covered: HashSet<&LeaseId> = plan
            .settled
            .iter()
            .filter(|settled| matches!(settled.how, Settlement::Covered { .. }))
            .map(|settled| &settled.lease)
            .collect();
        let ended: Vec<&Lease> = due
            .due(now)
            .into_iter()
            .filter(|lease| !covered.contains(&lease.id))
            .collect();
        match engine.still_reads(taken).await {
            Ok(found) => {
                for still in found {
                    evidence.still.entry(still.key).or_default().push(still.how);
                }
            }
            Err(error) => evidence.missing = Some(error.to_string()),
        }
        let (end, report): (Vec<&Lease>, Vec<&Lease>) = ended.into_iter().partition(|lease| {
            due.requests
                .get(&lease.id.request)
                .and_then(|request| request.terms.as_ref())
                .is_some_and(|terms| terms.sessions == Sessions::End)
        });
        for (leases, end) in [(end, true), (report, false)] {
            let privileges = distinct(leases);
            if privileges.is_empty() {
                continue;
            }
            let keys: Vec<PrivilegeKey> = privileges.iter().map(Privilege::key).collect();
            match engine.sessions(&privileges, end).await {
                Ok(found) => evidence
                    .sessions
                    .extend(found.into_iter().map(|session| (keys.clone(), session))),
                Err(error) => evidence.missing = Some(error.to_string()),
            }
        }
        evidence
    }

    fn add_to(&self, line: &mut Draft, leases: &[&Lease]) {
        let keys: HashSet<PrivilegeKey> = leases.iter().map(|lease| lease.key()).collect();
        let mut still: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for lease in leases {
            for how in self.still.get(&lease.key()).into_iter().flatten() {
                let column = lease.privilege.named.column().map_or("", |c| c.as_str());
                still.entry(how.clone()).or_default().push(column);
            }
        }
        if !still.is_empty() {
            events::observe(line, "still_reads", json!(still));
        }
        let account = leases
            .first()
            .map(|lease| lease.grantee.as_str())
            .unwrap_or_default();
        let user = account.rsplit_once('@').map_or(account, |(user, _)| user);
        let sessions: Vec<&Session> = self
            .sessions
            .iter()
            .filter(|(of, session)| {
                of.iter().any(|key| keys.contains(key))
                    && (session.account == account || session.account.starts_with(user))
            })
            .map(|(_, session)| session)
            .collect();
        if !sessions.is_empty() {
            events::observe(line, "sessions", json!(sessions));
        }
        if let Some(why) = &self.missing {
            events::observe(line, "not_observed", json!(why));
        }
    }
}

/// Everything that was seen in one round.
struct Seen<'a> {
    plan: &'a Plan,
    failures: HashMap<PrivilegeKey, (Option<String>, Option<String>)>,
    after: &'a HashMap<PrivilegeKey, Standing>,
    evidence: &'a Evidence,
}

/// Error and batch of the step that each privilege was in.
fn failures(
    plan: &Plan,
    reports: &[Report],
) -> HashMap<PrivilegeKey, (Option<String>, Option<String>)> {
    let mut by_key = HashMap::new();
    for (step, report) in plan.steps.iter().zip(reports) {
        let error = report.error.as_ref().map(ToString::to_string);
        for privilege in &step.privileges {
            by_key.insert(privilege.key(), (error.clone(), report.batch.clone()));
        }
    }
    by_key
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
    let (error, _) = seen.failures.get(&lease.key())?;
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
        Some(Standing::Held { .. }) => Fate::Fails(error.clone().unwrap_or_else(|| {
            "the server answered the REVOKE with success, and the privilege is still there".into()
        })),
        None => Fate::Fails("its privilege could not be observed".into()),
    })
}

/// Writes down what was seen of each due lease, and ends the requests that owe nothing more.
fn record(
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
    let mut changes = Vec::new();
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
                    change.effects.push(Effect::SaveLease(Box::new(Lease {
                        state,
                        ..lease.clone()
                    })));
                }
                Some(Fate::Disputed(why)) => {
                    open += 1;
                    report.trouble(lease, &why, now.at);
                    let state = LeaseState::Disputed { why: why.clone() };
                    if lease.state != state {
                        troubles
                            .entry((subject, why))
                            .or_insert((EventKind::Kept, Vec::new()))
                            .1
                            .push(lease);
                        change.effects.push(Effect::SaveLease(Box::new(Lease {
                            state,
                            ..lease.clone()
                        })));
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
        let mut saved = request.clone();
        let complaint = troubles
            .keys()
            .map(|(_, why)| why.as_str())
            .collect::<Vec<_>>()
            .join("; ");
        if !complaint.is_empty() && saved.outcome.as_deref() != Some(complaint.as_str()) {
            // Said once, not at every sweep: the audit trail stays readable while somebody mends it.
            for ((subject, why), (kind, leases)) in &troubles {
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
                change.events.push(line);
            }
            saved.outcome = Some(complaint);
        }
        if open == 0 {
            finish(&mut saved, &now);
        }
        if saved != *request {
            change.effects.push(Effect::SaveRequest {
                was: request.state,
                now: Box::new(saved),
            });
        }
        changes.push(change);
    }
    commit_each(op, &now, changes)?;
    Ok(())
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
                .and_then(|lease| seen.failures.get(&lease.key()))
                .and_then(|(_, batch)| batch.clone());
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
        seen.evidence.add_to(&mut line, leases);
    }
    line
}

/// Ends a request that owes nothing more.
fn finish(request: &mut Request, now: &Now) {
    request.ended_at = Some(now.at);
    match &request.ended {
        Some(Ended::Failed { why }) => {
            request.outcome = Some(why.clone());
            request.state = State::Failed;
        }
        _ => {
            request.outcome = None;
            request.state = State::Ended;
        }
    }
}

/// Requests in `revoking` whose last lease was ended elsewhere: by a person who settled it, or before a crash.
fn close_finished(op: &Operator, due: &Due) -> Result<(), Failing> {
    let now = op.now();
    let mut changes = Vec::new();
    for request in due.requests.values().filter(|r| r.state == State::Revoking) {
        let leases = op.ledger.leases(&FindLeases::Of(request.id.clone()))?;
        if leases.iter().any(|lease| lease.state.is_live()) {
            continue;
        }
        let mut ended = request.clone();
        finish(&mut ended, &now);
        changes.push(Change {
            effects: vec![Effect::SaveRequest {
                was: State::Revoking,
                now: Box::new(ended),
            }],
            events: Vec::new(),
        });
    }
    commit_each(op, &now, changes)?;
    Ok(())
}
