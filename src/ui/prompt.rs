//! Questions to a person on a terminal: pick one, pick several (both narrowed by typing), a line of text, yes or no.
//!
//! Ctrl-C, Esc and Ctrl-D end a question with [`Stopped`]; the terminal is then as it was before. Where the terminal
//! knows no cursor movements (`TERM=dumb`, or none named), the same questions are asked in plain lines. Items, hints and
//! reasons are escaped here.

use std::io::{self, BufRead};
use std::rc::Rc;

use inquire::list_option::ListOption;
use inquire::ui::{Color, RenderConfig, StyleSheet, Styled};
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, MultiSelect, Password, PasswordDisplayMode, Select, Text};
use secrecy::SecretString;
use unicode_width::UnicodeWidthStr;

use super::{broken, cut, escape, note, width};

/// The person ended a question instead of answering it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped at a question")]
pub enum Stopped {
    /// Ctrl-C.
    Interrupted,
    /// Esc or Ctrl-D: not this one.
    Left,
}

/// Whether an answer will do, or why not, in words for the person.
pub type Check<T> = Rc<dyn Fn(&T) -> Result<(), String>>;

/// At most so many rows of a list are shown at once.
const MOST_ROWS: usize = 12;
/// Rows that question, help, error and the answers before need.
const OTHER_ROWS: usize = 6;
/// Rows of a list in plain lines.
const PLAIN_ROWS: usize = 20;

/// Whether the terminal can move its cursor.
pub fn is_dumb() -> bool {
    std::env::var("TERM").map_or(true, |term| term.is_empty() || term == "dumb")
}

/// Picks one of several; its place.
///
/// # Errors
/// [`Stopped`] where the person ended it.
pub fn pick(question: &str, items: &[String]) -> anyhow::Result<usize> {
    if is_dumb() {
        let picked = plain_pick(question, items, false, &|_| Ok(()))?;
        return picked.first().copied().ok_or_else(|| Stopped::Left.into());
    }
    let help = fitting("↑↓ move, type to narrow, Enter picks, Esc stops");
    let answer = Select::new(question, labels(items, 2))
        .with_scorer(&|typed, _, label, place| score(typed, label, place))
        .with_formatter(&|chosen| name_of(chosen.value).to_owned())
        .with_page_size(rows())
        .with_render_config(colors())
        .with_help_message(&help)
        .raw_prompt();
    Ok(finished(answer)?.index)
}

/// Picks at least one of several; their places, in the order of the list. `check` may refuse a choice with a reason,
/// which is shown before it is asked again.
///
/// # Errors
/// [`Stopped`] where the person ended it.
pub fn pick_several(
    question: &str,
    items: &[String],
    check: &Check<[usize]>,
) -> anyhow::Result<Vec<usize>> {
    if is_dumb() {
        return plain_pick(question, items, true, &**check);
    }
    let check = check.clone();
    let help = fitting("Space marks, → all shown, ← none, type to narrow, Enter goes on");
    let validator = move |chosen: &[ListOption<&String>]| {
        let places: Vec<usize> = chosen.iter().map(|option| option.index).collect();
        Ok(validation(if places.is_empty() {
            Err("mark at least one with the space bar".to_owned())
        } else {
            check(&places)
        }))
    };
    let formatter = |chosen: &[ListOption<&String>]| {
        let names: Vec<&str> = chosen.iter().map(|option| name_of(option.value)).collect();
        names.join(", ")
    };
    let answer = MultiSelect::new(question, labels(items, 6))
        .with_scorer(&|typed, _, label, place| score(typed, label, place))
        .with_keep_filter(false)
        .with_page_size(rows())
        .with_render_config(colors())
        .with_formatter(&formatter)
        .with_validator(validator)
        .with_help_message(&help)
        .raw_prompt();
    Ok(finished(answer)?
        .into_iter()
        .map(|option| option.index)
        .collect())
}

/// A line of text that `check` accepts; otherwise its reason is shown and what was typed stays to be mended.
///
/// # Errors
/// [`Stopped`] where the person ended it.
pub fn text(question: &str, hint: &str, check: &Check<str>) -> anyhow::Result<String> {
    let hint = escape(hint);
    if is_dumb() {
        return plain_text(question, &hint, &**check);
    }
    let check = check.clone();
    let hint = fitting(&hint);
    let mut prompt = Text::new(question)
        .with_render_config(colors())
        .with_validator(move |typed: &str| Ok(validation(check(typed.trim()))));
    if !hint.is_empty() {
        prompt = prompt.with_help_message(&hint);
    }
    Ok(finished(prompt.prompt())?.trim().to_owned())
}

