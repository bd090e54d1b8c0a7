//! `jit init`: a first settings file and policy, and the ledger.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::access::Person;
use crate::cli;
use crate::failure::{Exit, Failure};
use crate::settings;
use crate::ui::{self, Format};

use super::ledger;

const SETTINGS: &str = include_str!("templates/config.yaml");
const POLICY: &str = include_str!("templates/policy.yaml");

pub fn run(common: &cli::Common, arguments: &cli::Init, me: &Person) -> Result<Exit> {
    let folder = match &arguments.dir {
        Some(folder) => folder.clone(),
        None => settings::default_folder(me.uid == 0).ok_or_else(|| {
            Failure::new(Exit::Usage, "there is no home folder to write to")
                .hint("jit init --dir DIR")
        })?,
    };
    let policies = folder.join("policies");
    std::fs::create_dir_all(&policies).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot make {}: {error}", policies.display()),
        )
        .hint("choose a folder that you may write: jit init --dir DIR")
    })?;
    let folder = std::fs::canonicalize(&folder)
        .with_context(|| format!("cannot enter {}", folder.display()))?;
    let file = folder.join("config.yaml");
    let written = [
        (file.clone(), SETTINGS.replace("@ME@", &yaml_name(&me.name))),
        (
            folder.join("policies").join("customer-contact.yaml"),
            POLICY.to_owned(),
        ),
    ];
    let mut wrote = Vec::new();
    for (path, text) in &written {
        if new_file(path, text)? {
            wrote.push(path.display().to_string());
        } else {
            ui::note(&format!(
                "{} is there already and stays as it is",
                path.display()
            ))?;
        }
    }
    let common = cli::Common {
        config: Some(file.clone()),
        ..common.clone()
    };
    if common.output == Format::Table {
        for path in &wrote {
            ui::say(&format!("wrote {path}"))?;
        }
    }
    let made = ledger::make(&common, arguments.shared.as_deref(), me)?;
    match common.output {
        Format::Json => ui::json(&serde_json::json!({
            "settings": file.display().to_string(), "wrote": wrote, "made": made.made,
            "ledger": made.ledger, "operators": made.operators
        }))?,
        Format::Table if made.made.is_empty() => {}
        Format::Table => ui::say(&made.text())?,
    }
    made.notes()?;
    ui::note(&format!(
        "Next: name your database and yourself in {}, then: jit policy check, jit setup",
        file.display()
    ))?;
    Ok(Exit::Done)
}

/// A user name as YAML takes it for a text, whatever it looks like.
fn yaml_name(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}

/// Writes a file that is not there yet; `false` where it is.
fn new_file(path: &Path, text: &str) -> Result<bool> {
    let opened = std::fs::File::create_new(path);
    match opened {
        Ok(mut file) => {
            file.write_all(text.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => {
            Err(error).with_context(|| format!("cannot write {}", PathBuf::from(path).display()))
        }
    }
}
