//! `jit request` and `jit extend`: asking.

mod ask;
mod outcome;
mod prompts;

use anyhow::Result;

use crate::access::{TableColumns, TableName, TargetName, Terms, Ttl, syntax};
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::policy::{Judgement, Refusal, approvals};
use crate::ui::{self, Format, prompt};
use crate::workflow::rules::Asked;
use crate::workflow::submission::{Act, AskAct};

use super::context::Context;
use super::words::Typed;
use super::{lookup, missing, show, submit, words};

use ask::Answers;

/// What the command line says, read as far as that needs no columns.
struct Words {
    target: Option<TargetName>,
    table: Option<syntax::TypedTable>,
    columns: Vec<Typed>,
    ttl: Option<Ttl>,
    wait: Option<Ttl>,
}

pub async fn run(context: &Context, arguments: &cli::Request) -> Result<Exit> {
    let words = read(context, arguments)?;
    let (ask, asked) = if ui::can_ask() {
        with_questions(context, arguments, &words).await?
    } else {
        (as_typed(context, arguments, &words).await?, false)
    };
    if arguments.dry_run {
        return dry_run(context, &ask);
    }
    if asked && !arguments.yes && !is_meant(context, &ask)? {
        ui::note("Nothing was handed in.")?;
        return Ok(Exit::Done);
    }
    hand_in(context, ask, words.wait).await
}

/// Where nobody can be asked, everything must be there.
async fn as_typed(context: &Context, arguments: &cli::Request, words: &Words) -> Result<AskAct> {
    let (Some(ttl), Some(reason), false) = (words.ttl, &arguments.reason, words.columns.is_empty())
    else {
        return Err(what_is_missing(arguments, words).into());
    };
    let target = words::target(words.target.clone(), &context.target_names())?;
    Ok(AskAct {
        tables: resolve(context, &words.columns, &target).await?,
        target,
        ttl,
        reason: reason.clone(),
        purpose: arguments.purpose.clone(),
        ticket: arguments.ticket.clone(),
        extends: None,
    })
}

/// On a terminal what is missing is asked for, a purpose and a ticket that the rules want included. Whether anything
/// was asked.
async fn with_questions(
    context: &Context,
    arguments: &cli::Request,
    words: &Words,
) -> Result<(AskAct, bool)> {
    let mut known = prompts::known(context).await?;
    let target = match words::target(words.target.clone(), &context.target_names()) {
        Ok(target) => target,
        // Several, and none was named.
        Err(_) if words.target.is_none() && context.target_names().len() > 1 => {
            prompts::target(context, &known, words)?
        }
        Err(error) => return Err(error),
    };
    let mut answers = Answers {
        purpose: arguments.purpose.clone().map(Some),
        ttl: words.ttl,
        ticket: arguments.ticket.clone(),
        reason: arguments.reason.clone(),
        ..Answers::default()
    };
    if !words.columns.is_empty() {
        answers.tables = resolve(context, &words.columns, &target).await?;
        prompts::add_typed(context, &mut known, &target, &answers.tables);
    } else if let Some(typed) = &words.table {
        answers.table = Some(prompts::table_of(context, typed, &known, &target)?);
    }
    answers.target = Some(target);
    let asked = ask::lacks_something(&known, &answers);
    let ask = if asked {
        prompts::complete(context, &known, answers)?
    } else {
        prompts::act(&answers)?
    };
    Ok((ask, asked))
}

/// Typed columns in full names; what was filled in is said.
async fn resolve(
    context: &Context,
    typed: &[Typed],
    target: &TargetName,
) -> Result<Vec<TableColumns>> {
    let (protected, offered) = if words::needs_columns(typed) {
        let offered = context.columns_of(&context.me.name).await?;
        let names = words::bare_names(typed);
        (context.protected(target, &names, &offered)?, offered)
    } else {
        Default::default()
    };
    let all = |table: &TableName| {
        let offered = offered.of(target, table);
        offered.map(|of| of.column.clone()).collect()
    };
    let (tables, filled) = words::resolve(typed.to_vec(), target, &protected, &all)?;
    for text in filled {
        ui::note(&ui::paragraph(&text, 0))?;
    }
    Ok(tables)
}

