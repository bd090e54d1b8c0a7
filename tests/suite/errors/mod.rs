//! Every error that a person can meet, in one page: docs/errors.md. Each is brought about by the program itself, on
//! real servers and with real users, and held there as it is said: command, words, exit code. Read it from top to
//! bottom after a change. To write it anew:
//!
//! ```sh
//! make errors        # JIT_WRITE_PAGES=1 cargo test … -- errors::
//! ```
//!
//! A new error fails `every_error_of_the_source_is_in_the_book` until it has an entry in one of the chapters here.

mod book;
mod files;
mod host;
mod people;
mod rare;

use std::path::Path;

use regex_lite::Regex;

use book::Book;

const PAGE: &str = "docs/errors.md";

/// Written on three servers, so that it carries their three names.
mod the_page_of_errors {
    #[test]
    fn on_postgres_on_mysql_on_mariadb() {
        super::is_as_committed();
    }
}

fn book() -> Book {
    let mut book = Book::new(
        "Errors",
        "What each error looks like, and what to do about it. This page is written by the tests, from the program \
         itself.",
    );
    let postgres = crate::support::postgres::shared();
    people::all(&mut book, postgres);
    files::settings(&mut book);
    files::policies(&mut book);
    host::ledger(&mut book, postgres);
    host::audit(&mut book, postgres);
    host::targets(&mut book, postgres);
    host::mysql(&mut book, crate::support::mysql::shared());
    host::mariadb(&mut book, crate::support::mariadb::shared());
    rare::all(&mut book, &texts_of_the_source());
    book
}

fn is_as_committed() {
    let book = book();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("JIT_WRITE_PAGES").is_some() {
        std::fs::write(&path, book.page()).expect("own file");
    }
    let missing = missing_from(&book);
    assert!(
        missing.is_empty(),
        "no entry of {PAGE} shows these errors; give each one in tests/suite/errors/:\n{}",
        missing.join("\n")
    );
    let stuck = without_a_next_step(&book);
    assert!(stuck.is_empty(), "what is to be done about {stuck:?}?");
    assert!(book.wrong.is_empty(), "{}", book.wrong.join("\n"));
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = committed.lines().zip(book.page().lines()).enumerate();
    if let Some((at, (was, is))) = lines.find(|(_, (was, is))| was != is) {
        panic!(
            "{PAGE}:{}: it says {was:?}, the program {is:?}; write it anew by: make errors",
            at + 1
        );
    }
    assert_eq!(
        committed.len(),
        book.page().len(),
        "{PAGE} and the program differ in length; write it anew by: make errors"
    );
}

/// Texts of errors in the source, with the place.
fn texts_of_the_source() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let shown = path
                    .strip_prefix(env!("CARGO_MANIFEST_DIR"))
                    .expect("inside");
                let texts = texts_of(&text).into_iter();
                found.extend(texts.map(|text| (shown.display().to_string(), text)));
            }
        }
    }
    found.sort();
    found
}

/// The texts of `#[error("…")]`, and the first text in each `Failure::new(…)`; without what tests bring.
fn texts_of(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for opening in ["#[error(", "Failure::new("] {
        for (at, _) in code.match_indices(opening) {
            let call = &code[at + opening.len()..];
            found.extend(first_text(within(call)));
        }
    }
    found
}

/// What stands before the parenthesis that closes.
fn within(code: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, c) in code.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[..at];
        }
    }
    code
}

/// The first string literal, as the program holds it.
fn first_text(code: &str) -> Option<String> {
    let literal = Regex::new(r##"(?s)r#"(.*?)"#|"((?:[^"\\]|\\.)*)""##).expect("a pattern");
    let found = literal.captures(code)?;
    if let Some(raw) = found.get(1) {
        return Some(raw.as_str().to_owned());
    }
    let joined = Regex::new(r"\\\n\s*").expect("a pattern");
    let text = joined.replace_all(&found[2], "");
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// What a text looks like with its gaps filled; `None` where it has hardly a word of its own.
fn pattern(text: &str) -> Option<Regex> {
    let gap = Regex::new(r"\{[^{}]*\}").expect("a pattern");
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let words: Vec<String> = gap
        .split(&text)
        .map(|part| part.replace('\u{1}', "{").replace('\u{2}', "}"))
        .collect();
    if words.concat().chars().filter(|c| c.is_alphabetic()).count() < 5 {
        return None;
    }
    let parts: Vec<String> = words.iter().map(|part| regex_lite::escape(part)).collect();
    Some(Regex::new(&format!("(?s){}", parts.join(".*?"))).expect("a pattern"))
}

/// Errors whose texts are somebody else's words, or too few to be looked for: the entry that shows each.
const SHOWN_IN: &[(&str, &str)] = &[
    ("{what} on {address}: {why}", "The names lead elsewhere"),
    ("{path} {why}", "Settings that anybody can change"),
];

fn missing_from(book: &Book) -> Vec<String> {
    let spaces = Regex::new(r"\s+").expect("a pattern");
    let plain = |text: &str| spaces.replace_all(text, " ").into_owned();
    let said: Vec<String> = book
        .entries
        .iter()
        .map(|entry| plain(&entry.text))
        .collect();
    let mut missing = Vec::new();
    for (place, text) in texts_of_the_source() {
        let elsewhere = SHOWN_IN.iter().find(|(known, _)| *known == text);
        let shown = match (elsewhere, pattern(&plain(&text))) {
            (Some((_, heading)), _) => book.entries.iter().any(|entry| entry.heading == *heading),
            (None, Some(pattern)) => said.iter().any(|said| pattern.is_match(said)),
            // Another error's words, and nothing else: that error is looked for itself.
            (None, None) => true,
        };
        if !shown {
            missing.push(format!("{place}: {text:?}"));
        }
    }
    missing
}

/// Messages that leave somebody standing there.
fn without_a_next_step(book: &Book) -> Vec<&str> {
    let step = Regex::new(
        r"(?m)^ {2,}\S|; |^refused: |: try | try |--help|, then |jit (show|sweep|doctor)",
    )
    .expect("a pattern");
    book.entries
        .iter()
        .filter(|entry| entry.exit.is_some_and(|code| code != 0) && !step.is_match(&entry.text))
        .map(|entry| entry.heading.as_str())
        .collect()
}
