//! From `approved` to `active`: the intent on record and in the audit file, then the GRANT, then the proof.

use foldhash::{HashMap, HashSet};
use serde_json::json;

use crate::access::{
    Ended, Lease, LeaseId, LeaseState, Now, Privilege, PrivilegeKey, Request, RequestId,
    SharedText, Standing, State, TargetName,
};
use crate::audit::event::{Draft, EventKind};
use crate::engines::{Engine, GrantOrder, Report, Verb};
use crate::failpoint;
use crate::stores::{Change, Effect, FindLeases, StoreError};

use super::acts::{Verdict, verdict};
use super::history::Histories;
use super::look::Observed;
use super::target::{Failing, TargetReport};
use super::{
    Operator, arrive, clock, commit_each, disputes, events, look, portions, publish, remember,
    revoke,
};

/// Grants what is approved on this target, if grants may be given at all now. `whole`: this is a sweep, whose own
/// revokes count as those of a sweep that succeeded.
///
/// # Errors
/// Where ledger or target fail as a whole. Whatever may have been given by then owes its undo in the ledger.
pub async fn approved(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
    whole: bool,
) -> Result<(), Failing> {
    let now = op.now();
    let portions = portions::of(op, target, State::Approved, |request| {
        request.lapses_at > now.at
    })?;
    if portions.is_empty() {
        return Ok(());
    }
    if let Err(error) = publish::prove_writable(op) {
        report.audit_error(&error);
        report.held_back = Some(error.to_string());
        return Ok(());
    }
    let swept = whole && report.revokes_done;
    if let Some(why) = not_now(op, target, swept, report.undone(), &now)? {
        report.held_back = Some(why);
        return Ok(());
    }
    let histories = Histories::default();
    for ids in portions {
        some(op, target, engine, report, &ids, &histories).await?;
    }
    Ok(())
}

/// One portion of what is approved.
async fn some(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
    ids: &[RequestId],
    histories: &Histories,
) -> Result<(), Failing> {
    let now = op.now();
    let waiting = portions::read(op, ids, &[State::Approved])?;
    if waiting.is_empty() {
        return Ok(());
    }
    let surveys = arrive::survey(op, target, engine, &waiting).await?;
    let mut failed = Vec::new();
    let mut ready = Vec::new();
    for (request, survey) in waiting.into_iter().zip(surveys) {
        let objection = match verdict(op, &request, &now, histories)? {
            Verdict::Refused(why) => Some(format!("no longer allowed: {why}")),
            Verdict::Allowed(terms) if !super::acts::met(op, &request, &terms) => Some(
                "no longer allowed: the policies now ask for approvals that it does not have"
                    .to_owned(),
            ),
            Verdict::Allowed(_) => {
                arrive::objection(&request, &survey).or_else(|| changed(&request, &survey))
            }
        };
        match objection {
            Some(why) => {
                report
                    .failures
                    .push(format!("request {} failed: {why}", request.id));
                failed.push(fail(op, request, why, &now));
            }
            None => ready.push((request, survey)),
        }
    }
    report.failed += failed.len();
    commit_each(op, &now, &failed)?;
    if ready.is_empty() {
        return Ok(());
    }

    let intents = intend(op, ready, engine)?;
    if intents.is_empty() {
        return Ok(());
    }
    failpoint::reach("intent-recorded");
    if let Err(error) = publish::journal(op) {
        // No audit, no access: nothing was sent, and what was intended is taken back as if it had been.
        report.audit_error(&error);
        let why = format!("nothing was granted: {error}");
        give_up(op, &intents, &why)?;
        return Err(Failing::Audit(why));
    }
    failpoint::reach("intent-audited");
    carry_out(op, &intents, engine, report).await
}

