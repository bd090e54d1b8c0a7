//! `jit columns`: what I may request.

use anyhow::Result;

use crate::access::{TableColumns, syntax};
use crate::cli;
use crate::failure::Exit;
use crate::ui::{self, Format};
use crate::workflow::view::{ColumnView, OfferView};

use super::context::Context;

pub async fn run(context: &Context, arguments: &cli::Columns) -> Result<Exit> {
    let mut views = context.columns_of(&context.me.name).await?;
    if let Some(target) = &arguments.target {
        let known = context.target_names();
        super::words::target(Some(target.as_str().into()), &known)?;
        views.retain(|view| view.target.as_str() == target);
    }
    if let Some(text) = &arguments.table {
        let table = syntax::parse_typed_table(text)
            .map_err(|error| crate::failure::Failure::new(Exit::Usage, error.to_string()))?;
        views.retain(|view| {
            view.table.table == table.table
                && table
                    .schema
                    .as_ref()
                    .is_none_or(|s| *s == view.table.schema)
        });
    }
    if context.format == Format::Json {
        ui::json(&views)?;
        return Ok(Exit::Done);
    }
    if views.is_empty() {
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
    for group in groups(&views) {
        let table = TableColumns {
            table: group[0].table.clone(),
            columns: group.iter().map(|view| view.column.clone()).collect(),
        };
        let label = format!("{}  ", ui::escape(group[0].target.as_str()));
        let indent = label.chars().count();
        ui::say(&ui::hanging(&label, &table.to_string(), indent))?;
        for offer in &group[0].offers {
            let label = format!("    up to {:<4} ", offer.max);
            ui::say(&ui::hanging(&label, &words_of(offer), 15))?;
        }
    }
    ui::note("")?;
    ui::note(&ui::paragraph(
        "Next: jit request TABLE:COLUMN; what is left out is asked for",
        0,
    ))?;
    Ok(Exit::Done)
}

/// Neighbours of one table that may be had in the same ways stand together.
fn groups(views: &[ColumnView]) -> Vec<&[ColumnView]> {
    views
        .chunk_by(|a, b| a.target == b.target && a.table == b.table && a.offers == b.offers)
        .collect()
}

/// `for incident or migration: approval by 1 of group:dba`
fn words_of(offer: &OfferView) -> String {
    let mut text = String::new();
    if !offer.purposes.is_empty() {
        text.push_str(&format!("--purpose {} ", offer.purposes.join(" or ")));
    }
    if let Some(ticket) = &offer.ticket {
        text.push_str(&format!("--ticket {ticket} "));
    }
    format!("{text}({})", offer.approval)
}
