//! From the inbox into the ledger: each deposit once, recorded with its effect or with why it had none.

use std::time::{Duration, Instant};

use crate::access::{Ended, Now, Person, RequestId, State};
use crate::audit::event::{Draft, EventKind};
use crate::failpoint;
use crate::stores::{
    Change, Content, Deposit, DrainedSubmission, Effect, FindRequests, StoreError,
};

use super::acts::{self, Incoming};
use super::history::Histories;
use super::submission::{Act, Submission, Urgency};
use super::{Operator, events};

/// No drain takes longer than this before access is taken and given again.
const LONGEST: Duration = Duration::from_secs(20);
/// While acts that take are drained, those who can carry them out hear of it at most this often: they merge what
/// has come by then.
const ASIDE: Duration = Duration::from_secs(1);
/// At most so many of one person's deposits in one drain; the rest waits for the next.
const PER_PERSON: usize = 2000;
/// A conflict means that another operator was faster: look again, so many times.
const TRIES: usize = 5;

/// Whose deposits are drained.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    Everybody,
    /// After one's own command: what others handed in waits for the sweep.
    Mine(&'a Person),
}

/// What a drain did.
#[derive(Clone, Debug, Default)]
pub struct Drained {
    pub accepted: usize,
    pub rejected: usize,
    /// Deposits that were left for the next time.
    pub left: usize,
    /// The requests that acts named or made.
    pub touched: Vec<RequestId>,
    /// Deposits that another operator's fault or the ledger kept from being drained.
    pub errors: Vec<String>,
}

/// Drains: deny, cancel, return and revoke first, then requests, then approvals. `taken` is called when some of the
/// first kind were accepted, before what comes behind them: the access that they take back need not wait for it.
///
/// # Errors
/// Only where the inbox cannot be read or the ledger cannot be written at all.
pub async fn drain(
    op: &Operator,
    whose: Whose<'_>,
    taken: impl Fn(),
) -> Result<Drained, StoreError> {
    let started = Instant::now();
    let mut drained = Drained::default();
    if let Whose::Everybody = whose {
        recognise_all(op, &mut drained)?;
    }
    let histories = Histories::default();
    let mut found: Vec<(Urgency, Deposit)> = Vec::new();
    for deposit in op.inbox.deposits(PER_PERSON)? {
        if let Whose::Mine(person) = whose
            && deposit.person.uid != person.uid
        {
            continue;
        }
        // It is read again when its turn comes: all of them at once would need several times the room.
        let urgency = read(&deposit).map_or(Urgency::Takes, |submission| submission.act.urgency());
        found.push((urgency, deposit));
    }
    // A stable sort: within one urgency they stay in the inbox's fair order.
    found.sort_by_key(|(urgency, ..)| *urgency);
    let all = found.len();
    let mut told = (Instant::now(), 0);
    for (place, (urgency, deposit)) in found.into_iter().enumerate() {
        if started.elapsed() > LONGEST {
            drained.left = all - place;
            break;
        }
        if drained.accepted > told.1 && (urgency != Urgency::Takes || told.0.elapsed() > ASIDE) {
            taken();
            // What comes behind them takes nothing.
            told = match urgency {
                Urgency::Takes => (Instant::now(), drained.accepted),
                _ => (told.0, usize::MAX),
            };
        }
        // While the policies are in error nothing is judged by them: what needs no judgement goes on.
        if urgency != Urgency::Takes && !op.rules.complaints().is_empty() {
            drained.left += 1;
            continue;
        }
        // Targets go on with their revokes in between.
        tokio::task::yield_now().await;
        let submission = read(&deposit);
        match one(op, &deposit, submission.as_ref(), &histories, &mut drained) {
            Ok(()) => {}
            Err(error @ (StoreError::Unwritable { .. } | StoreError::Busy { .. })) => {
                return Err(error);
            }
            Err(error) => drained.errors.push(format!("{}: {error}", deposit.place)),
        }
    }
    Ok(drained)
}

fn read(deposit: &Deposit) -> Result<Submission, String> {
    match &deposit.content {
        Content::Bytes(bytes) => Submission::read(bytes).map_err(|error| error.to_string()),
        Content::Unacceptable(why) => Err(why.clone()),
    }
}

