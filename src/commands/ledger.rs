//! `jit ledger …`: making it, and two decisions that only a person can take.

use anyhow::Result;
use serde::Serialize;

use crate::access::{Actor, Person};
use crate::audit::event::{Draft, EventKind};
use crate::cli::{self, Common};
use crate::failure::{Exit, Failure};
use crate::identity;
use crate::settings::LedgerPlace;
use crate::stores::sqlite::{self, SqliteLedger};
use crate::stores::{Change, Effect, Fact, Ledger, StoreError};
use crate::ui::{self, Format};
use crate::workflow::{clock, publish};

use super::context::{canonical, load_settings};
use super::decide;

pub fn run(common: &Common, command: &cli::Ledger) -> Result<Exit> {
    let me = identity::who_am_i()?.person;
    match command {
        cli::Ledger::Init { shared } => {
            let made = make(common, shared.as_deref(), &me)?;
            say(common, &made.text(), &serde_json::json!(made))?;
            made.notes()?;
            Ok(Exit::Done)
        }
        cli::Ledger::Adopt { yes } => adopt(common, *yes, &me),
        cli::Ledger::Clock { accept } => set_clock(common, *accept, &me),
    }
}

/// What was made, and for whom.
#[derive(Serialize)]
pub struct Made {
    /// The ledger, the inbox and the audit file; none where there was a ledger already.
    pub made: Vec<String>,
    pub ledger: String,
    /// The group of the operators; `None`: for its owner alone.
    pub operators: Option<String>,
}

impl Made {
    pub fn text(&self) -> String {
        let lines: Vec<String> = self
            .made
            .iter()
            .map(|path| format!("made {path}"))
            .collect();
        lines.join("\n")
    }

    /// What it means, for people.
    pub fn notes(&self) -> std::io::Result<()> {
        match &self.operators {
            _ if self.made.is_empty() => ui::note(&format!(
                "there is a ledger at {} already; nothing was changed",
                self.ledger
            )),
            Some(group) => ui::note(&format!(
                "Operators are the members of {group}; everybody may submit."
            )),
            None => ui::note(
                "You alone own it: this separates no duties. For a host: jit ledger init --shared GROUP",
            ),
        }
    }
}

/// Makes the ledger, inbox and audit file that the settings name. Already there: changes nothing.
pub fn make(common: &Common, shared: Option<&str>, me: &Person) -> Result<Made> {
    let settings = load_settings(common)?;
    let LedgerPlace::Sqlite(path) = &settings.ledger;
    let mode = match shared {
        None => sqlite::Sharing::Alone,
        Some(group) => sqlite::Sharing::Group {
            gid: identity::group_id(group).ok_or_else(|| {
                Failure::new(Exit::NoSuch, format!("there is no group {group}"))
                    .hint(format!("make it, as root: groupadd {group}"))
            })?,
        },
    };
    let layout = sqlite::Places {
        ledger: path.clone(),
        inbox: settings.inbox.clone(),
        audit: settings.audit.clone(),
    };
    let now = clock::now();
    let ledger = match sqlite::create(&layout, mode, &now) {
        Ok(ledger) => ledger,
        Err(StoreError::Exists(path)) => {
            return Ok(Made {
                made: Vec::new(),
                ledger: path,
                operators: shared.map(str::to_owned),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let mut line = Draft::new(EventKind::LedgerMade, &Actor::Person(me.clone()));
    line.observed = Some(serde_json::json!({
        "ledger": ledger.id(), "path": path.display().to_string(), "operators": shared
    }));
    ledger.commit(
        &now,
        Change {
            effects: vec![Effect::SetFact {
                fact: Fact::SettingsPath,
                value: canonical(&settings.path),
            }],
            events: vec![line],
        },
    )?;
    // Its first line; where the file cannot take it now, the first sweep says so, and doctor.
    if let Err(error) = publish::write_owed(&ledger, &settings.audit) {
        ui::note(&format!("not in the audit file yet: {error}"))?;
    }
    Ok(Made {
        made: [path, &settings.inbox, &settings.audit]
            .map(|path| path.display().to_string())
            .into(),
        ledger: path.display().to_string(),
        operators: shared.map(str::to_owned),
    })
}

/// Makes the settings in use the ones that the ledger belongs to.
fn adopt(common: &Common, yes: bool, me: &Person) -> Result<Exit> {
    let settings = load_settings(common)?;
    let LedgerPlace::Sqlite(path) = &settings.ledger;
    let ledger = SqliteLedger::open(path)?;
    let mine = canonical(&settings.path);
    let theirs = ledger.fact(Fact::SettingsPath)?;
    if theirs.as_deref() == Some(mine.as_str()) {
        ui::note(&format!("it belongs to {mine} already"))?;
        return Ok(Exit::Done);
    }
    let former = theirs.clone().unwrap_or_else(|| "none".to_owned());
    if !yes
        && !decide::agreed(&format!(
            "The ledger belongs to {former}. Let it belong to {mine}?"
        ))?
    {
        return Ok(Exit::Done);
    }
    let mut line = Draft::new(EventKind::LedgerAdopted, &Actor::Person(me.clone()));
    line.observed = Some(serde_json::json!({ "old": theirs, "new": mine }));
    ledger.commit(
        &clock::now(),
        Change {
            effects: vec![Effect::SetFact {
                fact: Fact::SettingsPath,
                value: mine.clone(),
            }],
            events: vec![line],
        },
    )?;
    say(
        common,
        &format!("the ledger belongs to {mine} now"),
        &serde_json::json!({ "settings": mine, "before": theirs }),
    )?;
    Ok(Exit::Done)
}

/// Shows the ledger's clock, or accepts that it was set back.
fn set_clock(common: &Common, accept: bool, me: &Person) -> Result<Exit> {
    let settings = load_settings(common)?;
    let LedgerPlace::Sqlite(path) = &settings.ledger;
    let ledger = SqliteLedger::open(path)?;
    let now = clock::now();
    let seen = ledger.seen()?;
    let behind = clock::behind(&now, &seen);
    if !accept {
        say(
            common,
            &format!("now         {}\nlatest seen {}", now.at, seen.at),
            &serde_json::json!({
                "now": now.at, "seen": seen.at, "behind_s": crate::access::time::seconds(behind)
            }),
        )?;
        if behind > clock::TOLERANCE {
            ui::note(&format!(
                "The clock is {behind} behind; nothing is granted. If it is right now: jit ledger clock --accept"
            ))?;
            return Ok(Exit::Failed);
        }
        return Ok(Exit::Done);
    }
    let mut line = Draft::new(EventKind::ClockAccepted, &Actor::Person(me.clone()));
    line.observed = Some(serde_json::json!({ "seen": seen.at, "now": now.at }));
    ledger.commit(
        &now,
        Change {
            effects: vec![Effect::ResetSeen(now.clone())],
            events: vec![line],
        },
    )?;
    say(
        common,
        &format!("the ledger takes {} for now", now.at),
        &serde_json::json!({ "now": now.at, "seen": now.at, "behind_s": 0.0 }),
    )?;
    Ok(Exit::Done)
}

fn say(common: &Common, text: &str, value: &serde_json::Value) -> Result<()> {
    match common.output {
        Format::Json => ui::json(value)?,
        Format::Table if text.is_empty() => {}
        Format::Table => ui::say(text)?,
    }
    Ok(())
}
