//! `jit request` and `jit extend`: asking.

use std::time::Duration;

use anyhow::Result;

use crate::access::{At, RequestId, State, TableColumns, Terms, Ttl};
use crate::cli;
use crate::engines::Dialect;
use crate::failure::{Exit, Failure};
use crate::policy::{Judgement, Refusal, approvals};
use crate::ui::{self, Format};
use crate::workflow::rules::Asked;
use crate::workflow::submission::{Act, AskAct};
use crate::workflow::view::RequestView;

use super::context::{Context, Reach};
use super::{lookup, show, submit, words};

/// How often `--wait` looks.
const PAUSE: Duration = Duration::from_millis(500);

pub async fn run(context: &Context, arguments: &cli::Request) -> Result<Exit> {
    let now = context.now().at;
    let (typed_target, typed) = words::split_target(&arguments.what)?;
    let target = words::target(typed_target, &context.target_names())?;
    let (protected, offered) = if words::needs_columns(&typed) {
        let offered = context.columns_of(&context.me.name).await?;
        (context.protected()?, offered)
    } else {
        (Vec::new(), Vec::new())
    };
    let (tables, filled) = words::resolve(typed, &target, &protected, &offered)?;
    let ttl = match (&arguments.ttl, &arguments.until) {
        (Some(text), _) => words::duration(text, "--for")?,
        (None, Some(text)) => {
            let (ttl, at) = words::until(text, now)?;
            ui::note(&format!("until {}", ui::when(at, now)))?;
            ttl
        }
        (None, None) => {
            return Err(
                Failure::new(Exit::Usage, "say how long: --for 2h, or --until 18:00").into(),
            );
        }
    };
    for text in filled {
        ui::note(&ui::escape(&text))?;
    }
    let wait = arguments
        .wait
        .as_deref()
        .map(|text| words::duration(text, "--wait"))
        .transpose()?;
    let ask = AskAct {
        target,
        tables,
        ttl,
        reason: arguments.reason.clone(),
        purpose: arguments.purpose.clone(),
        ticket: arguments.ticket.clone(),
        extends: None,
    };
    if arguments.dry_run {
        return dry_run(context, &ask);
    }
    hand_in(context, ask, wait).await
}

pub async fn extend(context: &Context, arguments: &cli::Extend) -> Result<Exit> {
    let extended = match &arguments.id {
        Some(id) => lookup::find(context, id, false)?,
        None => lookup::my_only_active(context, "extend")?,
    };
    let ask = AskAct {
        target: extended.target,
        tables: extended.tables,
        ttl: words::duration(&arguments.ttl, "--for")?,
        reason: arguments.reason.clone(),
        purpose: extended.purpose,
        ticket: extended.ticket,
        extends: Some(extended.id),
    };
    hand_in(context, ask, None).await
}

async fn hand_in(context: &Context, ask: AskAct, wait: Option<Ttl>) -> Result<Exit> {
    let (refusal, terms) = match judge(context, &ask) {
        Judgement::Allowed(terms) => (None, Some(terms)),
        Judgement::Refused(refusals) => (Some(in_lines(&refusals)), None),
    };
    // The keys of a request, as far as they are known before an operator has seen it.
    let asked = serde_json::json!({
        "requester": context.me.name, "target": ask.target, "tables": ask.tables, "ttl": ask.ttl,
        "reason": ask.reason, "purpose": ask.purpose, "ticket": ask.ticket, "extends": ask.extends,
        "state": "submitted", "refused": refusal,
    });
    let handed = submit::hand_in(context, Act::Request(ask)).await?;
    if let Some(wait) = wait
        && refusal.is_none()
    {
        return wait_for(context, &handed.id, wait).await;
    }
    match lookup::by_id(context, &handed.id, true)? {
        Some(view) => tell(context, &view),
        None => {
            // Not an operator: the rules are public, so what they will say can be told at once.
            match context.format {
                Format::Json => {
                    let mut asked = asked;
                    asked["id"] = serde_json::json!(handed.id);
                    ui::json(&asked)?;
                }
                Format::Table => ui::say(handed.id.as_str())?,
            }
            if let Some(why) = refusal {
                return Err(refused(&why).into());
            }
            if context.format == Format::Table {
                if let Some(terms) = terms {
                    ui::note(&ui::paragraph(&will_need(context, &terms), 0))?;
                }
                submit::say_next_sweep(context)?;
                ui::note(&format!("See how it stands: jit show {}", handed.id))?;
            }
            Ok(Exit::Done)
        }
    }
}

/// The rules are public: what they say of it here and now can be told before the operator judges, which counts.
fn will_need(context: &Context, terms: &Terms) -> String {
    if terms.is_automatic() {
        return "The rules give it without anybody's approval.".to_owned();
    }
    let who = approvals::who_can(
        &terms.lines,
        &[],
        &context.me.name,
        context.rules().people.directory(),
    );
    show::approval(&terms.lines, &who)
}

