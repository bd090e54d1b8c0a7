//! `jit approve` and `jit deny`.

use anyhow::Result;

use crate::access::{RequestId, State, Ttl};
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::ui::{self, Format, prompt};
use crate::workflow::submission::Act;
use crate::workflow::view::RequestView;

use super::context::{Context, Reach};
use super::lookup::{self, Filter, Which};
use super::{missing, show, submit, walk, words};

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
        // What lapses first comes first.
        views.sort_by_key(|view| view.lapses_at);
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
    for view in &views {
        check(view, ttl)?;
    }
    if !arguments.yes && ui::can_ask() {
        return walk::run(context, views, ttl, arguments.note.as_deref()).await;
    }
    let mut done = Vec::new();
    for view in &views {
        if !arguments.yes {
            ui::note(&show::to_decide(view, context.now().at))?;
            agreed("Approve?")?;
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
    prompt::confirm(question, false)
}

pub async fn deny(context: &Context, id: Option<&str>, reason: Option<&str>) -> Result<Exit> {
    if !ui::can_ask() {
        let mut flags = Vec::new();
        if id.is_none() {
            flags.push("the request's ID");
        }
        if reason.is_none() {
            flags.push("--reason TEXT");
        }
        if !flags.is_empty() {
            return Err(missing::flags(&flags).into());
        }
    }
    let view = match id {
        Some(id) => lookup::find(context, id, false)?,
        None => {
            let awaiting = lookup::list(
                context,
                &Filter {
                    which: Which::AwaitingMe,
                    ..Filter::default()
                },
            )?;
            if awaiting.is_empty() {
                ui::note("nothing awaits you")?;
                return Ok(Exit::Done);
            }
            lookup::pick(context, "Which one to deny?", awaiting)?
        }
    };
    if !matches!(
        view.state,
        State::Submitted | State::Pending | State::Approved
    ) {
        return Err(not_open(&view, "decided about"));
    }
    let reason = match reason {
        Some(reason) => reason.to_owned(),
        None => {
            ui::note(&show::to_decide(&view, context.now().at))?;
            missing::ask_reason("Why not?", "the requester and the audit trail are told")?
        }
    };
    submit::hand_in(
        context,
        Act::Deny {
            id: view.id.clone(),
            reason,
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
