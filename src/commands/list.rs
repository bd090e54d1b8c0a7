//! `jit list`: one row a request.

use anyhow::Result;

use crate::access::{At, State};
use crate::cli;
use crate::failure::Exit;
use crate::ui::{self, Format};
use crate::workflow::view::RequestView;

use super::context::Context;
use super::lookup::{self, Filter, Which};

pub fn run(context: &Context, arguments: &cli::List) -> Result<Exit> {
    let which = match arguments {
        a if a.mine => Which::Mine,
        a if a.awaiting_me => Which::AwaitingMe,
        a if a.pending => Which::Pending,
        a if a.active => Which::Active,
        a if a.overdue => Which::Overdue,
        a if a.all => Which::All,
        _ => Which::Open,
    };
    let views = lookup::list(
        context,
        &Filter {
            which,
            target: arguments.target.clone(),
            user: arguments.user.clone(),
        },
    )?;
    if arguments.quiet {
        for view in &views {
            ui::say(view.id.as_str())?;
        }
        return Ok(Exit::Done);
    }
    match context.format {
        Format::Json => ui::json(&views)?,
        Format::Table if views.is_empty() => {
            ui::note(match which {
                Which::Mine => "nothing: you have never asked. Ask: jit columns, jit request",
                Which::AwaitingMe => "nothing awaits you",
                Which::Overdue => "nothing is overdue",
                Which::Active => "nothing: nobody has access now",
                Which::All => "nothing: nobody has asked yet",
                Which::Open | Which::Pending => "nothing is open; ended ones: jit list --all",
            })?;
            say_waiting(context)?;
        }
        Format::Table => {
            ui::say(&rows(&views, context.now().at))?;
            if which == Which::AwaitingMe {
                ui::note("\nNext: jit show ID, jit approve ID")?;
            }
        }
    }
    Ok(Exit::Done)
}

/// What an operator's sweep has still to look at shows in no list.
pub fn say_waiting(context: &Context) -> Result<()> {
    match context.waiting()? {
        0 => {}
        number => ui::note(&format!(
            "{} in the inbox; take it up: jit sweep",
            match number {
                1 => "1 submission waits".to_owned(),
                number => format!("{number} submissions wait"),
            }
        ))?,
    }
    Ok(())
}

/// The table of requests.
pub fn rows(views: &[RequestView], now: At) -> String {
    let rows: Vec<Vec<String>> = views
        .iter()
        .map(|view| {
            vec![
                view.id.to_string(),
                view.state.to_string(),
                left(view, now),
                view.requester.clone(),
                view.target.to_string(),
                view.tables
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
            ]
        })
        .collect();
    ui::table(&["ID", "STATE", "LEFT", "WHO", "TARGET", "COLUMNS"], &rows)
}

/// The time left: of the lease, or until it lapses.
pub fn left(view: &RequestView, now: At) -> String {
    match (view.state, view.expires_at) {
        (State::Granting | State::Active | State::Revoking, Some(at)) if at > now => {
            ui::coarse(at.since(now))
        }
        (State::Granting | State::Active | State::Revoking, Some(_)) => "overdue".to_owned(),
        (State::Submitted | State::Pending | State::Approved, _) if view.lapses_at > now => {
            format!("({})", ui::coarse(view.lapses_at.since(now)))
        }
        _ => "-".to_owned(),
    }
}
