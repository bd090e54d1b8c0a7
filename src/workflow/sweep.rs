//! What cron runs: take what is due, drain, settle, grant, look again. Targets side by side; the failure of one
//! step or one target never keeps another from its work.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::watch;

use crate::access::{Now, Person, Request, RequestId, State, TargetName};
use crate::audit::event::EventKind;
use crate::engines::{self, Address, Engine};
use crate::stores::{Change, Effect, FindRequests, Lock, StoreError};

use super::drain::{Drained, Whose, drain};
use super::target::{Failing, Overdue, TargetReport};
use super::{
    Operator, activate, arrive, belongs, commit_each, events, overdue, portions, publish, recover,
    remember, revoke, strays,
};

/// Draining begins at the latest after this long, even if a target has not answered by then.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a visit waits for another operator at the same target.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);

/// What the visits of the targets wait for. Sent anew as `Draining`: some of what was drained takes access back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum House {
    Draining,
    Drained,
}

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
    /// Errors in the policies: nothing was judged or given, what was due was taken.
    pub settings_errors: Vec<String>,
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
            && self.settings_errors.is_empty()
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

/// Runs.
pub async fn sweep(op: &Operator, scope: &Scope) -> SweepReport {
    let started = std::time::Instant::now();
    let mut report = SweepReport {
        settings_errors: op.rules.complaints().to_vec(),
        ..SweepReport::default()
    };
    if report.settings_errors.is_empty()
        && let Err(error) = remember::note_settings(op)
    {
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
    if matches!(scope, Scope::Sweep(_))
        && let Err(error) = remember::sweep(op, &report)
    {
        report.ledger_errors.push(error.to_string());
    }
    if report.settings_errors.is_empty()
        && let Err(error) = publish::views(op)
    {
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
    let (house_is, gate) = watch::channel(House::Draining);
    let all = chosen.len();
    portions::share(op);
    let visits = join_all(
        chosen
            .into_iter()
            .map(|(name, address)| visit(op, name, address, Some(&arrived), gate.clone(), true)),
    );
    let house = async {
        // Due revokes go first everywhere; a target that does not answer holds up the others for this long at most.
        let _ = tokio::time::timeout(PATIENCE, arrivals.wait_for(|count| *count >= all)).await;
        let drained = drain(op, Whose::Everybody, || {
            portions::share(op);
            let _ = house_is.send(House::Draining);
        })
        .await;
        let lapsed = lapse(op);
        portions::share(op);
        let _ = house_is.send(House::Drained);
        (drained, lapsed)
    };
    let (mut targets, (drained, lapsed)) = tokio::join!(visits, house);
    targets.extend(overdue::elsewhere(op, only, report));
    report.targets = targets;
    take_in(report, drained);
    match lapsed {
        Ok(count) => report.lapsed = count,
        Err(error) => report.ledger_errors.push(error.to_string()),
    }
}

async fn mine(op: &Operator, person: &Person, report: &mut SweepReport) {
    let drained = drain(op, Whose::Mine(person), || ()).await;
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
        let find = FindRequests {
            states: Some(vec![State::Revoking]),
            ..FindRequests::default()
        };
        let _ = op.ledger.each_request(&find, &mut |request| {
            if !targets.contains(&request.target) {
                targets.push(request.target);
            }
            Ok(())
        });
    }
    let (_, gate) = watch::channel(House::Drained);
    portions::share(op);
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
    mut house: watch::Receiver<House>,
    whole: bool,
) -> TargetReport {
    let mut report = TargetReport::new(name);
    let lock = lock(op, name).await;
    let mut engine = match &lock {
        Ok(Some(_)) => match engines::connect(address).await {
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
    // What is given back while the inbox is drained need not wait for the rest of it.
    while *house.borrow_and_update() == House::Draining && house.changed().await.is_ok() {
        if let Some(engine) = engine.as_deref_mut()
            && *house.borrow() == House::Draining
        {
            take_due(op, name, engine, &mut report).await;
        }
    }
    if let Some(engine) = engine.as_deref_mut() {
        if let Err(error) = give(op, name, engine, &mut report, whole).await {
            report.file(error);
        }
        // What was returned, revoked or became due meanwhile.
        take_due(op, name, engine, &mut report).await;
    } else {
        overdue::not_reached(op, name, &mut report);
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
        Ok(()) => match overdue::others_database(op, name, engine) {
            Ok(overdue) => report.overdue.extend(overdue),
            Err(error) => report.ledger_error(&error),
        },
        Err(error) => {
            let why = error.to_string();
            report.file(error);
            if let Ok(overdue) = overdue::still_due(op, name, &op.now(), &why) {
                report.overdue.extend(overdue);
            }
            // Where the target cannot be reached at all, that is said once for the whole visit.
            if report.unreachable.is_none()
                && let Err(error) = overdue::complain(op, name, &why)
            {
                report.ledger_error(&error);
            }
        }
    }
    report.revokes_done = report.undone().is_none();
}

/// Everything that gives: judged arrivals, what a crash left, what is approved.
async fn give(
    op: &Operator,
    name: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
    whole: bool,
) -> Result<(), Failing> {
    if !op.rules.complaints().is_empty() {
        return Ok(());
    }
    if !overdue::others_database(op, name, engine)?.is_empty() {
        report.held_back =
            Some("the server is another one than the leases of this target were given on".into());
        return Ok(());
    }
    arrive::submitted(op, name, engine, report).await?;
    belongs::to_us(op, name, engine).await?;
    // Before anything is given: what is ours and nobody's is told and taken, not taken over by a new lease.
    let strays = match whole {
        true => strays::take(op, name, engine, report).await,
        false => Ok(()),
    };
    recover::granting(op, name, engine, report).await?;
    activate::approved(op, name, engine, report, whole).await?;
    if whole {
        remember::remember_columns(op, name, engine, report).await?;
    }
    strays
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
    let mut count = 0;
    for ids in portions::lapsed(op, &now)? {
        let over = portions::read(op, &ids, &State::WAITING)?;
        count += over.len();
        let changes: Vec<Change> = over
            .into_iter()
            .map(|request| lapsed(op, request, &now))
            .collect();
        commit_each(op, &now, &changes)?;
    }
    Ok(count)
}

fn lapsed(op: &Operator, mut request: Request, now: &Now) -> Change {
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
        effects: vec![Effect::moved(was, &request)],
    }
}
