//! What should be gone and cannot be taken now: told at every sweep, and once in the audit trail.

use std::collections::BTreeMap;

use foldhash::HashSet;

use crate::access::{Ended, Lease, Now, PrivilegeKey, Request, RequestId, State, TargetName};
use crate::audit::event::EventKind;
use crate::engines::Engine;
use crate::stores::{Change, Effect, FindLeases, StoreError};

use super::sweep::SweepReport;
use super::target::{Overdue, TargetReport};
use super::{Operator, commit_each, events, portions, revoke};

/// Live leases of this target that were given on another server than the one that answers: never touched.
pub fn others_database(
    op: &Operator,
    name: &TargetName,
    engine: &dyn Engine,
) -> Result<Vec<Overdue>, StoreError> {
    let servers = op.ledger.live_servers(name)?;
    if servers.iter().all(|one| one.same_database(engine.server())) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let find = FindLeases::Live(Some(name.clone()));
    op.ledger.each_lease(&find, &mut |lease| {
        if lease.server.same_database(engine.server()) {
            return Ok(());
        }
        found.push(Overdue {
            request: lease.id.request.clone(),
            what: format!("{} of {}", lease.privilege.named.table().map_or_else(String::new, ToString::to_string), lease.grantee),
            since: lease.expires_at,
            why: format!(
                "{name} answers as {}, the lease was given on {}; nothing is touched there until the settings lead back to it",
                engine.server(),
                lease.server
            ),
            disputed: false,
        });
        Ok(())
    })?;
    Ok(found)
}

/// What is due on a target that nobody could work on.
pub fn not_reached(op: &Operator, name: &TargetName, report: &mut TargetReport) {
    let why = report
        .unreachable
        .clone()
        .unwrap_or_else(|| "another operator is at work there".to_owned());
    match still_due(op, name, &op.now(), &why) {
        Ok(overdue) => report.overdue.extend(overdue),
        Err(error) => report.ledger_error(&error),
    }
    if report.unreachable.is_some()
        && let Err(error) = complain(op, name, &why)
    {
        report.ledger_error(&error);
    }
}

/// Says once in the audit trail that a due revoke cannot be sent.
pub fn complain(op: &Operator, name: &TargetName, why: &str) -> Result<(), StoreError> {
    let now = op.now();
    for ids in portions::due(op, name, &now)? {
        let due = revoke::Due::of(op, name, &ids)?;
        let mut of_request: BTreeMap<&RequestId, Vec<&Lease>> = BTreeMap::new();
        for lease in due.due(&now) {
            of_request.entry(&lease.id.request).or_default().push(lease);
        }
        let changes: Vec<Change> = of_request
            .into_iter()
            .filter_map(|(id, leases)| Some((due.requests.get(id)?, leases)))
            .filter(|(request, _)| request.outcome.as_deref() != Some(why))
            .map(|(request, leases)| complaint(op, request, leases, why))
            .collect();
        commit_each(op, &now, &changes)?;
    }
    Ok(())
}

/// That these leases of a request cannot be taken.
fn complaint(op: &Operator, request: &Request, leases: Vec<&Lease>, why: &str) -> Change {
    let was = request.state;
    let mut saved = request.clone();
    if was != State::Revoking {
        saved.state = State::Revoking;
        saved.ended.get_or_insert(Ended::Expired);
    }
    saved.outcome = Some(why.to_owned());
    let events = events::by_subject(leases)
        .into_iter()
        .map(|(subject, leases)| {
            let (kind, by) = (EventKind::RevokeFailed, op.itself());
            let mut line = events::of_leases(kind, &by, &saved, &subject, &leases, None);
            line.why = Some(why.to_owned());
            line
        })
        .collect();
    Change {
        effects: vec![Effect::moved(was, &saved)],
        events,
    }
}

/// The leases that are due on a target, and that for this reason nobody takes.
pub fn still_due(
    op: &Operator,
    name: &TargetName,
    now: &Now,
    why: &str,
) -> Result<Vec<Overdue>, StoreError> {
    let due: HashSet<(RequestId, PrivilegeKey)> =
        op.ledger.due_keys(name, now)?.into_iter().collect();
    let mut report = TargetReport::new(name);
    let find = FindLeases::DueWithSharers(name.clone(), now.clone());
    op.ledger.each_lease(&find, &mut |lease| {
        if due.contains(&(lease.id.request.clone(), lease.key())) {
            report.trouble(&lease, why, now.at);
        }
        Ok(())
    })?;
    Ok(report.overdue)
}

/// Live leases of targets that left the settings: never touched, never forgotten.
pub fn elsewhere(
    op: &Operator,
    only: Option<&TargetName>,
    report: &mut SweepReport,
) -> Vec<TargetReport> {
    if only.is_some() {
        return Vec::new();
    }
    let all_known = |targets: Vec<TargetName>| {
        targets
            .iter()
            .all(|target| op.rules.targets.contains_key(target))
    };
    if op.ledger.live_targets().is_ok_and(all_known) {
        return Vec::new();
    }
    let mut lost: BTreeMap<TargetName, TargetReport> = BTreeMap::new();
    let now = op.now().at;
    let why =
        "the target has left the settings while this lease lives; put it back, or revoke by hand";
    let read = op.ledger.each_lease(&FindLeases::Live(None), &mut |lease| {
        if !op.rules.targets.contains_key(&lease.target) {
            lost.entry(lease.target.clone())
                .or_insert_with(|| TargetReport::new(&lease.target))
                .trouble(&lease, why, now);
        }
        Ok(())
    });
    if let Err(error) = read {
        report.ledger_errors.push(error.to_string());
    }
    lost.into_values().collect()
}