/// A password, which is not shown. An empty line asks again.
///
/// # Errors
/// [`Stopped`] where the person ended it.
pub fn secret(question: &str) -> anyhow::Result<SecretString> {
    let answer = Password::new(&escape(question))
        .without_confirmation()
        .with_display_mode(PasswordDisplayMode::Hidden)
        .with_render_config(colors())
        .with_validator(|typed: &str| {
            Ok(validation(match typed.is_empty() {
                true => Err("nothing was typed".to_owned()),
                false => Ok(()),
            }))
        })
        .prompt();
    Ok(finished(answer)?.into())
}

/// Asks yes or no; Enter alone means `default`.
///
/// # Errors
/// [`Stopped`] where the person ended it.
pub fn confirm(question: &str, default: bool) -> anyhow::Result<bool> {
    if is_dumb() {
        let hint = if default { "Y/n" } else { "y/N" };
        let answer = plain_text(question, hint, &|typed| {
            matches!(typed.to_lowercase().as_str(), "" | "y" | "yes" | "n" | "no")
                .then_some(())
                .ok_or_else(|| "answer y or n".to_owned())
        })?;
        return Ok(match answer.to_lowercase().as_str() {
            "" => default,
            answer => answer.starts_with('y'),
        });
    }
    finished(
        Confirm::new(question)
            .with_default(default)
            .with_render_config(colors())
            .prompt(),
    )
}

/// The answer, with the terminal as it was.
fn finished<T>(answer: Result<T, InquireError>) -> anyhow::Result<T> {
    // Interrupted prompts leave the cursor where it was, and some hide it while they last.
    if let Err(InquireError::OperationInterrupted) = answer {
        note("")?;
    }
    let _ = io::Write::write_all(&mut io::stderr().lock(), b"\x1b[?25h");
    match answer {
        Ok(answer) => Ok(answer),
        Err(InquireError::OperationCanceled) => Err(Stopped::Left.into()),
        Err(InquireError::OperationInterrupted) => Err(Stopped::Interrupted.into()),
        Err(other) => Err(anyhow::anyhow!("cannot ask on this terminal: {other}")),
    }
}

fn validation(checked: Result<(), String>) -> Validation {
    match checked {
        Ok(()) => Validation::Valid,
        // Broken between words; inquire itself breaks anywhere.
        Err(why) => {
            let room = usize::from(width()).saturating_sub(4);
            Validation::Invalid(broken(&escape(&why), room).join("\n  ").into())
        }
    }
}

/// Cyan reads on dark and on light ground; with `NO_COLOR` there is none.
fn colors() -> RenderConfig<'static> {
    if std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty()) {
        return RenderConfig::empty()
            .with_answered_prompt_prefix(Styled::new(">"))
            .with_canceled_prompt_indicator(Styled::new("-"));
    }
    let cyan = StyleSheet::new().with_fg(Color::DarkCyan);
    RenderConfig::default_colored()
        .with_prompt_prefix(Styled::new("?").with_fg(Color::DarkCyan))
        .with_answered_prompt_prefix(Styled::new(">").with_fg(Color::DarkCyan))
        .with_highlighted_option_prefix(Styled::new(">").with_fg(Color::DarkCyan))
        .with_selected_checkbox(Styled::new("[x]").with_fg(Color::DarkCyan))
        .with_selected_option(Some(cyan))
        .with_answer(cyan)
        .with_help_message(StyleSheet::empty())
        .with_canceled_prompt_indicator(Styled::new("-"))
}

fn rows() -> usize {
    let seen = rustix::termios::tcgetwinsize(io::stderr()).map_or(24, |size| size.ws_row);
    usize::from(seen)
        .saturating_sub(OTHER_ROWS)
        .clamp(3, MOST_ROWS)
}

fn labels(items: &[String], before: usize) -> Vec<String> {
    let room = usize::from(width()).saturating_sub(before + 1);
    items.iter().map(|item| cut(&escape(item), room)).collect()
}

fn fitting(text: &str) -> String {
    // `[` and `]` stand around it.
    cut(text, usize::from(width()).saturating_sub(3))
}

/// What stands before the first gap of a label: it tells what was picked.
fn name_of(label: &str) -> &str {
    label.split("  ").next().unwrap_or_default()
}

/// Every typed word must stand in the label; the order of the list stays.
fn score(typed: &str, label: &str, place: usize) -> Option<i64> {
    matches(typed, label).then_some(-(place as i64))
}

fn matches(typed: &str, label: &str) -> bool {
    let label = label.to_lowercase();
    typed
        .to_lowercase()
        .split_whitespace()
        .all(|word| label.contains(word))
}

/// What was typed for a list in plain lines.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Places(Vec<usize>),
    Words,
    Wrong(String),
}

