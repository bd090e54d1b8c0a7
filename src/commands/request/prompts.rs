//! Asks a person for what is missing of a request. What to ask next is decided in [`super::ask`].

use std::collections::BTreeSet;
use std::rc::Rc;

use anyhow::Result;

use crate::access::{
    At, ColumnName, State, TableColumns, TableName, TargetName, Terms, Ttl, syntax,
};
use crate::commands::context::Context;
use crate::commands::lookup::{self, Filter, Which};
use crate::commands::{missing, words};
use crate::failure::{Exit, Failure};
use crate::policy::{Judgement, Offer, approvals, book};
use crate::ui;
use crate::ui::prompt::{self, Check};
use crate::workflow::submission::AskAct;
use crate::workflow::view::{self, ColumnView, RequestView};

use super::Words;
use super::ask::{self, Answers, Known, Nothing, PurposeOffer, Question};

/// Beside the question for a reason.
pub const WHO_READS_IT: &str = "everybody who approves or audits reads it";

/// Asks until nothing is missing and the rules allow it.
///
/// # Errors
/// [`prompt::Stopped`], and where there is nothing that this person could ask for.
pub fn complete(context: &Context, known: &Known, answers: Answers) -> Result<AskAct> {
    let mut answers = answers;
    let given = answers.clone();
    loop {
        for why in ask::mend(known, &mut answers) {
            ui::note(&ui::paragraph(&why, 0))?;
        }
        match ask::next(known, &answers) {
            Ok(Some(question)) => put(context, question, &mut answers)?,
            Err(nothing) => return Err(impossible(context, &answers, nothing)),
            Ok(None) => {
                let ask = act(&answers)?;
                match super::judge(context, &ask) {
                    Judgement::Allowed(_) => return Ok(ask),
                    Judgement::Refused(refusals) => {
                        ui::note(&ui::paragraph(
                            &format!("refused: {}", super::in_lines(&refusals)),
                            0,
                        ))?;
                        // What was answered here is asked again; the reason may stay.
                        let reason = answers.reason.take();
                        answers = Answers {
                            reason,
                            purpose: None,
                            ttl: None,
                            ticket: None,
                            ..given.clone()
                        };
                    }
                }
            }
        }
    }
}

/// Asks one question; its answer is in `answers` then.
fn put(context: &Context, question: Question, answers: &mut Answers) -> Result<()> {
    match question {
        Question::Target(targets) => answers.target = Some(pick_target(&targets)?),
        Question::Table(tables) => {
            let shown: Vec<String> = tables.iter().map(ToString::to_string).collect();
            let place = match tables.as_slice() {
                [only] => {
                    ui::note(&ui::escape(&format!("  the table is {only}")))?;
                    0
                }
                _ => prompt::pick("Which table?", &shown)?,
            };
            answers.table = Some(tables[place].clone());
        }
        Question::Columns { table, columns } => {
            answers.tables = vec![TableColumns {
                table,
                columns: pick_columns(&columns)?,
            }];
        }
        Question::Purpose(offers) => answers.purpose = Some(pick_purpose(&offers)?),
        Question::Duration { most } => {
            answers.ttl = Some(ask_duration(context, "For how long?", most)?);
        }
        Question::Ticket(patterns) => {
            let hint = format!("it must match {}", patterns.join(" and "));
            let wrong = hint.clone();
            let check: Check<str> = Rc::new(move |typed| {
                let fits = patterns
                    .iter()
                    .all(|pattern| book::ticket_fits(pattern, typed));
                fits.then_some(()).ok_or_else(|| wrong.clone())
            });
            answers.ticket = Some(prompt::text("Ticket?", &hint, &check)?);
        }
        Question::Reason => {
            answers.reason = Some(missing::ask_reason("Why?", WHO_READS_IT)?);
        }
    }
    Ok(())
}

fn pick_target(targets: &[TargetName]) -> Result<TargetName> {
    if let [only] = targets {
        return Ok(only.clone());
    }
    let shown: Vec<String> = targets.iter().map(ToString::to_string).collect();
    Ok(targets[prompt::pick("Which target?", &shown)?].clone())
}

