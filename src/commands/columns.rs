//! `jit columns`: what I may request.

use anyhow::Result;

use crate::access::{TableColumns, syntax};
use crate::cli;
use crate::failure::Exit;
use crate::policy::Offer;
use crate::ui::{self, Format};
use crate::workflow::requestable::Views;

use super::context::Context;

pub async fn run(context: &Context, arguments: &cli::Columns) -> Result<Exit> {
    let mut columns = context.columns_of(&context.me.name).await?;
    if let Some(target) = &arguments.target {
        let known = context.target_names();
        super::words::target(Some(target.as_str().into()), &known)?;
        columns.retain(|of, _| of.as_str() == target);
    }
    if let Some(text) = &arguments.table {
        let table = syntax::parse_typed_table(text)
            .map_err(|error| crate::failure::Failure::new(Exit::Usage, error.to_string()))?;
        columns.retain(|_, of| {
            of.table == table.table && table.schema.as_ref().is_none_or(|s| *s == of.schema)
        });
    }
    if context.format == Format::Json {
        ui::json(&Views(&columns))?;
        return Ok(Exit::Done);
    }
    if columns.is_empty() {
        ui::note("no policy lets you ask for a column here")?;
        if !context.rules().targets.is_empty() {
            ui::note(&ui::paragraph(
                "If the policies are new: the next sweep looks at the targets first.",
                0,
            ))?;
            ui::note(&ui::paragraph(
                "Why not: jit policy explain YOU TARGET TABLE:COLUMN",
                0,
            ))?;
        }
        return Ok(Exit::Done);
    }
    for group in columns.groups() {
        let table = TableColumns {
            table: group[0].table.clone(),
            columns: group.iter().map(|of| of.column.clone()).collect(),
        };
        let label = format!("{}  ", ui::escape(group[0].target.as_str()));
        let indent = label.chars().count();
        ui::say(&ui::hanging(&label, &table.to_string(), indent))?;
        for offer in &group[0].by.offers {
            let label = format!("    up to {:<4} ", offer.max);
            ui::say(&ui::hanging(&label, &words_of(offer), 15))?;
        }
    }
    ui::note("")?;
    if columns.left_out > 0 {
        ui::note(&ui::paragraph(
            &format!(
                "{} more do not fit into your mailbox; those can be asked for by their full names, \
                 SCHEMA.TABLE:COLUMN.",
                columns.left_out
            ),
            0,
        ))?;
    }
    ui::note(&ui::paragraph(
        "Next: jit request TABLE:COLUMN; what is left out is asked for",
        0,
    ))?;
    Ok(Exit::Done)
}

/// `for incident or migration: approval by 1 of group:dba`
fn words_of(offer: &Offer) -> String {
    let mut text = String::new();
    if !offer.purposes.is_empty() {
        text.push_str(&format!("--purpose {} ", offer.purposes.join(" or ")));
    }
    if let Some(ticket) = &offer.ticket {
        text.push_str(&format!("--ticket {ticket} "));
    }
    format!("{text}({})", offer.approval)
}
