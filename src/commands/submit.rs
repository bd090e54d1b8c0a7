//! Handing in an act, and learning what became of it. One way for everybody: into my own mailbox first.

use anyhow::Result;

use crate::access::{Person, RequestId};
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
    act.check()
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
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
                return Err(rejected(&outcome, &context.me).into());
            }
            Some(Drained { outcome, report })
        }
    };
    Ok(HandedIn { id, drained })
}

/// The failure that a rejected submission is.
pub fn rejected(outcome: &DrainedSubmission, me: &Person) -> Failure {
    let why = &outcome.outcome;
    let missing = why.starts_with("there is no ")
        || why.contains(" is not pending")
        || [", not pending", " already"]
            .iter()
            .any(|end| why.ends_with(end));
    let exit = if missing { Exit::NoSuch } else { Exit::Refused };
    let _ = me;
    Failure::new(exit, format!("rejected: {why}"))
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