fn pick_columns(columns: &[ColumnView]) -> Result<Vec<ColumnName>> {
    if let [only] = columns {
        let row = rows(columns).concat();
        ui::note(&ui::fitted(
            &format!("  its only column: {row}"),
            usize::from(ui::width()),
        ))?;
        return Ok(vec![only.column.clone()]);
    }
    let known: Vec<ColumnView> = columns.to_vec();
    let check: Check<[usize]> = Rc::new(move |places: &[usize]| {
        let picked: Vec<(&str, &[Offer])> = (places.iter())
            .filter_map(|place| known.get(*place))
            .map(|of| (of.column.as_str(), of.offers.as_slice()))
            .collect();
        ask::fit_together(&picked)
    });
    let picked = prompt::pick_several("Which columns?", &rows(columns), &check)?;
    Ok(picked
        .into_iter()
        .map(|place| columns[place].column.clone())
        .collect())
}

/// Name, class, longest duration and whose approval, in columns that stand below each other.
fn rows(columns: &[ColumnView]) -> Vec<String> {
    let cells: Vec<[String; 4]> = columns
        .iter()
        .map(|of| {
            [
                syntax::quoted_if_odd(of.column.as_str()).into_owned(),
                of.class.clone().unwrap_or_default(),
                of.max.to_string(),
                whose(&of.offers),
            ]
        })
        .collect();
    let width = |place: usize| {
        let of = |row: &[String; 4]| row[place].chars().count();
        cells.iter().map(of).max().unwrap_or(0)
    };
    let (name, class, max) = (width(0), width(1), width(2));
    cells
        .iter()
        .map(|[n, c, m, w]| format!("{n:<name$}  {c:<class$}  {m:>max$}  {w}"))
        .collect()
}

/// Whose approval is needed, the longest offer first: `1 of group:dba; up to 2h: no approval`.
fn whose(offers: &[Offer]) -> String {
    let mut sorted: Vec<&Offer> = offers.iter().collect();
    sorted.sort_by_key(|offer| std::cmp::Reverse(offer.max));
    let mut told: Vec<String> = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (place, offer) in sorted.iter().enumerate() {
        if !seen.insert(&offer.approval) {
            continue;
        }
        told.push(if place == 0 {
            offer.approval.clone()
        } else {
            format!("up to {}, {}", offer.max, offer.approval)
        });
    }
    told.join("; ")
}

fn pick_purpose(offers: &[PurposeOffer]) -> Result<Option<String>> {
    if let [only] = offers {
        if let Some(name) = &only.name {
            ui::note(&ui::escape(&format!(
                "  the purpose is {name}, the only one"
            )))?;
        }
        return Ok(only.name.clone());
    }
    let name = |offer: &PurposeOffer| offer.name.clone().unwrap_or_else(|| "another".into());
    let widest = offers.iter().map(|offer| name(offer).chars().count()).max();
    let widest = widest.unwrap_or(0);
    let shown: Vec<String> = offers
        .iter()
        .map(|offer| {
            let steps: Vec<String> = offer
                .steps
                .iter()
                .map(|step| format!("up to {}, {}", step.most, step.approvals.join(" and ")))
                .collect();
            format!("{:<widest$}  {}", name(offer), steps.join("; "))
        })
        .collect();
    Ok(offers[prompt::pick("For which purpose?", &shown)?]
        .name
        .clone())
}

/// The request that complete answers make.
pub fn act(answers: &Answers) -> Result<AskAct> {
    let (Some(target), Some(ttl), Some(reason)) = (&answers.target, answers.ttl, &answers.reason)
    else {
        return Err(Failure::new(Exit::Usage, "the request is not complete").into());
    };
    Ok(AskAct {
        target: target.clone(),
        tables: answers.tables.clone(),
        ttl,
        reason: reason.clone(),
        purpose: answers.purpose.clone().flatten(),
        ticket: answers.ticket.clone(),
        extends: None,
    })
}

