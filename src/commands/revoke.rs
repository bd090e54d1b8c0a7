//! `jit revoke` and `jit resume`: the kill switch.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::access::hold::Selector;
use crate::access::syntax::{self, TypedColumns};
use crate::access::{ColumnName, RequestId, TableColumns, TableName, TargetName};
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::ui::{self, Format};
use crate::workflow::submission::Act;
use crate::workflow::view::RequestView;

use super::context::{Context, Reach};
use super::lookup::{self, Filter};
use super::{decide, list, submit, words};

pub async fn run(context: &Context, arguments: &cli::Revoke) -> Result<Exit> {
    let by_selector = arguments.everything
        || arguments.requester.is_some()
        || arguments.grantee.is_some()
        || arguments.target.is_some()
        || arguments.column.is_some();
    match (arguments.ids.is_empty(), by_selector) {
        (true, false) => Err(Failure::new(
            Exit::Usage,
            "say what to revoke: ids, --requester, --grantee, --target, --column or --everything",
        )
        .hint("jit list --active")
        .into()),
        (false, true) => Err(Failure::new(
            Exit::Usage,
            "ids and selectors do not go together; give one or the other",
        )
        .hint("jit list --active")
        .into()),
        (false, false) if arguments.keep_standing || arguments.take => {
            settle(context, arguments).await
        }
        (false, false) => by_id(context, arguments).await,
        (true, true) => everything_of(context, arguments).await,
    }
}

async fn by_id(context: &Context, arguments: &cli::Revoke) -> Result<Exit> {
    let mut ids: Vec<RequestId> = Vec::new();
    let mut views = Vec::new();
    for id in &arguments.ids {
        let view = lookup::find(context, id, false)?;
        if view.state.is_final() {
            return Err(Failure::new(
                Exit::NoSuch,
                format!("request {} is {} already", view.id, view.state),
            )
            .hint(format!("jit show {}", view.id))
            .into());
        }
        if !ids.contains(&view.id) {
            ids.push(view.id.clone());
            views.push(view);
        }
    }
    if !arguments.yes {
        ui::note(&list::rows(&views, context.now().at))?;
        if !decide::agreed("Take this away now?")? {
            ui::note("Nothing was changed.")?;
            return Ok(Exit::Done);
        }
    }
    submit::hand_in(
        context,
        Act::Revoke {
            ids: ids.clone(),
            reason: arguments.reason.clone(),
        },
    )
    .await?;
    decide::tell(context, &ids)
}

async fn settle(context: &Context, arguments: &cli::Revoke) -> Result<Exit> {
    let mut ids = Vec::new();
    for id in &arguments.ids {
        let view = lookup::find(context, id, false)?;
        submit::hand_in(
            context,
            Act::Settle {
                id: view.id.clone(),
                keep: arguments.keep_standing,
                reason: arguments.reason.clone(),
            },
        )
        .await?;
        ids.push(view.id);
    }
    if matches!(context.reach, Reach::Mailbox(_)) {
        admins_only(context, "settle a disputed lease")?;
    }
    decide::tell(context, &ids)
}

