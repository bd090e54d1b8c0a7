//! Bare `jit`: what concerns me, in one screen.

mod screen;

use anyhow::Result;
use serde_json::json;

use crate::access::{At, State, Ttl};
use crate::cli::Common;
use crate::failure::{Exit, Failure};
use crate::settings::{self, Places, SettingsError};
use crate::ui::{self, Format};
use crate::workflow::mailbox::Answer;
use crate::workflow::remember;
use crate::workflow::view::RequestView;

use super::context::{Context, Reach};
use super::list;
use super::lookup::{self, Filter, Which};

use screen::{Line, Section};

/// How long a rejection is still told.
const SHOWN_FOR: Ttl = Ttl::from_secs(24 * 3600);
/// Holds, rejections and targets out of reach that are told; there may be more, and all must fit the screen.
const TOLD: usize = 2;

/// Everything that the screen is made of.
struct Seen {
    mine: Vec<RequestView>,
    awaiting: Vec<RequestView>,
    /// Others' access that should be gone, as far as I may see it.
    overdue: usize,
    rejected: Vec<Answer>,
    last_sweep: Option<At>,
    holds: Vec<String>,
    unreachable: Vec<(String, String)>,
    /// Submissions that wait in the inbox, where I am an operator.
    waiting: usize,
}

/// Opens what everything starts from; without settings it says how to begin.
pub fn open(common: &Common) -> Result<Exit> {
    let places = Places::of_process(common.config.clone());
    if let Err(error @ SettingsError::Missing { .. }) = settings::load(&places) {
        return Err(Failure::new(Exit::Settings, error.to_string())
            .hint("You want a column of a database that DBAs run: they set jit up on a host;")
            .hint("  log in there, and type: jit request")
            .hint("You run databases, for others: sudo jit init --dir /etc/jit --shared GROUP")
            .hint("You are alone with a database of your own, make some: jit init")
            .hint("Settings are elsewhere: --config FILE, or JIT_CONFIG")
            .into());
    }
    run(&Context::open(common)?)
}

fn run(context: &Context) -> Result<Exit> {
    let seen = look(context)?;
    if context.format == Format::Json {
        ui::json(&json!({
            "me": context.me.name, "mine": seen.mine, "awaiting_me": seen.awaiting,
            "last_sweep": seen.last_sweep, "holds": seen.holds
        }))?;
        return Ok(Exit::Done);
    }
    // The last row is the prompt's.
    let rows = ui::height().saturating_sub(1);
    for line in screen::fitting(&sections(context, &seen), &footer(context, &seen), rows) {
        if line.is_alarm {
            ui::say(&ui::red(&line.text))?;
        } else {
            ui::say(&line.text)?;
        }
    }
    Ok(Exit::Done)
}

fn look(context: &Context) -> Result<Seen> {
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
    let overdue = of(Which::Overdue)?
        .iter()
        .filter(|view| mine.iter().all(|own| own.id != view.id))
        .count();
    let mut seen = Seen {
        mine,
        awaiting: of(Which::AwaitingMe)?,
        overdue,
        rejected: Vec::new(),
        last_sweep: None,
        holds: Vec::new(),
        unreachable: Vec::new(),
        waiting: context.waiting()?,
    };
    match &context.reach {
        Reach::Operator(op) => {
            seen.last_sweep = op
                .ledger
                .fact(crate::stores::Fact::LastSweep)?
                .and_then(|text| text.parse::<At>().ok());
            seen.holds = (op.ledger.holds(false)?.iter())
                .map(|hold| {
                    format!(
                        "hold {}: {} ({}, by {})",
                        hold.number, hold.selector, hold.reason, hold.by
                    )
                })
                .collect();
            let unreachable = remember::record(op)?.unreachable;
            seen.unreachable = unreachable
                .into_iter()
                .map(|(target, why)| (target.to_string(), why))
                .collect();
        }
        Reach::Mailbox(_) => {
            if let Some(view) = context.mailbox_view()? {
                seen.last_sweep = view.last_sweep;
                seen.holds = view.holds;
                // What operators rejected lately shows nowhere else.
                seen.rejected = view
                    .answers
                    .into_iter()
                    .filter(|answer| !answer.outcome.starts_with("accepted"))
                    .filter(|answer| now.since(answer.at) < SHOWN_FOR)
                    .take(TOLD)
                    .collect();
            }
        }
    }
    Ok(seen)
}

