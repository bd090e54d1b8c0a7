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
    let file = context.settings.path.display().to_string();
    let rows: Vec<Vec<String>> = values
        .iter()
        .map(|value| {
            let mut row = vec![value.key.clone()];
            if origin {
                // The file is named in the first row.
                let line = value
                    .origin
                    .strip_prefix(&file)
                    .and_then(|rest| rest.strip_prefix(':'));
                row.push(line.map_or(value.origin.clone(), |line| format!("line {line}")));
            }
            row.push(value.value.clone());
            row
        })
        .collect();
    let header: &[&str] = if origin {
        &["SETTING", "FROM", "VALUE"]
    } else {
        &["SETTING", "VALUE"]
    };
    ui::say(&ui::table(header, &rows))?;
    Ok(Exit::Done)
}
