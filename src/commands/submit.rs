//! Handing in an act, and learning what became of it. One way for everybody: into my own mailbox first.

use anyhow::Result;

use crate::access::{RequestId, State};
use crate::failure::{Exit, Failure};
use crate::stores::DrainedSubmission;
use crate::ui;
use crate::workflow::submission::{Act, Submission};
use crate::workflow::sweep::{Scope, SweepReport, sweep};

use super::context::{Context, Reach};

/// What was handed in.
pub struct HandedIn {
    /// The id that a request made of it has.
    pub id: RequestId,
    /// What became of it, where I am an operator and drained it at once.
    pub drained: Option<Drained>,
}

pub struct Drained {
    pub outcome: DrainedSubmission,
    pub report: SweepReport,
}

/// Hands an act in; an operator also drains it at once.
///
/// # Errors
/// [`Exit::Usage`] for what no operator would accept, [`Exit::Refused`] where it was drained and rejected.
pub async fn hand_in(context: &Context, act: Act) -> Result<HandedIn> {
    act.check().map_err(|error| {
        let next = ["reason", "purpose", "ticket", "note"]
            .into_iter()
            .find(|name| error.0.starts_with(&format!("the {name} ")))
            .map_or("jit columns".to_owned(), |name| {
                format!("give it by --{name} TEXT")
            });
        Failure::new(Exit::Usage, error.0).hint(next)
    })?;
    let mut nonce = [0_u8; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| Failure::new(Exit::Failed, format!("no random numbers: {error}")))?;
    let bytes = Submission::new(act, nonce).bytes();
    let id = RequestId::of_submission(context.me.uid, &bytes);
    let digest = context.deposit(&bytes)?;
    let drained = match &context.reach {
        Reach::Mailbox(_) => None,
        Reach::Operator(op) => {
            let report = sweep(op, &Scope::Mine(context.me.clone())).await;
            complain(&report)?;
            let outcome = op.ledger.submission(&digest)?.ok_or_else(|| {
                Failure::new(
                    Exit::Failed,
                    "it lies in the inbox, but could not be drained now; the next sweep takes it up",
                )
                .hint("jit sweep")
            })?;
            if !outcome.outcome.starts_with("accepted") {
                return Err(rejected(&outcome).into());
            }
            Some(Drained { outcome, report })
        }
    };
    Ok(HandedIn { id, drained })
}

/// The failure that a rejected submission is.
fn rejected(outcome: &DrainedSubmission) -> Failure {
    let why = &outcome.outcome;
    // `request k3fq7m2x is denied`, `… is active; …`: not in a state for that.
    let is_in_state = why
        .strip_prefix("request ")
        .and_then(|rest| rest.split_once(" is "))
        .is_some_and(|(_, state)| {
            State::ALL
                .iter()
                .any(|known| state.starts_with(&known.to_string()))
                || state.starts_with("being taken back")
        });
    let of_holds = why.starts_with("there is no hold ") || why == "nothing is held";
    let undisputed = why.starts_with("nothing of request ");
    let missing = is_in_state
        || of_holds
        || undisputed
        || why.starts_with("there is no ")
        || why.ends_with(" already");
    let exit = if missing { Exit::NoSuch } else { Exit::Refused };
    let failure = Failure::new(exit, format!("rejected: {why}"));
    if of_holds {
        failure.hint("what is held shows in: jit doctor")
    } else if missing {
        failure.hint("jit list --all")
    } else {
        failure
    }
}

/// The failure of an act that lies in the inbox and that operators will reject, as anybody can know: it is recorded
/// as every act is, and said at once.
pub fn foreseen(what: &str, next: &str) -> anyhow::Error {
    Failure::new(Exit::Refused, format!("will be rejected: {what}"))
        .hint(next)
        .into()
}

/// Says on standard error what went wrong around it, without failing the command: the act itself is in the ledger.
fn complain(report: &SweepReport) -> Result<()> {
    let targets = report.targets.iter().flat_map(|target| {
        target
            .unreachable
            .iter()
            .chain(&target.errors)
            .chain(&target.ledger_errors)
            .chain(&target.audit_errors)
            .map(move |error| format!("{}: {error}", target.target))
    });
    for error in targets
        .chain(report.errors.iter().cloned())
        .chain(report.settings_errors.iter().cloned())
        .chain(report.ledger_errors.iter().cloned())
        .chain(report.audit_errors.iter().cloned())
    {
        ui::note(&format!("warning: {}", ui::escape(&error)))?;
    }
    for target in &report.targets {
        if let Some(why) = &target.held_back {
            let why = ui::escape(why);
            ui::note(&format!("{}: no grants: {why}", target.target))?;
        }
    }
    Ok(())
}

/// The line for people who are no operators.
pub fn say_next_sweep(context: &Context) -> Result<()> {
    if matches!(context.reach, Reach::Mailbox(_)) {
        ui::note("Handed in. The next sweep takes it up.")?;
    }
    Ok(())
}