/// Shows all of it on one screen, and asks.
fn is_meant(context: &Context, ask: &AskAct) -> Result<bool> {
    if let Judgement::Allowed(terms) = judge(context, ask) {
        ui::note("")?;
        ui::note(&prompts::summary(context, ask, &terms)?)?;
        ui::note("")?;
    }
    prompt::confirm("Hand it in?", true)
}

fn read(context: &Context, arguments: &cli::Request) -> Result<Words> {
    let now = context.now().at;
    let (target, table, columns) = match leading(&arguments.what) {
        // One word without a colon is the target, and else a table; before columns it is the target.
        ([], _) if arguments.what.is_empty() => (None, None, Vec::new()),
        ([word], []) if ui::can_ask() && !is_target(context, word) => {
            (None, Some(typed_table(word)?), Vec::new())
        }
        ([target], []) if ui::can_ask() => {
            (Some(TargetName(target.clone().into())), None, Vec::new())
        }
        ([target, table], []) if ui::can_ask() => (
            Some(TargetName(target.clone().into())),
            Some(typed_table(table)?),
            Vec::new(),
        ),
        _ => {
            let (target, columns) = words::split_target(&arguments.what)?;
            (target, None, columns)
        }
    };
    let ttl = match (&arguments.ttl, &arguments.until) {
        (Some(text), _) => Some(words::duration(text, "--for")?),
        (None, Some(text)) => {
            let (ttl, at) = words::until(text, now)?;
            ui::note(&format!("until {}", ui::when(at, now)))?;
            Some(ttl)
        }
        (None, None) => None,
    };
    let wait = arguments
        .wait
        .as_deref()
        .map(|text| words::duration(text, "--wait"))
        .transpose()?;
    Ok(Words {
        target,
        table,
        columns,
        ttl,
        wait,
    })
}

/// The words before the first that has a colon, and the others.
fn leading(what: &[String]) -> (&[String], &[String]) {
    let until = what.iter().position(|word| words::has_colon(word));
    what.split_at(until.unwrap_or(what.len()))
}

fn is_target(context: &Context, word: &str) -> bool {
    let known = context.target_names();
    known.iter().any(|name| name.as_str() == word)
}

fn typed_table(word: &str) -> Result<syntax::TypedTable> {
    syntax::parse_typed_table(word).map_err(|error| {
        Failure::new(Exit::Usage, error.to_string())
            .hint("jit columns shows what there is")
            .into()
    })
}

/// The flags to type where nobody can be asked.
fn what_is_missing(arguments: &cli::Request, words: &Words) -> Failure {
    let mut flags = Vec::new();
    if words.columns.is_empty() {
        flags.push("TABLE:COLUMN,COLUMN");
    }
    if words.ttl.is_none() {
        flags.push("--for DURATION (or --until TIME)");
    }
    if arguments.reason.is_none() {
        flags.push("--reason TEXT");
    }
    missing::flags(&flags)
}

pub async fn extend(context: &Context, arguments: &cli::Extend) -> Result<Exit> {
    let mut flags = Vec::new();
    if arguments.ttl.is_none() {
        flags.push("--for DURATION");
    }
    if arguments.reason.is_none() {
        flags.push("--reason TEXT");
    }
    if !flags.is_empty() && !ui::can_ask() {
        return Err(missing::flags(&flags).into());
    }
    let extended = match &arguments.id {
        Some(id) => lookup::find(context, id, false)?,
        None => lookup::my_active(context, "extend")?,
    };
    let ttl = match &arguments.ttl {
        Some(text) => words::duration(text, "--for")?,
        None => prompts::how_much_longer(context, &extended)?,
    };
    let reason = match &arguments.reason {
        Some(reason) => reason.clone(),
        None => missing::ask_reason("Why still?", prompts::WHO_READS_IT)?,
    };
    let ask = AskAct {
        target: extended.target,
        tables: extended.tables,
        ttl,
        reason,
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
        return outcome::wait_for(context, &handed.id, wait).await;
    }
    match lookup::by_id(context, &handed.id, true)? {
        Some(view) => outcome::tell(context, &view),
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
                return Err(outcome::refused(&why).into());
            }
            if context.format == Format::Table {
                if let Some(terms) = terms {
                    ui::note(&ui::paragraph(&will_need(context, &terms), 0))?;
                }
                submit::say_next_sweep(context)?;
                ui::note(&format!("Next: jit show {}", handed.id))?;
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
