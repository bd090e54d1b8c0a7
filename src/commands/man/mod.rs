//! `jit man`: pages of the commands from their definition, pages of the files from docs/.

mod markdown;
mod tidy;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;
use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::generate;
use crate::cli::Cli;
use crate::failure::{Exit, Failure};
use crate::ui;

/// Shown at the foot of each page. To be moved on with the version in Cargo.toml.
const DATE: &str = "2026-11-25";
const SOURCE: &str = concat!("jit ", env!("CARGO_PKG_VERSION"));
const MANUAL: &str = "jit manual";

/// A file of docs/, and the page that it is.
struct Book {
    name: &'static str,
    about: &'static str,
    text: &'static str,
}

const BOOKS: [Book; 3] = [
    Book {
        name: "config",
        about: "settings of jit",
        text: include_str!("../../../docs/settings.md"),
    },
    Book {
        name: "policies",
        about: "who may have which columns of a database through jit",
        text: include_str!("../../../docs/policies.md"),
    },
    Book {
        name: "audit",
        about: "the audit trail of jit",
        text: include_str!("../../../docs/audit.md"),
    },
];
const README: &str = include_str!("../../../README.md");

/// One page.
pub struct Page {
    /// `approve`, `ledger-init`; empty for the program's own.
    pub name: String,
    pub section: u8,
    pub roff: String,
    /// For a terminal without man(1).
    plain: String,
}

impl Page {
    fn title(&self) -> String {
        title(&self.name)
    }

    /// `man1/jit-approve.1`
    pub fn place(&self) -> PathBuf {
        let section = self.section;
        format!("man{section}/{}.{section}", self.title()).into()
    }
}

fn title(name: &str) -> String {
    if name.is_empty() {
        "jit".to_owned()
    } else {
        format!("jit-{name}")
    }
}

pub fn run(name: Option<&str>, folder: Option<&Path>) -> Result<Exit> {
    let pages = pages();
    if let Some(folder) = folder {
        let files: Vec<(PathBuf, String)> = pages
            .into_iter()
            .map(|page| (page.place(), page.roff))
            .collect();
        generate::write(folder, &files)?;
        ui::note(&format!(
            "{} in {}; read them with: man -M {} jit",
            ui::count(files.len(), "page"),
            folder.display(),
            folder.display()
        ))?;
        return Ok(Exit::Done);
    }
    let wanted = name.unwrap_or_default();
    let Some(page) = find(&pages, wanted) else {
        return Err(
            Failure::new(Exit::NoSuch, format!("there is no page {wanted:?}"))
                .hint(format!("one of: {}", names().join(" ")))
                .into(),
        );
    };
    if !std::io::stdout().is_terminal() {
        ui::say(page.roff.trim_end())?;
    } else if !show(&page.roff) {
        ui::say(page.plain.trim_end())?;
    }
    Ok(Exit::Done)
}

/// By `approve`, `ledger init`, `jit-approve`, `config`, `audit.5`; a command before a file of the same name.
fn find<'p>(pages: &'p [Page], wanted: &str) -> Option<&'p Page> {
    let (wanted, section): (&str, Option<u8>) = match wanted.rsplit_once(['.', '(']) {
        Some((name, number)) => (name, number.trim_end_matches(')').parse().ok()),
        None => (wanted, None),
    };
    let wanted = wanted.replace(' ', "-");
    let wanted = wanted.strip_prefix("jit-").unwrap_or(&wanted);
    let wanted = if wanted == "jit" { "" } else { wanted };
    pages
        .iter()
        .find(|page| page.name == wanted && section.is_none_or(|section| section == page.section))
}

/// What may stand behind `jit man`.
pub fn names() -> Vec<String> {
    let pages = pages();
    pages
        .iter()
        .filter(|page| !page.name.is_empty())
        .map(|page| match find(&pages, &page.name) {
            Some(first) if first.section == page.section => page.name.clone(),
            _ => format!("{}.{}", page.name, page.section),
        })
        .collect()
}

/// Lets man(1) show it; whether it could.
fn show(roff: &str) -> bool {
    let child = Command::new("man")
        .args(["-l", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(roff.as_bytes());
    }
    child.wait().is_ok_and(|status| status.success())
}

/// All pages: the program's first, then those of its commands, then those of its files.
pub fn pages() -> Vec<Page> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    of_command(&command, "", &mut pages);
    pages.extend(BOOKS.iter().map(of_book));
    pages
}

fn of_command(command: &clap::Command, name: &str, pages: &mut Vec<Page>) {
    let mut shown = command.clone();
    pages.push(Page {
        name: name.to_owned(),
        section: 1,
        roff: command_page(command, name),
        plain: shown.render_long_help().to_string(),
    });
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        let name = format!("{name}-{}", inner.get_name());
        of_command(inner, name.trim_start_matches('-'), pages);
    }
}

