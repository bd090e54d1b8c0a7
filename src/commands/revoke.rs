//! `jit revoke` and `jit resume`: the kill switch.

mod extent;

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
use super::{decide, list, missing, submit, words};

use extent::Extent;

const WHY: &str = "Why?";

pub async fn run(context: &Context, arguments: &cli::Revoke) -> Result<Exit> {
    let by_selector = arguments.everything
        || arguments.requester.is_some()
        || arguments.grantee.is_some()
        || arguments.target.is_some()
        || arguments.column.is_some();
    let named = !arguments.ids.is_empty() || by_selector;
    if named {
        missing::reason_can_be_had(arguments.reason.as_deref())?;
    }
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
        ui::note("")?;
        let extent = Extent::of(&views);
        ui::note(&ui::paragraph(&format!("This ends {extent}."), 0))?;
        ui::note(&ui::paragraph(
            "New requests stay possible; a revoke by selector holds them.",
            0,
        ))?;
    }
    let Some(reason) = meant(arguments, "Take it away now?")? else {
        return Ok(Exit::Done);
    };
    submit::hand_in(
        context,
        Act::Revoke {
            ids: ids.clone(),
            reason,
        },
    )
    .await?;
    decide::tell(context, &ids)
}

/// The reason, where there is one or it is answered, and a yes where one is wanted; `None` after a no.
fn meant(arguments: &cli::Revoke, question: &str) -> Result<Option<String>> {
    // Where nobody can be asked, `--yes` is asked for before a reason could be.
    let reason = missing::reason(arguments.reason.as_deref(), WHY)?;
    if !arguments.yes && !decide::agreed(question)? {
        ui::note("Nothing was changed.")?;
        return Ok(None);
    }
    Ok(Some(reason))
}

