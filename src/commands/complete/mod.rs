//! Completion at TAB: what the scripts of `jit completions` ask for, and what fits at that place of the line.
//!
//! It is quick, and it is silent whatever goes wrong: it makes nothing, writes nothing, and asks no database. What
//! it offers is what a person may see anyway: their mailbox, the public rules, and for operators the ledger.

mod columns;
mod line;
mod live;
mod shells;
mod wanted;

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};

use crate::cli::Cli;
use crate::failure::Exit;
use crate::ui;

use line::Line;
use wanted::Wanted;

#[cfg(test)]
pub use live::event_words;
pub use shells::script;

/// A value behind which a comma may follow.
const LIST: &str = "list";

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offer {
    /// The whole word, as the program would read it.
    value: String,
    help: String,
    end: End,
}

/// What comes behind a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The next word.
    Word,
    /// More of the same word.
    Open,
    /// The next word, or a comma and more.
    List,
}

/// Prints what fits. An error is no candidate, and nothing else.
pub fn run(shell: Shell, words: &[OsString]) -> Result<Exit> {
    let line = shells::read(shell, words);
    let offers = offers(&line);
    let printed = shells::print(shell, &line, &offers);
    if !printed.is_empty() {
        let _ = ui::say(&printed);
    }
    Ok(Exit::Done)
}

fn offers(line: &Line) -> Vec<Offer> {
    let words: Vec<OsString> = line.words.iter().map(OsString::from).collect();
    let Some(last) = words.len().checked_sub(1) else {
        return Vec::new();
    };
    let mut command = completing(Cli::command(), "", &Arc::new(line.clone()));
    let here = std::env::current_dir().ok();
    let candidates = complete(&mut command, words, last, here.as_deref()).unwrap_or_default();
    let mut offers: Vec<Offer> = candidates.iter().filter_map(offer).collect();
    // Flags are offered where there is nothing else, or where one was begun.
    let is_flag = |offer: &Offer| offer.value.starts_with('-');
    if line.current().is_empty() && offers.iter().any(|offer| !is_flag(offer)) {
        offers.retain(|offer| !is_flag(offer));
    }
    offers
}

fn offer(candidate: &CompletionCandidate) -> Option<Offer> {
    let value = candidate.get_value().to_str()?.to_owned();
    // A name with a newline in it cannot be typed.
    if value.is_empty() || value.chars().any(char::is_control) {
        return None;
    }
    let help = candidate
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let end = if value.ends_with([':', '/', '=']) {
        End::Open
    } else if candidate
        .get_tag()
        .is_some_and(|tag| tag.to_string() == LIST)
    {
        End::List
    } else {
        End::Word
    };
    Some(Offer {
        value,
        help: ui::escape(help.lines().next().unwrap_or_default()),
        end,
    })
}

/// The command tree, with what completes each value.
fn completing(mut command: clap::Command, path: &str, line: &Arc<Line>) -> clap::Command {
    let arguments: Vec<String> = command
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .collect();
    for name in arguments {
        let Some(wanted) = wanted::of(path, &name) else {
            continue;
        };
        let line = Arc::clone(line);
        command = command.mut_arg(&name, |argument| match wanted {
            Wanted::File => argument.value_hint(clap::ValueHint::FilePath),
            Wanted::Folder => argument.value_hint(clap::ValueHint::DirPath),
            Wanted::Free => argument.value_hint(clap::ValueHint::Other),
            wanted => argument.add(ArgValueCompleter::new(move |current: &OsStr| {
                let current = current.to_str().unwrap_or_default();
                live::candidates(wanted, &line, current)
            })),
        });
    }
    let inner: Vec<String> = command
        .get_subcommands()
        .map(|inner| inner.get_name().to_owned())
        .collect();
    for name in inner {
        let path = format!("{path} {name}").trim().to_owned();
        command = command.mut_subcommand(&name, |inner| completing(inner, &path, line));
    }
    command
}