/// `2`, `1,3` or `1 3`, as numbers of what is shown; anything else narrows the list.
fn read_numbers(typed: &str, shown: usize, several: bool) -> Typed {
    let words: Vec<&str> = typed
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .collect();
    let Ok(numbers) = words
        .iter()
        .map(|word| word.parse::<usize>())
        .collect::<Result<Vec<_>, _>>()
    else {
        return Typed::Words;
    };
    if numbers.is_empty() || (numbers.len() > 1 && !several) {
        return Typed::Wrong("type one number, or a part of the name".into());
    }
    match numbers
        .iter()
        .find(|number| **number == 0 || **number > shown)
    {
        Some(number) => Typed::Wrong(format!("there is no {number} in this list")),
        None => {
            let mut places: Vec<usize> = numbers.iter().map(|number| number - 1).collect();
            places.sort_unstable();
            places.dedup();
            Typed::Places(places)
        }
    }
}

fn plain_pick(
    question: &str,
    items: &[String],
    several: bool,
    check: &dyn Fn(&[usize]) -> Result<(), String>,
) -> anyhow::Result<Vec<usize>> {
    let mut narrowed = String::new();
    loop {
        let fitting: Vec<usize> = (0..items.len())
            .filter(|place| matches(&narrowed, &items[*place]))
            .collect();
        for (number, place) in fitting.iter().take(PLAIN_ROWS).enumerate() {
            let room = usize::from(width()).saturating_sub(5);
            note(&format!(
                "{:>3}  {}",
                number + 1,
                cut(&escape(&items[*place]), room)
            ))?;
        }
        if fitting.len() > PLAIN_ROWS {
            note(&format!("     … and {} more", fitting.len() - PLAIN_ROWS))?;
        }
        let hint = if several {
            "numbers, or a part of a name to narrow"
        } else {
            "a number, or a part of a name to narrow"
        };
        let typed = line(&format!("{question} ({hint}) "))?;
        match read_numbers(&typed, fitting.len().min(PLAIN_ROWS), several) {
            Typed::Places(places) => {
                let places: Vec<usize> = places.iter().map(|place| fitting[*place]).collect();
                match check(&places) {
                    Ok(()) => return Ok(places),
                    Err(why) => note(&format!("  {}", escape(&why)))?,
                }
            }
            Typed::Words if items.iter().any(|item| matches(&typed, item)) => narrowed = typed,
            Typed::Words => note(&format!("  nothing here has {:?} in it", escape(&typed)))?,
            Typed::Wrong(why) => {
                narrowed.clear();
                note(&format!("  {why}"))?;
            }
        }
    }
}

fn plain_text(
    question: &str,
    hint: &str,
    check: &dyn Fn(&str) -> Result<(), String>,
) -> anyhow::Result<String> {
    loop {
        let shown = if hint.is_empty() {
            format!("{question} ")
        } else {
            format!("{question} ({hint}) ")
        };
        let typed = line(&shown)?;
        match check(&typed) {
            Ok(()) => return Ok(typed),
            Err(why) => note(&format!("  {}", escape(&why)))?,
        }
    }
}

/// Asks in plain lines, broken where the question is long; the end of the input is [`Stopped`].
fn line(question: &str) -> anyhow::Result<String> {
    let pieces = broken(question, usize::from(width()).saturating_sub(1));
    let mut stderr = anstream::stderr().lock();
    io::Write::write_all(&mut stderr, pieces.join("\n").as_bytes())?;
    if pieces.last().is_some_and(|last| last.width() > 60) {
        io::Write::write_all(&mut stderr, b"\n")?;
    }
    io::Write::flush(&mut stderr)?;
    let mut typed = Vec::new();
    if io::stdin().lock().read_until(b'\n', &mut typed)? == 0 {
        note("")?;
        return Err(Stopped::Left.into());
    }
    Ok(String::from_utf8_lossy(&typed).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_typed_word_must_be_there_in_any_order_and_case() {
        assert!(matches("", "public.customers  pii"));
        assert!(matches("PII cust", "public.customers  pii"));
        assert!(!matches("pii orders", "public.customers  pii"));
        assert!(score("p", "p", 1) > score("p", "p", 2), "the order stays");
    }

    #[test]
    fn numbers_pick_and_words_narrow() {
        assert_eq!(read_numbers("2", 3, false), Typed::Places(vec![1]));
        assert_eq!(read_numbers("3, 1 3", 3, true), Typed::Places(vec![0, 2]));
        assert_eq!(read_numbers("email", 3, true), Typed::Words);
        for wrong in ["0", "4", "", "1,2"] {
            assert!(
                matches!(read_numbers(wrong, 3, false), Typed::Wrong(_)),
                "{wrong}"
            );
        }
    }
}
