//! What cron runs: take what is due, drain, settle, grant, look again. Targets side by side; the failure of one
//! step or one target never keeps another from its work.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::access::{Actor, At, Now, Person, RequestId, State, TargetName};
use crate::audit::event::{Draft, EventKind};
use crate::engines::{self, Address, Engine, EngineError};
use crate::stores::{Change, Effect, Fact, FindLeases, FindRequests, Lock, StoreError};

use super::drain::{Drained, Whose, drain};
use super::target::{Failing, Overdue, TargetReport};
use super::{
    Operator, activate, arrive, belongs, commit_each, events, publish, recover, revoke, strays,
    view,
};

/// Draining begins at the latest after this long, even if a target has not answered by then.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a visit waits for another operator at the same target.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);

/// How much is done.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Everything, on these targets (`None`: on all). What counts as a sweep.
    Sweep(Option<TargetName>),
    /// Only what my own submission needs: drain mine, then visit the targets it touches.
    Mine(Person),
}

/// What a sweep did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SweepReport {
    pub targets: Vec<TargetReport>,
    pub accepted: usize,
    pub rejected: usize,
    pub left: usize,
    pub lapsed: usize,
    /// The inbox, the ledger or the audit file failed, apart from any target.
    pub errors: Vec<String>,
    pub ledger_errors: Vec<String>,
    pub audit_errors: Vec<String>,
    pub audit_lines: usize,
    pub seconds: f64,
}

impl SweepReport {
    pub fn overdue(&self) -> impl Iterator<Item = &Overdue> {
        self.targets.iter().flat_map(|target| &target.overdue)
    }

    /// Whether anything happened that is worth a line.
    pub fn is_quiet(&self) -> bool {
        self.accepted + self.rejected + self.left + self.lapsed == 0
            && self.errors.is_empty()
            && self.ledger_errors.is_empty()
            && self.audit_errors.is_empty()
            && self.targets.iter().all(|t| {
                t.granted + t.revoked + t.gone + t.kept + t.strays + t.refused + t.failed == 0
                    && t.unreachable.is_none()
                    && t.errors.is_empty()
                    && t.overdue.is_empty()
                    && t.held_back.is_none()
                    && !t.locked
                    && t.ledger_errors.is_empty()
                    && t.audit_errors.is_empty()
            })
    }
}

/// What the ledger remembers of sweeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SweepRecord {
    /// When each target's revokes were last all done.
    pub done: BTreeMap<TargetName, At>,
    /// Targets that could not be worked on by the last sweep, and why.
    pub unreachable: BTreeMap<TargetName, String>,
}

/// When a sweep last did everything that was due on this target.
pub fn last_success(op: &Operator, target: &TargetName) -> Result<Option<At>, StoreError> {
    Ok(record(op)?.done.get(target).copied())
}