fn in_lines(refusals: &[Refusal]) -> String {
    let lines: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn judge(context: &Context, ask: &AskAct) -> Judgement {
    context.rules().judge(&Asked {
        who: &context.me.name,
        target: &ask.target,
        tables: &ask.tables,
        purpose: ask.purpose.as_deref(),
        ticket: ask.ticket.as_deref(),
        ttl: ask.ttl,
        unbroken: ask.ttl,
    })
}

fn dry_run(context: &Context, ask: &AskAct) -> Result<Exit> {
    let judgement = judge(context, ask);
    let exit = match &judgement {
        Judgement::Allowed(_) => Exit::Done,
        Judgement::Refused(_) => Exit::Refused,
    };
    super::policy::print_judgement(context, &judgement)?;
    Ok(exit)
}

fn refused(why: &str) -> Failure {
    let failure = Failure::new(Exit::Refused, format!("refused: {why}"));
    // The words of a policy end with what to try, where anything would do.
    if why.contains("; try ") {
        failure
    } else {
        failure.hint("what you may ask for: jit columns")
    }
}

/// Says where the request stands now, and what comes next.
fn tell(context: &Context, view: &RequestView) -> Result<Exit> {
    let now = context.now().at;
    if context.format == Format::Json {
        ui::json(view)?;
    } else {
        ui::say(view.id.as_str())?;
    }
    if view.state == State::Refused {
        return Err(refused(view.outcome.as_deref().unwrap_or_default()).into());
    }
    if context.format == Format::Json {
        return Ok(exit_of(view));
    }
    match view.state {
        State::Pending => {
            ui::note(&format!("pending: {}", show::needs(view)))?;
            ui::note(&format!(
                "It lapses {}. See how it stands: jit show {}",
                ui::when(view.lapses_at, now),
                view.id
            ))?;
        }
        State::Active => granted(context, view, now)?,
        _ => ui::note(&show::state(view, now))?,
    }
    for table in view
        .will_read
        .iter()
        .filter(|_| view.state != State::Active)
    {
        ui::note(&format!(
            "{} will be able to read {}",
            ui::escape(view.grantee.as_str()),
            ui::escape(&table.to_string())
        ))?;
    }
    if let Some(why) = &view.outcome {
        ui::note(&ui::paragraph(why, 0))?;
    }
    Ok(exit_of(view))
}

fn exit_of(view: &RequestView) -> Exit {
    match view.state {
        State::Refused | State::Denied => Exit::Refused,
        State::Failed => Exit::Failed,
        State::Lapsed | State::Cancelled => Exit::NoSuch,
        _ => Exit::Done,
    }
}

fn granted(context: &Context, view: &RequestView, now: At) -> Result<()> {
    if let Some(at) = view.expires_at {
        ui::note(&format!("active until {}", ui::when(at, now)))?;
    }
    for table in &view.tables {
        ui::note(&format!("  {}", ui::escape(&select(context, view, table))))?;
    }
    Ok(())
}

/// A SELECT that works now.
fn select(context: &Context, view: &RequestView, table: &TableColumns) -> String {
    let mysql = context
        .rules()
        .targets
        .get(&view.target)
        .is_some_and(|address| address.dialect == Dialect::Mysql);
    let quote = |name: &str| {
        let plain = name.chars().enumerate().all(|(place, c)| {
            c == '_' || c.is_ascii_lowercase() || (place > 0 && c.is_ascii_digit())
        });
        if plain {
            name.to_owned()
        } else if mysql {
            format!("`{}`", name.replace('`', "``"))
        } else {
            format!("\"{}\"", name.replace('"', "\"\""))
        }
    };
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| quote(column.as_str()))
        .collect();
    format!(
        "SELECT {} FROM {}.{} LIMIT 10;",
        columns.join(", "),
        quote(&table.table.schema),
        quote(&table.table.table)
    )
}

/// Waits until it is decided, saying each step. Ctrl-C leaves the request as it is.
async fn wait_for(context: &Context, id: &RequestId, limit: Ttl) -> Result<Exit> {
    let started = std::time::Instant::now();
    let mut told = None;
    ui::note(&format!(
        "{id} is handed in; waiting up to {limit}. Ctrl-C leaves it standing."
    ))?;
    loop {
        if let Some(view) = lookup::by_id(context, id, true)? {
            if told != Some(view.state) {
                told = Some(view.state);
                let now = context.now().at;
                let text = match view.state {
                    State::Pending => format!("pending: {}", show::needs(&view)),
                    _ => show::state(&view, now),
                };
                ui::note(&text)?;
            }
            if view.state == State::Active || view.state.is_final() {
                return tell(context, &view);
            }
        }
        if started.elapsed() > limit.duration() {
            return Err(Failure::new(
                Exit::TimedOut,
                format!("request {id} is not decided after {limit}"),
            )
            .hint(format!("it stands: jit show {id}"))
            .hint(if matches!(context.reach, Reach::Operator(_)) {
                "jit sweep".to_owned()
            } else {
                format!("withdraw it: jit cancel {id}")
            })
            .into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
