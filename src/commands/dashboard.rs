//! Bare `jit`: what concerns me, in one screen.

use anyhow::Result;
use serde_json::json;

use crate::access::{State, Ttl};
use crate::failure::Exit;
use crate::ui::{self, Format};
use crate::workflow::mailbox::Answer;
use crate::workflow::remember;

use super::context::{Context, Reach};
use super::list;
use super::lookup::{self, Filter, Which};

/// How long a rejection is still told.
const SHOWN_FOR: Ttl = Ttl::from_secs(24 * 3600);

pub fn run(context: &Context) -> Result<Exit> {
    let now = context.now().at;
    let of = |which| {
        lookup::list(
            context,
            &Filter {
                which,
                ..Filter::default()
            },
        )
    };
    let mine: Vec<_> = of(Which::Mine)?
        .into_iter()
        .filter(|v| !v.state.is_final())
        .collect();
    let awaiting = of(Which::AwaitingMe)?;
    // What operators rejected lately, which shows nowhere else.
    let rejected: Vec<Answer> = match &context.reach {
        Reach::Operator(_) => Vec::new(),
        Reach::Mailbox(_) => context
            .mailbox_view()?
            .map_or(Vec::new(), |view| view.answers),
    }
    .into_iter()
    .filter(|answer| !answer.outcome.starts_with("accepted") && now.since(answer.at) < SHOWN_FOR)
    .take(3)
    .collect();
    let (last_sweep, holds) = match &context.reach {
        Reach::Operator(op) => (
            op.ledger
                .fact(crate::stores::Fact::LastSweep)?
                .and_then(|text| crate::access::At::try_from(text).ok()),
            op.ledger
                .holds(false)?
                .iter()
                .map(|hold| {
                    format!(
                        "hold {}: {} ({}, by {})",
                        hold.number, hold.selector, hold.reason, hold.by
                    )
                })
                .collect(),
        ),
        Reach::Mailbox(_) => context
            .mailbox_view()?
            .map_or((None, Vec::new()), |view| (view.last_sweep, view.holds)),
    };
    if context.format == Format::Json {
        ui::json(&json!({
            "me": context.me.name, "mine": mine, "awaiting_me": awaiting,
            "last_sweep": last_sweep, "holds": holds
        }))?;
        return Ok(Exit::Done);
    }
    if mine.is_empty() {
        ui::say("You have no access and no open request.")?;
    } else {
        ui::say(&list::rows(&mine, now))?;
    }
    if !awaiting.is_empty() {
        ui::say("\nAwaiting you:")?;
        ui::say(&list::rows(&awaiting, now))?;
    }
    list::say_waiting(context)?;
    for hold in &holds {
        ui::say(&format!("\nHeld: {}", ui::escape(hold)))?;
    }
    for answer in rejected {
        let text = format!(
            "{}: rejected {}: {}",
            ui::when(answer.at, now),
            answer.act,
            answer.outcome
        );
        ui::say(&ui::hanging("", &text, 0))?;
    }
    let swept = last_sweep.map_or("never".to_owned(), |at| ui::when(at, now));
    ui::say(&format!("\nLast sweep: {swept}"))?;
    if let Reach::Operator(op) = &context.reach {
        for (target, why) in remember::record(op)?.unreachable {
            ui::say(&format!("{target}: {}", ui::escape(&why)))?;
        }
    }
    let next = if !awaiting.is_empty() {
        "jit approve"
    } else if mine.iter().any(|view| view.state == State::Active) {
        "jit return, or jit extend --for 1h --reason …"
    } else {
        "jit columns, then jit request TABLE:COLUMN --for 1h --reason …"
    };
    ui::note(&format!("Next: {next}"))?;
    Ok(Exit::Done)
}