fn sections(context: &Context, seen: &Seen) -> Vec<Section> {
    let now = context.now().at;
    let (held, open): (Vec<&RequestView>, Vec<&RequestView>) =
        seen.mine.iter().partition(|view| view.state.may_hold());
    let awaiting: Vec<&RequestView> = seen.awaiting.iter().collect();
    vec![
        Section {
            title: "Your access".into(),
            lines: lines(&held, now, |view| vec![in_words(view, now)]),
            all: "jit list --mine",
        },
        Section {
            title: "Your requests".into(),
            lines: lines(&open, now, |view| vec![in_words(view, now)]),
            all: "jit list --mine",
        },
        Section {
            title: "Awaiting you".into(),
            lines: lines(&awaiting, now, |view| {
                vec![view.requester.clone(), format!("for {}", view.lease_ttl)]
            }),
            all: "jit list --awaiting-me",
        },
    ]
}

/// A line each: id, what is said of it, target and columns.
fn lines(views: &[&RequestView], now: At, told: impl Fn(&RequestView) -> Vec<String>) -> Vec<Line> {
    let rows: Vec<Vec<String>> = views
        .iter()
        .map(|view| {
            let tables: Vec<String> = view.tables.iter().map(ToString::to_string).collect();
            let mut row = vec![format!("  {}", view.id)];
            row.extend(told(view));
            row.extend([view.target.to_string(), tables.join(" ")]);
            row
        })
        .collect();
    ui::one_line_rows(&rows)
        .into_iter()
        .zip(views)
        .map(|(text, view)| Line {
            text,
            is_alarm: is_overdue(view, now),
        })
        .collect()
}

fn is_overdue(view: &RequestView, now: At) -> bool {
    view.state.may_hold() && view.expires_at.is_some_and(|at| at <= now)
        || (view.state == State::Revoking && view.outcome.is_some())
}

fn in_words(view: &RequestView, now: At) -> String {
    let left = list::left(view, now);
    match view.state {
        _ if is_overdue(view, now) => "overdue".to_owned(),
        State::Active => format!("{left} left"),
        State::Pending => format!("pending {left}"),
        state => state.to_string(),
    }
}

/// What stands below: what went wrong, when it was last swept, and what to type next.
fn footer(context: &Context, seen: &Seen) -> Vec<Line> {
    let now = context.now().at;
    let room = usize::from(ui::width());
    let mut lines = Vec::new();
    let mut say = |text: &str, is_alarm: bool| {
        lines.push(Line {
            text: ui::fitted(text, room),
            is_alarm,
        });
    };
    if seen.mine.is_empty() && seen.awaiting.is_empty() {
        say("You have no access and no open request.", false);
    }
    if seen.overdue > 0 {
        let what = ui::count(seen.overdue, "request");
        say(
            &format!("Overdue: {what} of others: jit list --overdue"),
            true,
        );
    }
    match seen.waiting {
        0 => {}
        1 => say(
            "1 submission waits in the inbox; take it up: jit sweep",
            false,
        ),
        number => say(
            &format!("{number} submissions wait in the inbox; take them up: jit sweep"),
            false,
        ),
    }
    for hold in seen.holds.iter().take(TOLD) {
        say(&format!("Held: {hold}"), false);
    }
    if seen.holds.len() > TOLD {
        say(
            &format!("… and {} more holds", seen.holds.len() - TOLD),
            false,
        );
    }
    for answer in &seen.rejected {
        let at = ui::when(answer.at, now);
        let text = format!("Rejected {at}, {}: {}", answer.act, answer.outcome);
        say(&text, false);
    }
    for (target, why) in seen.unreachable.iter().take(TOLD) {
        say(&format!("{target}: {why}"), true);
    }
    if seen.unreachable.len() > TOLD {
        let more = seen.unreachable.len() - TOLD;
        say(&format!("… and {more} more targets: jit doctor"), true);
    }
    let is_late = seen
        .last_sweep
        .is_none_or(|at| now.since(at) > context.rules().sweep_within);
    let swept = seen
        .last_sweep
        .map_or("never".to_owned(), |at| ui::when(at, now));
    let late = if is_late {
        "; nothing is granted until one succeeds"
    } else {
        ""
    };
    say(&format!("Last sweep: {swept}{late}"), is_late);
    say(&format!("Next: {}", next(context, seen, now)), false);
    lines
}

fn next(context: &Context, seen: &Seen, now: At) -> &'static str {
    let mine_is_overdue = seen.mine.iter().any(|view| is_overdue(view, now));
    let is_operator = matches!(context.reach, Reach::Operator(_));
    if is_operator && (seen.overdue > 0 || mine_is_overdue) {
        "jit sweep, and where that does not help jit list --overdue"
    } else if !seen.awaiting.is_empty() {
        "jit approve"
    } else if seen.mine.iter().any(|view| view.state == State::Active) {
        "jit return, or jit extend"
    } else if !seen.mine.is_empty() {
        "jit show ID, or jit cancel"
    } else {
        "jit columns, or jit request"
    }
}