/// Why nothing may be granted on this target at this moment. `undone`: what this very visit could not take.
fn not_now(
    op: &Operator,
    target: &TargetName,
    swept: bool,
    undone: Option<&str>,
    now: &Now,
) -> Result<Option<String>, StoreError> {
    let behind = clock::behind(now, &op.ledger.seen()?);
    if behind > clock::TOLERANCE {
        return Ok(Some(format!(
            "the clock is {behind} behind what the ledger has seen; if it is right now: jit ledger clock --accept"
        )));
    }
    if swept {
        return Ok(None);
    }
    let last = remember::last_success(op, target)?;
    Ok(last
        .is_none_or(|at| now.at.since(at) > op.rules.sweep_within)
        .then(|| {
            let within = op.rules.sweep_within;
            match undone {
                None => format!(
                    "no sweep has finished within {within}; access that nobody takes back is not given. Run: jit sweep"
                ),
                Some(undone) => format!(
                    "no sweep has taken all that was due within {within} ({undone}); access that nobody takes back is \
                     not given. See: jit list --overdue"
                ),
            }
        }))
}

/// What was approved must still be what is there: the same columns by identity.
fn changed(request: &Request, survey: &crate::access::Survey) -> Option<String> {
    let keys = |privileges: &[Privilege]| -> HashSet<PrivilegeKey> {
        privileges
            .iter()
            .filter(|p| p.named.column().is_some())
            .map(Privilege::key)
            .collect()
    };
    let (then, now) = (keys(&request.privileges), keys(&survey.privileges));
    // A `with:` column that has become readable meanwhile needs no lease; a new or another one was never approved.
    (!now.is_subset(&then)).then(|| {
        "what these names lead to has changed since it was approved (a table or column was replaced); ask anew"
            .to_owned()
    })
}

fn fail(op: &Operator, mut request: Request, why: String, now: &Now) -> Change {
    let was = request.state;
    request.state = State::Failed;
    request.ended_at = Some(now.at);
    request.outcome = Some(why.clone());
    Change {
        events: events::of_request(EventKind::GrantFailed, &op.itself(), &request, Some(&why)),
        effects: vec![Effect::moved(was, &request)],
    }
}

/// A request in `granting` with the leases that owe their undo.
pub struct Intent {
    pub request: Request,
    pub leases: Vec<Lease>,
}

/// Records the intents: everything that undo needs, and the instant at which it is due.
fn intend(
    op: &Operator,
    ready: Vec<(Request, crate::access::Survey)>,
    engine: &dyn Engine,
) -> Result<Vec<Intent>, StoreError> {
    let now = op.now();
    let mut intents = Vec::new();
    let mut changes = Vec::new();
    for (request, survey) in ready {
        let ttl = request.lease_ttl();
        let was = request.state;
        let mut request = request;
        let leased_along = survey.prerequisites.iter().filter_map(|p| p.lease.clone());
        let privileges: Vec<Privilege> = survey
            .privileges
            .iter()
            .cloned()
            .chain(leased_along)
            .collect();
        let leases: Vec<Lease> = privileges
            .into_iter()
            .enumerate()
            .map(|(position, privilege)| Lease {
                id: LeaseId {
                    request: request.id.clone(),
                    position: u32::try_from(position).unwrap_or(u32::MAX),
                },
                target: request.target.clone(),
                grantee: request.grantee.clone(),
                server: survey.server.clone(),
                privilege,
                expires_at: now.at.plus(ttl),
                boot_end: now.boot.plus(ttl),
                state: LeaseState::Owed,
            })
            .collect();
        request.state = State::Granting;
        request.expires_at = Some(now.at.plus(ttl));
        let mut change = Change::default();
        for (mut line, leases) in lines(op, EventKind::Granting, &request, &leases, Some(engine)) {
            line.sql = vec![grant_sql(engine, &leases)];
            change.events.push(line);
        }
        change.effects.push(Effect::moved(was, &request));
        change.effects.extend(
            leases
                .iter()
                .cloned()
                .map(|lease| Effect::NewLease(Box::new(lease))),
        );
        changes.push(change);
        intents.push(Intent { request, leases });
    }
    if commit_each(op, &now, &changes)? {
        return Ok(intents);
    }
    // Those that somebody cancelled in this very moment met a conflict and are not granting.
    let mut granting = Vec::new();
    for intent in intents {
        let request = op.ledger.request(&intent.request.id)?;
        if request.is_some_and(|request| request.state == State::Granting) {
            granting.push(intent);
        }
    }
    Ok(granting)
}