fn command_page(command: &clap::Command, name: &str) -> String {
    let man = Man::new(command.clone())
        .title(title(name))
        .date(DATE)
        .source(SOURCE)
        .manual(MANUAL);
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = man.render_title(&mut bytes);
    let _ = man.render_name_section(&mut bytes);
    let _ = man.render_synopsis_section(&mut bytes);
    let _ = man.render_description_section(&mut bytes);
    let _ = man.render_options_section(&mut bytes);
    if command.get_subcommands().any(|inner| !inner.is_hide_set()) {
        let _ = man.render_subcommands_section(&mut bytes);
    }
    let mut page = String::from_utf8_lossy(&bytes).into_owned();
    let mut rest = Roff::new();
    if let Some(text) = command.get_after_help() {
        examples(&mut rest, &text.to_string());
    }
    if name.is_empty() {
        rest.control("SH", ["ENVIRONMENT"]);
        for (variable, use_) in [
            (
                "JIT_CONFIG",
                "The settings file, where --config does not name one.",
            ),
            (
                "JIT_TARGET",
                "The target, where the command line does not name one.",
            ),
            ("NO_COLOR", "If set, nothing is coloured."),
        ] {
            rest.control("TP", []);
            rest.text([clap_mangen::roff::bold(variable)]);
            rest.text([roman(use_)]);
        }
        rest.control("SH", ["EXIT STATUS"]);
        markdown::write(&mut rest, markdown::section(README, "Exit codes"), &link);
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(see_also(command, name))]);
    page.push_str(&rest.render());
    tidy::tidied(&page)
}

fn see_also(command: &clap::Command, name: &str) -> String {
    let mut others: Vec<String> = Vec::new();
    if let Some((above, _)) = name.rsplit_once('-') {
        others.push(format!("{}(1)", title(above)));
    } else if !name.is_empty() {
        others.push("jit(1)".to_owned());
    }
    others.extend(
        command
            .get_subcommands()
            .filter(|inner| !name.is_empty() && !inner.is_hide_set())
            .map(|inner| format!("{}(1)", title(&format!("{name}-{}", inner.get_name())))),
    );
    others.extend(BOOKS.iter().map(|book| format!("{}(5)", title(book.name))));
    others.join(", ")
}

/// What stands behind a command's help: examples, a line each.
fn examples(roff: &mut Roff, text: &str) {
    let (heading, lines): (&str, Vec<&str>) = match text.split_once(':') {
        Some(("Example" | "Examples", rest)) => ("EXAMPLES", rest.trim().lines().collect()),
        _ => ("NOTES", text.lines().collect()),
    };
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
}

fn of_book(book: &Book) -> Page {
    let title = title(book.name);
    let mut roff = Roff::new();
    roff.control("TH", [title.as_str(), "5", DATE, SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{title} - {}", book.about))]);
    roff.control("SH", ["DESCRIPTION"]);
    markdown::write(&mut roff, book.text, &link);
    roff.control("SH", ["SEE ALSO"]);
    let others: Vec<String> = BOOKS
        .iter()
        .filter(|other| other.name != book.name)
        .map(|other| format!("{}(5)", self::title(other.name)))
        .collect();
    roff.text([roman(format!("jit(1), {}", others.join(", ")))]);
    Page {
        name: book.name.to_owned(),
        section: 5,
        roff: tidy::tidied(&roff.render()),
        plain: book.text.to_owned(),
    }
}

/// Where a link of docs/ leads for a reader of man pages.
fn link(to: &str) -> Option<String> {
    let file = to.rsplit('/').next()?.split('#').next()?;
    let name = match file {
        "settings.md" => "config",
        "policies.md" => "policies",
        "audit.md" => "audit",
        _ => return to.starts_with("http").then(|| to.to_owned()),
    };
    Some(format!("{}(5)", title(name)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn pages_are_found_by_the_names_that_people_try() {
        let pages = pages();
        for (wanted, place) in [
            ("", "man1/jit.1"),
            ("jit", "man1/jit.1"),
            ("approve", "man1/jit-approve.1"),
            ("jit-approve", "man1/jit-approve.1"),
            ("ledger init", "man1/jit-ledger-init.1"),
            ("config", "man5/jit-config.5"),
            ("audit", "man1/jit-audit.1"),
            ("audit.5", "man5/jit-audit.5"),
            ("jit-audit(5)", "man5/jit-audit.5"),
        ] {
            let found = find(&pages, wanted).map(Page::place);
            assert_eq!(found, Some(place.into()), "{wanted}");
        }
        assert!(find(&pages, "complete").is_none(), "hidden");
        assert!(names().contains(&"audit.5".to_owned()));
    }

    /// The names of all properties of a schema.
    fn keys(schema: &Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            found.extend(properties.keys().cloned());
        }
        match schema {
            Value::Object(inner) => inner.values().for_each(|value| keys(value, found)),
            Value::Array(inner) => inner.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }

    fn unnamed(schema: &Value, text: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        keys(schema, &mut found);
        assert!(found.len() > 5);
        found
            .into_iter()
            // As `key`, or inside an example such as `{by: …}`.
            .filter(|key| {
                !text.contains(&format!("`{key}`")) && !text.contains(&format!("{key}: "))
            })
            .collect()
    }

    #[test]
    fn every_key_of_the_files_stands_in_its_page() {
        let none = Vec::<String>::new();
        assert_eq!(unnamed(&crate::settings::schema(), BOOKS[0].text), none);
        assert_eq!(unnamed(&crate::policy::schema(), BOOKS[1].text), none);
        let event = schemars::schema_for!(crate::audit::event::Draft);
        let event = serde_json::to_value(event).unwrap();
        assert_eq!(unnamed(&event, BOOKS[2].text), none);
    }

    #[test]
    fn every_kind_of_event_stands_in_the_page_of_the_trail() {
        for word in super::super::complete::event_words() {
            assert!(BOOKS[2].text.contains(&format!("`{word}`")), "{word}");
        }
    }
}
