//! What the YAML crate says, in our words.

use serde_yaml::Error;
use serde_yaml::budget::BudgetBreach;

use super::{Place, Problem};

/// The known name that looks most like what was written, if any looks like it at all.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = short(written).to_lowercase();
    known
        .into_iter()
        .map(|name| {
            let lower = name.to_lowercase();
            let likeness = strsim::normalized_damerau_levenshtein(&written, &lower);
            // A beginning typed in full counts as near: `desc` for `description`.
            let begins = written.chars().count() >= 3 && lower.starts_with(&written);
            (if begins { likeness.max(0.9) } else { likeness }, name)
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| name)
}

/// The problem behind an error of the YAML crate.
pub(super) fn problem(file: &str, error: &Error) -> Problem {
    let place = error.location().map_or(Place::default(), |location| Place {
        line: location.line(),
        column: location.column(),
    });
    let (what, cure) = said(error.without_snippet());
    let problem = Problem::error(file, place, what);
    match cure {
        Some(cure) => problem.cure(cure),
        None => problem,
    }
}

fn said(error: &Error) -> (String, Option<String>) {
    match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => (
            format!("unknown key {:?}", short(field)),
            Some(suggestion(field, expected)),
        ),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => (
            format!("{:?} is not known here", short(variant)),
            Some(suggestion(variant, expected)),
        ),
        Error::SerdeMissingField { field, .. } => (format!("the key {field:?} is missing"), None),
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => (format!("the key {:?} is there twice", short(key)), None),
            None => ("a key is there twice".into(), None),
        },
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | Error::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => (
            format!(
                "{} was expected here, not {}",
                plain(expected),
                kind(unexpected)
            ),
            None,
        ),
        Error::SerdeInvalidLength { expected, .. } => {
            (format!("{} was expected here", plain(expected)), None)
        }
        Error::Unexpected { expected, .. } => {
            (format!("{} was expected here", plain(expected)), None)
        }
        Error::InvalidScalar { ty, .. } => (format!("{} was expected here", plain(ty)), None),
        Error::NullIntoString { .. } => (
            "a text was expected here, not nothing".into(),
            Some("write it in quotes if the word itself is meant".into()),
        ),
        Error::InvalidBooleanStrict { .. } => ("true or false was expected here".into(), None),
        Error::Eof { .. } => ("the text ends too early".into(), None),
        Error::MultipleDocuments { .. } => second_document(),
        Error::UnsupportedTag { tag, .. } => (
            format!("the tag {} is not known here", short(tag)),
            Some("take it out".into()),
        ),
        Error::UnknownAnchor { .. } => ("this alias has no anchor before it".into(), None),
        Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => second_document(),
        Error::Budget { breach, .. } => (breached(breach), None),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => (
            "the aliases grow to more than is read".into(),
            Some("write out what they stand for".into()),
        ),
        Error::AliasError { error, .. } => {
            let (what, cure) = said(error.without_snippet());
            (format!("in what this alias stands for: {what}"), cure)
        }
        Error::Message { msg, .. } => (one_line(msg), None),
        Error::ExternalMessage { msg, .. } => {
            let cure = msg
                .contains("tab")
                .then(|| "indent by spaces: YAML allows no tabs there".to_owned());
            (format!("this is not YAML: {}", one_line(msg)), cure)
        }
        other => (one_line(&other.to_string()), None),
    }
}

fn second_document() -> (String, Option<String>) {
    (
        "a second document begins here".into(),
        Some("put it into a file of its own".into()),
    )
}

fn suggestion(written: &str, known: &[&str]) -> String {
    match nearest(written, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "no key is known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

fn breached(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => {
            format!(
                "lists and mappings nest deeper than {} here",
                super::DEEPEST
            )
        }
        BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => format!(
            "the file holds more than {} values; split it into several files",
            super::MOST_NODES
        ),
        BudgetBreach::Aliases { .. } => {
            format!("the file holds more than {} aliases", super::MOST_ALIASES)
        }
        BudgetBreach::MergeKeys { .. } => format!(
            "the file holds more than {} merges (<<)",
            super::MOST_MERGES
        ),
        other => format!("the file holds more than is read ({other:?})"),
    }
}

/// What serde and our types call an expectation, in plain words.
fn plain(expected: &str) -> String {
    match expected {
        "a sequence" | "sequence start" => "a list".into(),
        "a map" | "mapping start" => "a mapping (key: value)".into(),
        "a string" | "string scalar" | "scalar" => "a text".into(),
        "u32" | "u64" | "usize" | "i64" | "u16" => "a whole number".into(),
        other => match other.strip_prefix("struct ") {
            Some(_) => "a mapping (key: value)".into(),
            None => one_line(other),
        },
    }
}

/// The kind of an unexpected value, without the value: it may be a secret.
fn kind(unexpected: &str) -> &'static str {
    let begins = |word| unexpected.starts_with(word);
    if begins("string") || begins("character") {
        "a text"
    } else if begins("integer") || begins("floating") {
        "a number"
    } else if begins("boolean") {
        "true or false"
    } else if begins("sequence") {
        "a list"
    } else if begins("map") {
        "a mapping"
    } else if begins("unit") || begins("Option") {
        "nothing"
    } else {
        "something else"
    }
}

/// What is repeated of a key: enough to find it.
fn short(text: &str) -> String {
    if text.chars().count() <= 60 {
        text.to_owned()
    } else {
        text.chars().take(60).chain(['…']).collect()
    }
}

fn one_line(text: &str) -> String {
    let line: String = text
        .lines()
        .next()
        .unwrap_or("")
        .chars()
        .filter(|c| !c.is_control())
        .take(240)
        .collect();
    line.trim_end_matches('.').to_owned()
}