/// One deposit: commit its effect with its digest, then take it out of the inbox.
fn one(
    op: &Operator,
    deposit: &Deposit,
    submission: Result<&Submission, &String>,
    histories: &Histories,
    drained: &mut Drained,
) -> Result<(), StoreError> {
    if op.ledger.submission(&deposit.digest)?.is_some() {
        // Drained before a crash kept it from being taken out.
        return op.inbox.discard(deposit);
    }
    recognise(op, &deposit.person)?;
    for _ in 0..TRIES {
        let now = op.now();
        let (mut change, outcome, word, request) = match submission {
            Err(why) => (
                rejected(deposit, None, why),
                why.clone(),
                "unreadable",
                None,
            ),
            Ok(submission) => {
                let incoming = Incoming {
                    person: &deposit.person,
                    act: &submission.act,
                    bytes: match &deposit.content {
                        Content::Bytes(bytes) => bytes,
                        Content::Unacceptable(_) => &[],
                    },
                    now: &now,
                    histories,
                };
                let word = submission.act.word();
                match acts::judge(op, &incoming)? {
                    Ok(accepted) => {
                        let note = accepted.note.unwrap_or_default();
                        let outcome = if note.is_empty() {
                            "accepted".to_owned()
                        } else {
                            format!("accepted: {note}")
                        };
                        (accepted.change, outcome, word, accepted.request)
                    }
                    Err(rejection) => (
                        rejected(deposit, Some(&submission.act), &rejection.why),
                        rejection.why,
                        word,
                        None,
                    ),
                }
            }
        };
        let accepted = outcome.starts_with("accepted");
        change.effects.push(Effect::Submission(DrainedSubmission {
            digest: deposit.digest.clone(),
            person: deposit.person.clone(),
            at: now.at,
            act: word.to_owned(),
            outcome,
            request: request.clone(),
        }));
        match op.ledger.commit(&now, change) {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => continue,
            Err(StoreError::AlreadyDrained(_)) => return op.inbox.discard(deposit),
            Err(error) => return Err(error),
        }
        failpoint::reach("drain-recorded");
        if accepted {
            drained.accepted += 1;
        } else {
            drained.rejected += 1;
        }
        drained.touched.extend(request);
        if let Ok(submission) = submission {
            drained
                .touched
                .extend(submission.act.requests().into_iter().cloned());
        }
        return op.inbox.discard(deposit);
    }
    Err(StoreError::Conflict(format!("the ledger, {TRIES} times")))
}

/// The event of a submission that has no effect.
fn rejected(deposit: &Deposit, act: Option<&Act>, why: &str) -> Change {
    let actor = crate::access::Actor::Person(deposit.person.clone());
    let mut line = Draft::new(EventKind::Rejected, &actor);
    line.why = Some(why.to_owned());
    line.observed = Some(serde_json::json!({
        "act": act.map_or("unreadable", Act::word), "digest": deposit.digest
    }));
    if let Some(act) = act {
        line.request = act.requests().first().map(|id| (*id).clone());
        if let Act::Request(ask) = act {
            line.target = Some(ask.target.clone());
            line.table = ask.tables.first().map(|table| table.table.clone());
        }
    }
    Change {
        effects: Vec::new(),
        events: vec![line],
    }
}

/// Looks at everybody who has a mailbox: somebody who has got another name need not hand anything in for what is
/// open to be void.
fn recognise_all(op: &Operator, drained: &mut Drained) -> Result<(), StoreError> {
    for person in op.inbox.people()? {
        match op.ledger.name_of(person.uid)? {
            Some(known) if known != person.name => match recognise(op, &person) {
                Ok(()) => {}
                // Another operator has moved one of their requests meanwhile: the next sweep sees it.
                Err(StoreError::Conflict(why)) => drained.errors.push(why),
                Err(error) => return Err(error),
            },
            _ => {}
        }
    }
    Ok(())
}

/// Records who this is. Where the uid had another name before, it is another person now, and what the first one
/// left open is void.
fn recognise(op: &Operator, person: &Person) -> Result<(), StoreError> {
    let known = op.ledger.name_of(person.uid)?;
    if known.as_deref() == Some(person.name.as_str()) {
        return Ok(());
    }
    let now = op.now();
    let mut change = match known {
        None => Change::default(),
        Some(former) => void(op, person, &former, &now)?,
    };
    change.effects.push(Effect::Seen(person.clone()));
    op.ledger.commit(&now, change)?;
    Ok(())
}

fn void(op: &Operator, person: &Person, former: &str, now: &Now) -> Result<Change, StoreError> {
    let why = format!("uid {} was {former} and is {} now", person.uid, person.name);
    let mut change = Change::default();
    let open: Vec<State> = State::ALL.into_iter().filter(|s| !s.is_final()).collect();
    for mut request in op.ledger.requests(&FindRequests {
        states: Some(open),
        ..FindRequests::default()
    })? {
        let was = request.state;
        let approvals = request.approvals.len();
        let by_requester = request.requester.uid == person.uid;
        let kind = if by_requester {
            match was {
                State::Submitted | State::Pending | State::Approved => {
                    request.state = State::Cancelled;
                    request.ended_at = Some(now.at);
                    request.outcome = Some(why.clone());
                    EventKind::Cancelled
                }
                State::Granting | State::Active => {
                    request.state = State::Revoking;
                    request.ended = Some(Ended::Revoked {
                        by: "jit".into(),
                        reason: why.clone(),
                    });
                    EventKind::Revoking
                }
                _ => continue,
            }
        } else {
            request
                .approvals
                .retain(|approval| approval.by.uid != person.uid);
            if request.approvals.len() == approvals
                || !matches!(was, State::Pending | State::Approved)
            {
                continue;
            }
            // An approval of somebody who is gone counts no more; without it the request starts over.
            request.state = State::Cancelled;
            request.ended_at = Some(now.at);
            request.outcome = Some(format!("an approval is void: {why}"));
            EventKind::Cancelled
        };
        change
            .events
            .extend(events::of_request(kind, &op.itself(), &request, Some(&why)));
        change.effects.push(if by_requester {
            Effect::moved(was, &request)
        } else {
            let now = Box::new(request);
            Effect::SaveRequest { was, now }
        });
    }
    Ok(change)
}