/// Why there is nothing to ask for, as the rules say it.
fn impossible(context: &Context, answers: &Answers, nothing: Nothing) -> anyhow::Error {
    match nothing {
        Nothing::Offered { target, table } => {
            let place = match (&target, &table) {
                (_, Some(table)) => format!(" of {table}"),
                (Some(target), None) => format!(" on {target}"),
                (None, None) => String::new(),
            };
            Failure::new(
                Exit::Refused,
                format!("no policy lets you ask for a column{place}"),
            )
            .hint("jit columns")
            .into()
        }
        Nothing::Together(tables) => {
            let shown: Vec<String> = tables.iter().map(ToString::to_string).collect();
            let shown = shown.join(" ");
            super::outcome::refused(&format!(
                "there is no purpose for which {shown} may be had together; ask for them one by one"
            ))
            .hint("jit columns")
            .into()
        }
        Nothing::Column(table, column) => {
            let judged = judged_alone(context, answers, &table, &column);
            super::outcome::refused(&judged).hint("jit columns").into()
        }
    }
}

/// What the rules say of one column that is never offered.
fn judged_alone(
    context: &Context,
    answers: &Answers,
    table: &TableName,
    column: &ColumnName,
) -> String {
    let of = TableColumns {
        table: table.clone(),
        columns: vec![column.clone()],
    };
    let shown = of.to_string();
    let judged = super::judge(
        context,
        &AskAct {
            target: answers.target.clone().unwrap_or_else(|| "".into()),
            tables: vec![of],
            ttl: answers.ttl.unwrap_or(Ttl::from_secs(60)),
            reason: String::new(),
            purpose: answers.purpose.clone().flatten(),
            ticket: answers.ticket.clone(),
            extends: None,
        },
    );
    match judged {
        Judgement::Refused(refusals) => super::in_lines(&refusals),
        Judgement::Allowed(_) => format!("{shown} is not offered"),
    }
}

/// Everything about to be handed in, on one screen.
pub fn summary(context: &Context, ask: &AskAct, terms: &Terms) -> Result<String> {
    let now = context.now().at;
    let mut lines = Vec::new();
    let mut field = |name: &str, value: &str| lines.push(ui::hanging(name, value, 11));
    let people = &context.rules().people;
    let grantee = match people.grantee(&ask.target, &context.me.name) {
        Ok(grantee) => format!("{} as {grantee} on {}", context.me.name, ask.target),
        Err(why) => format!("{} on {}: {why}", context.me.name, ask.target),
    };
    field("who", &grantee);
    for (place, table) in ask.tables.iter().enumerate() {
        field(if place == 0 { "columns" } else { "" }, &table.to_string());
    }
    for (place, table) in terms.along.iter().enumerate() {
        field(if place == 0 { "with" } else { "" }, &table.to_string());
    }
    field("for", &format!("{}, from when it is granted", ask.ttl));
    for (name, value) in [("purpose", &ask.purpose), ("ticket", &ask.ticket)] {
        if let Some(value) = value {
            field(name, value);
        }
    }
    field("why", &ask.reason);
    field("approval", &whose_approval(context, terms));
    for (place, table) in then_readable(context, ask, terms, now)?.iter().enumerate() {
        let label = if place == 0 { "then reads" } else { "" };
        field(label, &table.to_string());
    }
    field("", "and whatever that account can read there already");
    Ok(lines.join("\n"))
}

fn whose_approval(context: &Context, terms: &Terms) -> String {
    if terms.is_automatic() {
        return "nobody's: the next sweep gives it".to_owned();
    }
    let who = approvals::who_can(
        &terms.lines,
        &[],
        &context.me.name,
        context.rules().people.directory(),
    );
    let text = crate::commands::show::approval(&terms.lines, &who);
    text.strip_prefix("approval by ")
        .unwrap_or(&text)
        .to_owned()
}

/// What is asked for, what comes along, and what I hold of the same tables now.
fn then_readable(
    context: &Context,
    ask: &AskAct,
    terms: &Terms,
    now: At,
) -> Result<Vec<TableColumns>> {
    let mut readable = ask.tables.clone();
    let mut add = |table: &TableName, column: &ColumnName| {
        if let Some(of) = readable.iter_mut().find(|of| of.table == *table)
            && !of.columns.contains(column)
        {
            of.columns.push(column.clone());
        }
    };
    for of in &terms.along {
        of.columns.iter().for_each(|column| add(&of.table, column));
    }
    let mine = lookup::list(
        context,
        &Filter {
            which: Which::Mine,
            target: Some(ask.target.to_string()),
            ..Filter::default()
        },
    )?;
    for view in mine
        .iter()
        .filter(|view| view.state == State::Active && view.expires_at.is_some_and(|at| at > now))
    {
        for of in view.tables.iter().chain(&view.with) {
            of.columns.iter().for_each(|column| add(&of.table, column));
        }
    }
    Ok(readable)
}

