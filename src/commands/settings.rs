//! `jit settings`: what is in force, and where it comes from.

use anyhow::Result;

use crate::failure::Exit;
use crate::ui::{self, Format};

use super::context::Context;

pub fn run(context: &Context, origin: bool) -> Result<Exit> {
    let values = context.settings.values();
    if context.format == Format::Json {
        ui::json(&values)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = values
        .iter()
        .map(|value| {
            let mut row = vec![value.key.clone(), value.value.clone()];
            if origin {
                row.push(value.origin.clone());
            }
            row
        })
        .collect();
    let header: &[&str] = if origin {
        &["SETTING", "VALUE", "FROM"]
    } else {
        &["SETTING", "VALUE"]
    };
    ui::say(&ui::table(header, &rows))?;
    Ok(Exit::Done)
}
