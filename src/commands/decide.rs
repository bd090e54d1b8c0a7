//! `jit approve` and `jit deny`.

use anyhow::Result;

use crate::access::{RequestId, State, Ttl};
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::ui::{self, Format};
use crate::workflow::submission::Act;
use crate::workflow::view::RequestView;

use super::context::{Context, Reach};
use super::lookup::{self, Filter, Which};
use super::{show, submit, words};

pub async fn approve(context: &Context, arguments: &cli::Approve) -> Result<Exit> {
    let ttl = arguments
        .ttl
        .as_deref()
        .map(|text| words::duration(text, "--for"))
        .transpose()?;
    let mut views = Vec::new();
    for id in &arguments.ids {
        views.push(lookup::find(context, id, false)?);
    }
    if arguments.ids.is_empty() {
        views = lookup::list(
            context,
            &Filter {
                which: Which::AwaitingMe,
                ..Filter::default()
            },
        )?;
        if views.is_empty() {
            ui::note("nothing awaits you")?;
            super::list::say_waiting(context)?;
            return Ok(Exit::Done);
        }
        if !ui::can_ask() {
            let ids: Vec<&str> = views.iter().map(|view| view.id.as_str()).collect();
            return Err(Failure::new(Exit::Usage, "name the requests to approve")
                .hint(format!("these await you: {}", ids.join(" ")))
                .into());
        }
    }
    let mut done = Vec::new();
    let mut skipped = 0;
    for (place, view) in views.iter().enumerate() {
        check(view, ttl)?;
        if !arguments.yes {
            if place > 0 {
                ui::note("")?;
            }
            ui::note(&show::text(view, context.now().at))?;
            let how_long = ttl.map_or(view.lease_ttl, |ttl| ttl.min(view.lease_ttl));
            if !agreed(&format!("Approve {} for {how_long}?", view.id))? {
                skipped += 1;
                continue;
            }
        }
        submit::hand_in(
            context,
            Act::Approve {
                id: view.id.clone(),
                digest: view.digest.clone(),
                ttl,
                note: arguments.note.clone(),
            },
        )
        .await?;
        if view.requester == context.me.name {
            let what = format!("{} is your own request; nobody approves their own", view.id);
            return Err(submit::foreseen(&what, &format!("jit show {}", view.id)));
        }
        done.push(view.id.clone());
    }
    if skipped > 0 {
        ui::note(&format!(
            "{} left open; refuse with: jit deny ID --reason …",
            ui::count(skipped, "request")
        ))?;
    }
    tell(context, &done)
}

/// What the operator would reject is said before anybody is asked.
fn check(view: &RequestView, ttl: Option<Ttl>) -> Result<()> {
    if view.state != State::Pending {
        return Err(Failure::new(
            Exit::NoSuch,
            format!("request {} is {}, not pending", view.id, view.state),
        )
        .hint(format!("jit show {}", view.id))
        .into());
    }
    if let Some(ttl) = ttl
        && ttl > view.ttl
    {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "--for may shorten, never lengthen: {} was asked for, not {ttl}",
                view.ttl
            ),
        )
        .hint(format!("jit approve {}", view.id))
        .into());
    }
    Ok(())
}

/// The failure of an act that only an open request can take.
pub fn not_open(view: &RequestView, what: &str) -> anyhow::Error {
    let failure = Failure::new(
        Exit::NoSuch,
        format!("request {} is {} and cannot be {what}", view.id, view.state),
    );
    let next = match view.state {
        State::Granting | State::Active => format!("jit revoke {} --reason …", view.id),
        _ => format!("jit show {}", view.id),
    };
    failure.hint(next).into()
}

/// Asks, or says that `--yes` is needed where nobody can be asked.
pub fn agreed(question: &str) -> Result<bool> {
    if !ui::can_ask() {
        return Err(Failure::new(
            Exit::Usage,
            "this asks before it acts, and there is no terminal to ask on",
        )
        .hint("the same with --yes")
        .into());
    }
    ui::confirm(question)
}

pub async fn deny(context: &Context, id: &str, reason: &str) -> Result<Exit> {
    let view = lookup::find(context, id, false)?;
    if !matches!(
        view.state,
        State::Submitted | State::Pending | State::Approved
    ) {
        return Err(not_open(&view, "decided about"));
    }
    submit::hand_in(
        context,
        Act::Deny {
            id: view.id.clone(),
            reason: reason.to_owned(),
        },
    )
    .await?;
    if view.requester == context.me.name {
        return Err(submit::foreseen(
            "nobody may deny their own request",
            &format!("jit cancel {}", view.id),
        ));
    }
    tell(context, &[view.id])
}

/// Says where these requests stand now.
pub fn tell(context: &Context, ids: &[RequestId]) -> Result<Exit> {
    let now = context.now().at;
    let mut views = Vec::new();
    for id in ids {
        views.extend(lookup::by_id(context, id, false)?);
    }
    if context.format == Format::Json {
        match views.as_slice() {
            [one] => ui::json(one)?,
            _ => ui::json(&views)?,
        }
    } else {
        for view in &views {
            if matches!(context.reach, Reach::Mailbox(_)) {
                // What the view says is still from before.
                ui::say(&format!(
                    "{}  handed in; the next sweep takes it up",
                    view.id
                ))?;
                continue;
            }
            ui::say(&format!("{}  {}", view.id, show::state(view, now)))?;
            if let (Some(why), true) = (&view.outcome, view.state != State::Active) {
                ui::note(&ui::paragraph(why, 2))?;
            }
            if view.state == State::Pending && !view.needs.is_empty() {
                ui::note(&format!("  needs {}", show::needs(view)))?;
            }
        }
    }
    came_of_it(context, &views)
}

/// An operator's own command has taken effect already, or has not: what could not be taken away is overdue, and
/// what could not be given has failed.
fn came_of_it(context: &Context, views: &[RequestView]) -> Result<Exit> {
    if matches!(context.reach, Reach::Mailbox(_)) {
        return Ok(Exit::Done);
    }
    let stuck = views
        .iter()
        .filter(|view| view.state == State::Revoking && view.outcome.is_some())
        .count();
    if stuck > 0 {
        return Err(Failure::new(
            Exit::Overdue,
            format!(
                "{} could not be taken away yet",
                ui::count(stuck, "request")
            ),
        )
        .hint("jit list --overdue")
        .hint("jit sweep")
        .into());
    }
    if views.iter().any(|view| view.state == State::Failed) {
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}
