//! `jit columns`: what I may request.

use anyhow::Result;

use crate::access::syntax;
use crate::cli;
use crate::failure::Exit;
use crate::ui::{self, Format};

use super::context::Context;

pub async fn run(context: &Context, arguments: &cli::Columns) -> Result<Exit> {
    let mut views = context.columns().await?;
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
        ui::note("no column that you may request is known here")?;
        ui::note("If the policies are new, the next sweep looks at the targets' catalogs first.")?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = views
        .iter()
        .flat_map(|view| {
            view.offers.iter().enumerate().map(move |(place, offer)| {
                let column = if place == 0 {
                    format!(
                        "{}:{}",
                        view.table,
                        syntax::quoted_if_odd(view.column.as_str())
                    )
                } else {
                    String::new()
                };
                let mut why = offer.purposes.join(" or ");
                if offer.ticket.is_some() {
                    why.push_str(if why.is_empty() {
                        "with a ticket"
                    } else {
                        ", with a ticket"
                    });
                }
                vec![
                    if place == 0 {
                        view.target.to_string()
                    } else {
                        String::new()
                    },
                    column,
                    offer.max.to_string(),
                    why,
                    offer.approval.clone(),
                ]
            })
        })
        .collect();
    ui::say(&ui::table(
        &["TARGET", "COLUMN", "UP TO", "PURPOSE", "APPROVAL"],
        &rows,
    ))?;
    ui::note("\nNext: jit request TABLE:COLUMN --for 1h --reason …")?;
    Ok(Exit::Done)
}
