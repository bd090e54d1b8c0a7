//! What should be gone and cannot be taken now: told at every sweep, and once in the audit trail.

use std::collections::BTreeMap;

use crate::access::{Ended, Now, State, TargetName};
use crate::audit::event::EventKind;
use crate::engines::Engine;
use crate::stores::{Change, Effect, FindLeases, StoreError};

use super::sweep::SweepReport;
use super::target::{Overdue, TargetReport};
use super::{Operator, commit_each, events, revoke};

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
    let leases = op.ledger.leases(&FindLeases::Live(Some(name.clone())))?;
    Ok(leases
        .iter()
        .filter(|lease| !lease.server.same_database(engine.server()))
        .map(|lease| Overdue {
            request: lease.id.request.clone(),
            what: format!("{} of {}", lease.privilege.named.table().map_or_else(String::new, ToString::to_string), lease.grantee),
            since: lease.expires_at,
            why: format!(
                "{name} answers as {}, the lease was given on {}; nothing is touched there until the settings lead back to it",
                engine.server(),
                lease.server
            ),
            disputed: false,
        })
        .collect())
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
    let due = revoke::Due::read(op, name, &now)?;
    let mut changes = Vec::new();
    for request in due.requests.values() {
        let mine: Vec<_> = due
            .leases
            .iter()
            .filter(|l| l.id.request == request.id && l.state.is_live() && due.is_due(l, &now))
            .collect();
        if mine.is_empty() || request.outcome.as_deref() == Some(why) {
            continue;
        }
        let was = request.state;
        let mut saved = request.clone();
        if was != State::Revoking {
            saved.state = State::Revoking;
            saved.ended.get_or_insert(Ended::Expired);
        }
        saved.outcome = Some(why.to_owned());
        let events = events::by_subject(mine)
            .into_iter()
            .map(|(subject, leases)| {
                let mut line = events::of_leases(
                    EventKind::RevokeFailed,
                    &op.itself(),
                    &saved,
                    &subject,
                    &leases,
                    None,
                );
                line.why = Some(why.to_owned());
                line
            })
            .collect();
        changes.push(Change {
            effects: vec![Effect::moved(was, &saved)],
            events,
        });
    }
    commit_each(op, &now, &changes).map(|_| ())
}

pub fn still_due(
    op: &Operator,
    name: &TargetName,
    now: &Now,
    why: &str,
) -> Result<Vec<Overdue>, StoreError> {
    let due = revoke::Due::read(op, name, now)?;
    let mut report = TargetReport::new(name);
    for lease in due
        .leases
        .iter()
        .filter(|l| l.state.is_live() && due.is_due(l, now))
    {
        report.trouble(lease, why, now.at);
    }
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
    let leases = match op.ledger.leases(&FindLeases::Live(None)) {
        Ok(leases) => leases,
        Err(error) => {
            report.ledger_errors.push(error.to_string());
            return Vec::new();
        }
    };
    let mut lost: BTreeMap<TargetName, TargetReport> = BTreeMap::new();
    for lease in leases
        .iter()
        .filter(|l| !op.rules.targets.contains_key(&l.target))
    {
        lost.entry(lease.target.clone())
            .or_insert_with(|| TargetReport::new(&lease.target))
            .trouble(
                lease,
                "the target has left the settings while this lease lives; put it back, or revoke by hand",
                op.now().at,
            );
    }
    lost.into_values().collect()
}