/// What the last sweeps left in the ledger.
pub fn record(op: &Operator) -> Result<SweepRecord, StoreError> {
    Ok(op
        .ledger
        .fact(Fact::LastSweepReport)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}

/// Runs.
pub async fn sweep(op: &Operator, scope: &Scope) -> SweepReport {
    let started = std::time::Instant::now();
    let mut report = SweepReport::default();
    if let Err(error) = note_settings(op) {
        report.ledger_errors.push(error.to_string());
    }
    let before = op.ledger.head().map(|head| head.0).unwrap_or_default();
    match scope {
        Scope::Sweep(only) => whole(op, only.as_ref(), &mut report).await,
        Scope::Mine(person) => mine(op, person, &mut report).await,
    }
    if let Err(error) = publish::journal(op) {
        report.audit_errors.push(error.to_string());
    }
    let after = op.ledger.head().map(|head| head.0).unwrap_or_default();
    report.audit_lines = usize::try_from(after.saturating_sub(before)).unwrap_or_default();
    if matches!(scope, Scope::Sweep(_)) {
        if let Err(error) = remember(op, &report) {
            report.ledger_errors.push(error.to_string());
        }
    }
    if let Err(error) = publish::views(op) {
        report.errors.push(format!("mailboxes: {error}"));
    }
    report.seconds = started.elapsed().as_secs_f64();
    report
}

async fn whole(op: &Operator, only: Option<&TargetName>, report: &mut SweepReport) {
    let chosen: Vec<(&TargetName, &Address)> = op
        .rules
        .targets
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .collect();
    let (arrived, mut arrivals) = watch::channel(0_usize);
    let (open, gate) = watch::channel(false);
    let all = chosen.len();
    let visits = join_all(
        chosen
            .into_iter()
            .map(|(name, address)| visit(op, name, address, Some(&arrived), gate.clone(), true)),
    );
    let house = async {
        // Due revokes go first everywhere; a target that does not answer holds up the others for this long at most.
        let _ = tokio::time::timeout(PATIENCE, arrivals.wait_for(|count| *count >= all)).await;
        let drained = drain(op, Whose::Everybody).await;
        let lapsed = lapse(op);
        let _ = open.send(true);
        (drained, lapsed)
    };
    let (mut targets, (drained, lapsed)) = tokio::join!(visits, house);
    targets.extend(elsewhere(op, only, report));
    report.targets = targets;
    take_in(report, drained);
    match lapsed {
        Ok(count) => report.lapsed = count,
        Err(error) => report.ledger_errors.push(error.to_string()),
    }
}

async fn mine(op: &Operator, person: &Person, report: &mut SweepReport) {
    let drained = drain(op, Whose::Mine(person)).await;
    let touched: Vec<RequestId> = drained
        .as_ref()
        .map(|d| d.touched.clone())
        .unwrap_or_default();
    take_in(report, drained);
    let mut targets: Vec<TargetName> = Vec::new();
    for id in &touched {
        if let Ok(Some(request)) = op.ledger.request(id)
            && !request.state.is_final()
            && request.state != State::Pending
            && !targets.contains(&request.target)
        {
            targets.push(request.target);
        }
    }
    if touched.is_empty() {
        // A kill switch by selector names no request: everything that is on its way out is looked at.
        if let Ok(requests) = op.ledger.requests(&FindRequests {
            states: Some(vec![State::Revoking]),
            ..FindRequests::default()
        }) {
            for request in requests {
                if !targets.contains(&request.target) {
                    targets.push(request.target);
                }
            }
        }
    }
    let (_, gate) = watch::channel(true);
    report.targets = join_all(
        targets
            .iter()
            .filter_map(|name| op.rules.targets.get_key_value(name))
            .map(|(name, address)| visit(op, name, address, None, gate.clone(), false)),
    )
    .await;
}

fn take_in(report: &mut SweepReport, drained: Result<Drained, StoreError>) {
    match drained {
        Ok(drained) => {
            report.accepted = drained.accepted;
            report.rejected = drained.rejected;
            report.left = drained.left;
            report.errors.extend(drained.errors);
        }
        Err(error) => report.ledger_errors.push(error.to_string()),
    }
}

/// One target, from its due revokes to a last look. Keeps the target's lock all the while.
async fn visit(
    op: &Operator,
    name: &TargetName,
    address: &Address,
    arrived: Option<&watch::Sender<usize>>,
    mut gate: watch::Receiver<bool>,
    whole: bool,
) -> TargetReport {
    let mut report = TargetReport::new(name);
    let lock = lock(op, name).await;
    let mut engine = match &lock {
        Ok(Some(_)) => match connect(op, name, address).await {
            Ok(engine) => Some(engine),
            Err(error) => {
                report.file(error.into());
                None
            }
        },
        Ok(None) => {
            report.locked = true;
            None
        }
        Err(error) => {
            report.ledger_error(error);
            None
        }
    };
    if let Some(engine) = engine.as_deref_mut() {
        take_due(op, name, engine, &mut report).await;
    }
    if let Some(arrived) = arrived {
        arrived.send_modify(|count| *count += 1);
    }
    let _ = gate.wait_for(|open| *open).await;
    if let Some(engine) = engine.as_deref_mut() {
        if let Err(error) = give(op, name, engine, &mut report, whole).await {
            report.file(error);
        }
        // What was returned, revoked or became due meanwhile.
        take_due(op, name, engine, &mut report).await;
    } else {
        not_reached(op, name, &mut report);
    }
    report
}

async fn take_due(
    op: &Operator,
    name: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
) {
    report.overdue.clear();
    match revoke::due(op, name, engine, report).await {
        Ok(()) => match others_database(op, name, engine) {
            Ok(overdue) => report.overdue.extend(overdue),
            Err(error) => report.ledger_error(&error),
        },
        Err(error) => {
            report.file(error);
            if let Ok(overdue) = still_due(op, name, &op.now(), "the target could not be worked on")
            {
                report.overdue.extend(overdue);
            }
        }
    }
    report.revokes_done = report.unreachable.is_none() && report.overdue.is_empty();
}

/// Everything that gives: judged arrivals, what a crash left, what is approved.
async fn give(
    op: &Operator,
    name: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
    whole: bool,
) -> Result<(), Failing> {
    if !others_database(op, name, engine)?.is_empty() {
        report.held_back =
            Some("the server is another one than the leases of this target were given on".into());
        return Ok(());
    }
    arrive::submitted(op, name, engine, report).await?;
    belongs::to_us(op, name, engine).await?;
    recover::granting(op, name, engine, report).await?;
    activate::approved(op, name, engine, report, whole).await?;
    if whole {
        strays::take(op, name, engine, report).await?;
        remember_columns(op, name, engine).await?;
    }
    Ok(())
}

/// Live leases of this target that were given on another server than the one that answers: never touched.
fn others_database(
    op: &Operator,
    name: &TargetName,
    engine: &dyn Engine,
) -> Result<Vec<Overdue>, StoreError> {
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
        })
        .collect())
}