async fn everything_of(context: &Context, arguments: &cli::Revoke) -> Result<Exit> {
    let open = lookup::list(context, &Filter::default())?;
    let target = arguments.target.as_deref().map(TargetName::from);
    if let Some(target) = &target
        && !open.iter().any(|view| view.target == *target)
    {
        // One that has left the settings can still be named while something is open there.
        words::target(Some(target.clone()), &context.target_names())?;
    }
    let column = match arguments.column.as_deref() {
        Some(text) => Some(column(context, text, target.as_ref(), &open)?),
        None => None,
    };
    let selector = Selector {
        requester: arguments.requester.clone(),
        grantee: arguments.grantee.as_deref().map(Into::into),
        target,
        column,
    };
    let concerned = open
        .iter()
        .filter(|view| {
            selector
                .requester
                .as_ref()
                .is_none_or(|r| *r == view.requester)
                && selector.grantee.as_ref().is_none_or(|g| *g == view.grantee)
                && selector.target.as_ref().is_none_or(|t| *t == view.target)
        })
        .count();
    if concerned == 0 {
        ui::note(&format!(
            "warning: nothing that is open is in the scope of {}; is it spelled right?",
            ui::escape(&selector.to_string())
        ))?;
    }
    if !arguments.yes {
        ui::note(&format!(
            "This ends up to {}, for {selector}, and refuses new ones until jit resume.",
            ui::count(concerned, "open request")
        ))?;
        if !decide::agreed("Go on?")? {
            ui::note("Nothing was changed.")?;
            return Ok(Exit::Done);
        }
    }
    let handed = submit::hand_in(
        context,
        Act::RevokeAll {
            selector,
            reason: arguments.reason.clone(),
        },
    )
    .await?;
    match handed.drained {
        Some(drained) => {
            say_outcome(context, &drained)?;
            let overdue = drained.report.overdue().count();
            if overdue > 0 {
                return Err(Failure::new(
                    Exit::Overdue,
                    format!(
                        "{} could not be taken away yet",
                        ui::count(overdue, "lease")
                    ),
                )
                .hint("jit list --overdue")
                .hint("jit sweep")
                .into());
            }
        }
        None => {
            say_handed_in(context)?;
            admins_only(context, "revoke by selector")?;
        }
    }
    Ok(Exit::Done)
}

/// What came of an act that is about no single request.
fn say_outcome(context: &Context, drained: &submit::Drained) -> Result<()> {
    let outcome = drained.outcome.outcome.trim_start_matches("accepted: ");
    match context.format {
        Format::Json => ui::json(&serde_json::json!({ "drained": true, "outcome": outcome }))?,
        Format::Table => ui::say(&ui::escape(outcome))?,
    }
    Ok(())
}

fn say_handed_in(context: &Context) -> Result<()> {
    if context.format == Format::Json {
        ui::json(&serde_json::json!({ "drained": false, "outcome": null }))?;
    }
    submit::say_next_sweep(context)
}

/// The column of `--column`: in full, or in the only table of that name that policies or open requests know.
fn column(
    context: &Context,
    text: &str,
    target: Option<&TargetName>,
    open: &[RequestView],
) -> Result<TableColumns> {
    let (table, typed) = syntax::parse_columns(text)
        .map_err(|error| Failure::new(Exit::Usage, format!("--column: {error}")))?;
    let TypedColumns::Named(columns) = typed else {
        return Err(
            Failure::new(Exit::Usage, "--column: name the column, TABLE:COLUMN")
                .hint("all of a target's: --target T")
                .into(),
        );
    };
    let name = match table.schema {
        Some(schema) => TableName::new(schema, table.table),
        None => {
            let here = |of: &TargetName| target.is_none_or(|target| target == of);
            let mut names: BTreeSet<TableName> = context
                .protected()?
                .into_iter()
                .filter(|offer| here(&offer.target))
                .map(|offer| offer.table)
                .collect();
            names.extend(
                open.iter()
                    .filter(|view| here(&view.target))
                    .flat_map(|view| view.tables.iter().map(|of| of.table.clone())),
            );
            names.retain(|name| name.table == table.table);
            words::only_table(&table.table, names)?
        }
    };
    Ok(TableColumns {
        table: name,
        columns: columns.into_iter().map(ColumnName).collect(),
    })
}

/// Operators reject it of anybody else, bare root excepted, and that is said at once.
fn admins_only(context: &Context, what: &str) -> Result<()> {
    if context.me.uid == 0 || context.rules().people.is_admin(&context.me.name) {
        return Ok(());
    }
    let what = format!("only admins may {what}");
    Err(submit::foreseen(&what, "who they are: jit settings"))
}

pub async fn resume(context: &Context, holds: &[u32], reason: &str, yes: bool) -> Result<Exit> {
    if !yes && holds.is_empty() && !decide::agreed("End every hold?")? {
        ui::note("Nothing was changed.")?;
        return Ok(Exit::Done);
    }
    let handed = submit::hand_in(
        context,
        Act::Resume {
            holds: holds.to_vec(),
            reason: reason.to_owned(),
        },
    )
    .await?;
    match handed.drained {
        Some(drained) => say_outcome(context, &drained)?,
        None => {
            say_handed_in(context)?;
            admins_only(context, "resume")?;
        }
    }
    Ok(Exit::Done)
}