/// Sends the GRANTs of recorded intents, observes, and records: `active`, or on its way out.
pub async fn carry_out(
    op: &Operator,
    intents: &[Intent],
    engine: &mut dyn Engine,
    report: &mut TargetReport,
) -> Result<(), Failing> {
    let orders: Vec<GrantOrder> = intents
        .iter()
        .map(|intent| GrantOrder {
            request: intent.request.id.clone(),
            privileges: intent.leases.iter().map(|l| l.privilege.clone()).collect(),
        })
        .collect();
    let target = &intents[0].request.target;
    let ordered = orders.iter().flat_map(|order| &order.privileges);
    let touched = ordered.map(Privilege::key);
    let leases: Vec<&Lease> = intents.iter().flat_map(|intent| &intent.leases).collect();
    let unseen = Observed::default();
    let noted = disputes::note(op, target, engine, touched, &leases, &unseen).await?;
    let reports = engine.grant(&orders).await;
    failpoint::reach("grant-sent");
    let mut privileges = look::distinct(intents.iter().flat_map(|intent| &intent.leases));
    // Whatever their rows' stamps were, this GRANT has renewed them.
    for privilege in &mut privileges {
        privilege.stamp = None;
    }
    let standing = look::observe(engine, &privileges).await?;
    let now = op.now();
    let sharers = sharers(op, intents, &standing, &noted.shared)?;
    let mut changes = Vec::new();
    let mut undo = false;
    for (intent, answer) in intents.iter().zip(&reports) {
        match shortfall(intent, answer, &standing) {
            None => {
                report.granted += intent.leases.len();
                changes.push(granted(op, intent, answer, &standing, engine, &now));
            }
            Some(why) => {
                report.failed += 1;
                let id = &intent.request.id;
                report.failures.push(format!("request {id} failed: {why}"));
                undo = true;
                changes.push(backed_out(op, intent, &why, Some(engine)));
            }
        }
    }
    changes.push(Change {
        effects: sharers,
        events: Vec::new(),
    });
    commit_each(op, &now, &changes)?;
    failpoint::reach("grant-recorded");
    if undo {
        Box::pin(revoke::due(op, &intents[0].request.target, engine, report)).await?;
    }
    if let Err(error) = publish::journal(op) {
        report.audit_error(&error);
    }
    Ok(())
}

/// Why an order was not met, by what the catalog shows: `None` where all of it is there.
fn shortfall(intent: &Intent, answer: &Report, standing: &Observed) -> Option<String> {
    let missing = intent.leases.iter().any(|lease| {
        !matches!(
            standing.get(&lease.key()),
            Some(Standing::Held {
                grantable: false,
                ..
            })
        )
    });
    match (&answer.error, missing) {
        // An unknown outcome that turns out to be there is there. A plain refusal is not overruled: what shows
        // then belongs to another lease.
        (Some(error), false) if error.outcome_unknown() => None,
        (Some(error), _) => Some(error.to_string()),
        (None, true) => Some(
            "the server answered the GRANT with success, and the catalog does not show it".into(),
        ),
        (None, false) => None,
    }
}