async fn settle(context: &Context, arguments: &cli::Revoke) -> Result<Exit> {
    let mut views = Vec::new();
    for id in &arguments.ids {
        views.push(lookup::find(context, id, false)?);
    }
    // Both flags say what they do; on a terminal what they are about is shown, and asked, all the same.
    if !arguments.yes && ui::can_ask() {
        ui::note(&list::rows(&views, context.now().at))?;
        ui::note("")?;
        ui::note(&ui::paragraph(
            &if arguments.keep_standing {
                format!(
                    "The disputed privileges of {} stay where they are, as somebody else's: jit never takes them back.",
                    ui::count(views.len(), "request")
                )
            } else {
                format!(
                    "The disputed privileges of {} are taken away, although somebody else granted them too.",
                    ui::count(views.len(), "request")
                )
            },
            0,
        ))?;
        if !decide::agreed("Go on?")? {
            ui::note("Nothing was changed.")?;
            return Ok(Exit::Done);
        }
    }
    let reason = missing::reason(arguments.reason.as_deref(), WHY)?;
    let ids: Vec<RequestId> = views.into_iter().map(|view| view.id).collect();
    for id in &ids {
        submit::hand_in(
            context,
            Act::Settle {
                id: id.clone(),
                keep: arguments.keep_standing,
                reason: reason.clone(),
            },
        )
        .await?;
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
    let concerned: Vec<RequestView> = open
        .into_iter()
        .filter(|view| extent::fits(&selector, view))
        .collect();
    if concerned.is_empty() {
        ui::note(&format!(
            "warning: nothing that is open is in the scope of {}; is it spelled right?",
            ui::escape(&selector.to_string())
        ))?;
    }
    if !arguments.yes {
        say_what_ends(context, &concerned, &selector)?;
    }
    // There may be many, and what comes now needs the room.
    drop(concerned);
    let Some(reason) = meant(arguments, "Take it away now?")? else {
        return Ok(Exit::Done);
    };
    let handed = submit::hand_in(context, Act::RevokeAll { selector, reason }).await?;
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

/// Rows that are listed before a kill switch is asked about; it must fit one screen.
const ROWS: usize = 8;

fn say_what_ends(context: &Context, concerned: &[RequestView], selector: &Selector) -> Result<()> {
    if !concerned.is_empty() {
        let shown = &concerned[..concerned.len().min(ROWS)];
        ui::note(&list::rows(shown, context.now().at))?;
        if concerned.len() > ROWS {
            ui::note(&format!("… and {} more: jit list", concerned.len() - ROWS))?;
        }
        ui::note("")?;
    }
    let ends = if concerned.is_empty() {
        "This ends nothing that is open now".to_owned()
    } else {
        format!("This ends {}", Extent::of(concerned))
    };
    ui::note(&ui::paragraph(
        &format!(
            "{ends}. It leaves a hold on {selector}: new requests there are refused, until jit resume."
        ),
        0,
    ))?;
    Ok(())
}

/// What came of an act that is about no single request.
fn say_outcome(context: &Context, drained: &submit::Drained) -> Result<()> {
    let outcome = drained.outcome.outcome.trim_start_matches("accepted: ");
    match context.format {
        Format::Json => ui::json(&serde_json::json!({ "drained": true, "outcome": outcome }))?,
        Format::Table => ui::say(&ui::paragraph(outcome, 0))?,
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
            let mut names: BTreeSet<TableName> = BTreeSet::new();
            // Without an inbox there is a little less to fill in.
            let told = context.told_columns().unwrap_or_default();
            for target in context.target_names().into_iter().filter(|of| here(of)) {
                names.extend(
                    context
                        .protected(target, &[&table.table], &told)?
                        .into_keys(),
                );
            }
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
        columns: columns.into_iter().map(ColumnName::from).collect(),
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

/// Holds that stand, in words, each with its number.
fn standing(context: &Context) -> Result<Vec<(u32, String)>> {
    Ok(match &context.reach {
        Reach::Operator(op) => op
            .ledger
            .holds(false)?
            .iter()
            .map(|hold| {
                let words = format!("{} ({}, by {})", hold.selector, hold.reason, hold.by);
                (hold.number, words)
            })
            .collect(),
        Reach::Mailbox(_) => context
            .mailbox_view()?
            .map_or(Vec::new(), |view| view.holds)
            .iter()
            .filter_map(|text| {
                let (number, words) = text.strip_prefix("hold ")?.split_once(": ")?;
                Some((number.parse().ok()?, words.to_owned()))
            })
            .collect(),
    })
}

pub async fn resume(
    context: &Context,
    holds: &[u32],
    reason: Option<&str>,
    yes: bool,
) -> Result<Exit> {
    missing::reason_can_be_had(reason)?;
    let ending: Vec<(u32, String)> = standing(context)?
        .into_iter()
        .filter(|(number, _)| holds.is_empty() || holds.contains(number))
        .collect();
    // Named holds say what is meant; on a terminal they are shown, and asked about, all the same.
    let asks = !yes && (holds.is_empty() || ui::can_ask());
    if asks && !ending.is_empty() {
        for (number, words) in &ending {
            ui::note(&ui::hanging(&format!("hold {number:<4} "), words, 10))?;
        }
        ui::note("")?;
        let what = if ending.len() == 1 {
            "This ends that hold; new requests in its scope are judged again."
        } else {
            "This ends these holds; new requests in their scope are judged again."
        };
        ui::note(&ui::paragraph(
            &format!("{what} Nothing that was revoked comes back."),
            0,
        ))?;
    }
    let reason = missing::reason(reason, WHY)?;
    if asks
        && (!ending.is_empty() || !ui::can_ask())
        && !decide::agreed(&format!("End {}?", ui::count(ending.len(), "hold")))?
    {
        ui::note("Nothing was changed.")?;
        return Ok(Exit::Done);
    }
    let handed = submit::hand_in(
        context,
        Act::Resume {
            holds: holds.to_vec(),
            reason,
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
