//! `jit revoke` and `jit resume`: the kill switch.

use anyhow::Result;

use crate::access::hold::Selector;
use crate::access::{RequestId, TableColumns};
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::ui;
use crate::workflow::submission::Act;

use super::context::Context;
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
        (false, true) => {
            Err(Failure::new(Exit::Usage, "ids and selectors do not go together").into())
        }
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
    decide::tell(context, &ids)
}

async fn everything_of(context: &Context, arguments: &cli::Revoke) -> Result<Exit> {
    admins_only(context, "revoke by selector", "jit revoke ID --reason …")?;
    let selector = Selector {
        requester: arguments.requester.clone(),
        grantee: arguments.grantee.as_deref().map(Into::into),
        target: arguments.target.as_deref().map(Into::into),
        column: arguments
            .column
            .as_deref()
            .map(|text| column(context, text))
            .transpose()?,
    };
    let concerned = lookup::list(context, &Filter::default())?
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
            ui::say(&ui::escape(
                drained.outcome.outcome.trim_start_matches("accepted: "),
            ))?;
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
        None => submit::say_next_sweep(context)?,
    }
    Ok(Exit::Done)
}

fn column(context: &Context, text: &str) -> Result<TableColumns> {
    let (_, typed) = words::split_target(&[text.to_owned()])?;
    let offered = context.protected()?;
    let target = context
        .target_names()
        .first()
        .map(|t| (*t).clone())
        .unwrap_or_else(|| "".into());
    let (mut tables, _) = words::resolve(typed, &target, &offered, &offered)?;
    Ok(tables.remove(0))
}

/// What operators would reject is said at once. Bare root may, as operators see it.
fn admins_only(context: &Context, what: &str, instead: &str) -> Result<()> {
    if context.me.uid == 0 || context.rules().people.is_admin(&context.me.name) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        format!("only those whom the settings name in `admins:` may {what}"),
    )
    .hint(instead)
    .into())
}

pub async fn resume(context: &Context, holds: &[u32], reason: &str, yes: bool) -> Result<Exit> {
    admins_only(context, "end holds", "jit settings")?;
    if !yes && holds.is_empty() && !decide::agreed("End every hold?")? {
        ui::note("Nothing was changed.")?;
        return Ok(Exit::Done);
    }
    submit::hand_in(
        context,
        Act::Resume {
            holds: holds.to_vec(),
            reason: reason.to_owned(),
        },
    )
    .await?;
    submit::say_next_sweep(context)?;
    Ok(Exit::Done)
}