fn granted(
    op: &Operator,
    intent: &Intent,
    answer: &Report,
    standing: &Observed,
    engine: &dyn Engine,
    now: &Now,
) -> Change {
    let mut request = intent.request.clone();
    request.state = State::Active;
    request.granted_at = Some(now.at);
    request.outcome = None;
    let mut change = Change::default();
    for (mut line, leases) in lines(
        op,
        EventKind::Granted,
        &request,
        &intent.leases,
        Some(engine),
    ) {
        line.sql = vec![grant_sql(engine, &leases)];
        line.batch = answer.batch.clone();
        events::observe(&mut line, "row", json!("present"));
        let readable: Vec<_> = request
            .will_read
            .iter()
            .filter(|t| Some(&t.table) == line.table.as_ref())
            .map(|t| t.columns.clone())
            .collect();
        if let Some(columns) = readable.first() {
            events::observe(&mut line, "can_read", json!(columns));
        }
        change.events.push(line);
    }
    for lease in &intent.leases {
        let stamp = match standing.get(&lease.key()) {
            Some(Standing::Held { stamp, .. }) => stamp.as_ref(),
            _ => None,
        };
        let held = Effect::put(lease, LeaseState::Held, stamp);
        change.effects.push(held);
    }
    change
        .effects
        .push(Effect::moved(State::Granting, &request));
    change
}

fn backed_out(op: &Operator, intent: &Intent, why: &str, engine: Option<&dyn Engine>) -> Change {
    let mut request = intent.request.clone();
    request.state = State::Revoking;
    request.ended = Some(Ended::Failed {
        why: why.to_owned(),
    });
    request.outcome = Some(why.to_owned());
    let mut change = Change::default();
    for (mut line, _) in lines(op, EventKind::GrantFailed, &request, &intent.leases, engine) {
        line.why = Some(why.to_owned());
        change.events.push(line);
    }
    change
        .effects
        .push(Effect::moved(State::Granting, &request));
    change
}

/// The lines about the leases of one request, one a table, each with the leases that it is about.
fn lines<'l>(
    op: &Operator,
    kind: EventKind,
    request: &Request,
    leases: &'l [Lease],
    engine: Option<&dyn Engine>,
) -> Vec<(Draft, Vec<&'l Lease>)> {
    let word = engine.map(|engine| engine.flavour().kind.word());
    events::by_subject(leases)
        .into_iter()
        .map(|(subject, leases)| {
            let line = events::of_leases(kind, &op.itself(), request, &subject, &leases, word);
            (line, leases)
        })
        .collect()
}

fn grant_sql(engine: &dyn Engine, leases: &[&Lease]) -> String {
    let privileges: Vec<Privilege> = leases.iter().map(|l| l.privilege.clone()).collect();
    engine.sql(Verb::Grant, &privileges)
}

/// Takes intents back that were never sent.
pub fn give_up(op: &Operator, intents: &[Intent], why: &str) -> Result<(), StoreError> {
    let now = op.now();
    let changes: Vec<Change> = intents
        .iter()
        .map(|intent| backed_out(op, intent, why, None))
        .collect();
    commit_each(op, &now, &changes).map(|_| ())
}

/// On MySQL our own GRANT of a privilege that another live lease shares renews the row's stamp: theirs must follow,
/// or it would look as if a stranger had granted it again.
fn sharers(
    op: &Operator,
    intents: &[Intent],
    standing: &Observed,
    shared: &HashSet<PrivilegeKey>,
) -> Result<Vec<Effect>, StoreError> {
    let stamped: HashMap<&PrivilegeKey, &SharedText> = standing
        .iter()
        .filter(|(key, _)| shared.contains(*key))
        .filter_map(|(key, standing)| match standing {
            Standing::Held {
                stamp: Some(stamp), ..
            } => Some((key, stamp)),
            _ => None,
        })
        .collect();
    if stamped.is_empty() {
        return Ok(Vec::new());
    }
    let target = &intents[0].request.target;
    let own: HashSet<&RequestId> = intents.iter().map(|intent| &intent.request.id).collect();
    let keys = stamped.keys().map(|key| (*key).clone()).collect();
    Ok(op
        .ledger
        .leases(&FindLeases::GivenWithKeys(target.clone(), keys))?
        .into_iter()
        .filter(|lease| !own.contains(&lease.id.request) && lease.privilege.stamp.is_some())
        .map(|lease| {
            let stamp = stamped.get(&lease.key()).copied();
            Effect::put(&lease, lease.state.clone(), stamp)
        })
        .collect())
}