/// The protected columns that I may ask for.
pub async fn known(context: &Context) -> Result<Known> {
    Ok(Known {
        columns: context.columns_of(&context.me.name).await?,
    })
}

/// Adds columns that were typed, where nobody has looked at the target yet: the rules know them by name.
pub fn add_typed(
    context: &Context,
    known: &mut Known,
    target: &TargetName,
    typed: &[TableColumns],
) {
    for of in typed {
        for column in &of.columns {
            if known.columns.find(target, &of.table, column).is_some() {
                continue;
            }
            let catalog = [(
                target.clone(),
                vec![(of.table.clone(), vec![column.clone()])],
            )];
            known.columns.append(view::columns(
                context.rules(),
                &catalog.into_iter().collect(),
                &context.me.name,
            ));
        }
    }
}

/// Which of several targets: of those that have the table that was typed, where some do.
pub fn target(context: &Context, known: &Known, words: &Words) -> Result<TargetName> {
    let typed = words
        .table
        .iter()
        .chain(words.columns.iter().map(|of| &of.0));
    let tables: Vec<&str> = typed.map(|table| table.table.as_str()).collect();
    let mut here = known.clone();
    here.columns
        .retain(|_, of| tables.contains(&of.table.as_str()));
    let from = if here.columns.is_empty() {
        known
    } else {
        &here
    };
    match ask::next(from, &Answers::default()) {
        Ok(Some(Question::Target(targets))) => pick_target(&targets),
        _ => Err(impossible(
            context,
            &Answers::default(),
            Nothing::Offered {
                target: None,
                table: None,
            },
        )),
    }
}

/// For how long access goes on, from when the extension is granted.
pub fn how_much_longer(context: &Context, extended: &RequestView) -> Result<Ttl> {
    let mut known = Known::default();
    add_typed(context, &mut known, &extended.target, &extended.tables);
    let answers = Answers {
        target: Some(extended.target.clone()),
        tables: extended.tables.clone(),
        purpose: Some(extended.purpose.clone()),
        ..Answers::default()
    };
    // Where the rules give nothing any more, the refusal of whatever is answered says why.
    let most = match ask::next(&known, &answers) {
        Ok(Some(Question::Duration { most })) => most,
        _ => Ttl::from_secs(366 * 24 * 3600),
    };
    ask_duration(context, "How much longer?", most)
}

fn ask_duration(context: &Context, question: &str, most: Ttl) -> Result<Ttl> {
    missing::duration_until(
        question,
        &format!("at most {most}; like 30m, 2h, or until a time of day: 18:00"),
        context.now().at,
        move |ttl| ask::fits_duration(ttl, most),
    )
}

/// `jit request customers`: a word without a colon is the target, or else a table.
pub fn table_of(
    context: &Context,
    typed: &syntax::TypedTable,
    known: &Known,
    target: &TargetName,
) -> Result<TableName> {
    if let Some(schema) = &typed.schema {
        return Ok(TableName::new(schema.clone(), typed.table.clone()));
    }
    let alike =
        (known.columns.tables()).filter(|(of, table)| *of == target && table.table == typed.table);
    let names: BTreeSet<TableName> = alike.map(|(_, table)| table.clone()).collect();
    if names.is_empty() {
        let targets: Vec<&str> = context.target_names().iter().map(|t| t.as_str()).collect();
        return Err(Failure::new(
            Exit::NoSuch,
            format!(
                "{} is neither a target nor a table that you may request columns of",
                typed.table
            ),
        )
        .hint(format!("targets: {}", targets.join(", ")))
        .hint("jit columns")
        .into());
    }
    words::only_table(&typed.table, names)
}