/// What is due on a target that nobody could work on.
fn not_reached(op: &Operator, name: &TargetName, report: &mut TargetReport) {
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
fn complain(op: &Operator, name: &TargetName, why: &str) -> Result<(), StoreError> {
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
            saved.ended.get_or_insert(crate::access::Ended::Expired);
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
            effects: vec![Effect::SaveRequest {
                was,
                now: Box::new(saved),
            }],
            events,
        });
    }
    commit_each(op, &now, changes)
}

fn still_due(
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
fn elsewhere(
    op: &Operator,
    only: Option<&TargetName>,
    report: &mut SweepReport,
) -> Vec<TargetReport> {
    if only.is_some() {
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

/// Connects; the connection is checked against what the ledger knows later, where leases are at stake.
async fn connect(
    op: &Operator,
    name: &TargetName,
    address: &Address,
) -> Result<Box<dyn Engine>, EngineError> {
    let _ = (op, name);
    engines::connect(address).await
}

/// The target's lock, without holding up the other targets while it is waited for.
async fn lock(op: &Operator, name: &TargetName) -> Result<Option<Box<dyn Lock>>, StoreError> {
    let started = std::time::Instant::now();
    loop {
        if let Some(lock) = op.ledger.lock(&format!("target:{name}"), Duration::ZERO)? {
            return Ok(Some(lock));
        }
        if started.elapsed() > LOCK_PATIENCE {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Requests that nobody granted in time.
fn lapse(op: &Operator) -> Result<usize, StoreError> {
    let now = op.now();
    let over = op.ledger.requests(&FindRequests {
        states: Some(vec![State::Submitted, State::Pending, State::Approved]),
        lapsing_by: Some(now.at),
        ..FindRequests::default()
    })?;
    let count = over.len();
    let changes = over
        .into_iter()
        .map(|mut request| {
            let was = request.state;
            let why = match was {
                State::Approved => "it was approved, but no grant could be given in time",
                State::Pending => "nobody approved it in time",
                _ => "the target could not be looked at in time",
            };
            request.state = State::Lapsed;
            request.ended_at = Some(now.at);
            request.outcome = Some(why.to_owned());
            Change {
                events: events::of_request(EventKind::Lapsed, &op.itself(), &request, Some(why)),
                effects: vec![Effect::SaveRequest {
                    was,
                    now: Box::new(request),
                }],
            }
        })
        .collect();
    commit_each(op, &now, changes)?;
    Ok(count)
}

/// Notices a change of settings, groups, people, targets or policies before anything is judged by it.
pub fn note_settings(op: &Operator) -> Result<(), StoreError> {
    let known = op.ledger.fact(Fact::SettingsHash)?;
    if known.as_deref() == Some(op.rules.hash.as_str()) {
        return Ok(());
    }
    let mut change = Change::default();
    for (hash, body) in &op.rules.texts {
        change.effects.push(Effect::KeepText {
            hash: hash.clone(),
            body: body.clone(),
        });
    }
    change.effects.push(Effect::SetFact {
        fact: Fact::SettingsHash,
        value: op.rules.hash.clone(),
    });
    let mut line = Draft::new(EventKind::SettingsChanged, &Actor::Person(op.me.clone()));
    line.observed = Some(serde_json::json!({
        "old": known,
        "new": op.rules.hash,
        "texts": op.rules.texts.iter().map(|(hash, _)| hash).collect::<Vec<_>>(),
    }));
    change.events.push(line);
    op.ledger.commit(&op.now(), change).map(|_| ())
}

/// What the catalog has of the protected tables, for pickers; saved only when it has changed.
async fn remember_columns(
    op: &Operator,
    name: &TargetName,
    engine: &mut dyn Engine,
) -> Result<(), Failing> {
    let catalog = engine.catalog().await?;
    let mut columns: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for protected in op
        .rules
        .book
        .protected(name, op.rules.ignores_column_case(name), &catalog)
    {
        columns
            .entry(protected.table)
            .or_default()
            .push(protected.column);
    }
    let mut all: view::Protected = op
        .ledger
        .fact(Fact::Protected)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let mine: Vec<_> = columns.into_iter().collect();
    if all.get(name) == Some(&mine) {
        return Ok(());
    }
    all.insert(name.clone(), mine);
    all.retain(|target, _| op.rules.targets.contains_key(target));
    op.ledger.commit(
        &op.now(),
        Change {
            effects: vec![Effect::SetFact {
                fact: Fact::Protected,
                value: serde_json::to_string(&all).unwrap_or_default(),
            }],
            events: Vec::new(),
        },
    )?;
    Ok(())
}

/// Records how each target did.
fn remember(op: &Operator, report: &SweepReport) -> Result<(), StoreError> {
    let now = op.now();
    let mut record = record(op)?;
    for target in &report.targets {
        let name = TargetName(target.target.clone());
        if target.revokes_done {
            record.done.insert(name.clone(), now.at);
            record.unreachable.remove(&name);
        } else {
            let why = target
                .unreachable
                .clone()
                .or_else(|| target.overdue.first().map(|overdue| overdue.why.clone()))
                .unwrap_or_else(|| "not all of it was done".to_owned());
            record.unreachable.insert(name, why);
        }
    }
    record
        .done
        .retain(|name, _| op.rules.targets.contains_key(name));
    let mut effects = vec![Effect::SetFact {
        fact: Fact::LastSweepReport,
        value: serde_json::to_string(&record).unwrap_or_default(),
    }];
    if report.targets.iter().all(|target| target.revokes_done) {
        effects.push(Effect::SetFact {
            fact: Fact::LastSweep,
            value: now.at.to_string(),
        });
    }
    op.ledger
        .commit(
            &now,
            Change {
                effects,
                events: Vec::new(),
            },
        )
        .map(|_| ())
}
