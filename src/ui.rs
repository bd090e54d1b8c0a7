//! What people see: tables, times, escaping, questions. Everything goes through handles that take a closed pipe
//! for the end.

use std::io::{self, IsTerminal, Write};

use chrono::{DateTime, Local, TimeZone};
use comfy_table::{ContentArrangement, Table};

use crate::access::{At, Ttl};

/// Text for people, or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// Writes a line to standard output.
///
/// # Errors
/// Any but a closed pipe, which ends the program quietly: whoever read has seen enough.
pub fn say(text: &str) -> io::Result<()> {
    write_all(&mut anstream::stdout().lock(), text)
}

/// Writes a line to standard error: messages never mix with what a program reads.
pub fn note(text: &str) -> io::Result<()> {
    write_all(&mut anstream::stderr().lock(), text)
}

fn write_all(handle: &mut impl Write, text: &str) -> io::Result<()> {
    match handle
        .write_all(text.as_bytes())
        .and_then(|()| handle.write_all(b"\n"))
        .and_then(|()| handle.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}

/// Prints a value as JSON, alone on standard output.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(value)?)?;
    Ok(())
}

/// Text that came from somebody else, made harmless: control characters, escape codes, line breaks and characters
/// that turn the direction of writing are shown as what they are.
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{61c}' | '\u{180e}'
        );
        if c == '\n' {
            shown.push_str("\\n");
        } else if c == '\t' {
            shown.push(' ');
        } else if c.is_control() || turns {
            shown.push_str(&format!("\\u{{{:x}}}", c as u32));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A plain table that fits the terminal, or 80 columns where there is none. Cells are escaped here.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width());
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| escape(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Columns of the terminal; 80 where there is none.
pub fn width() -> u16 {
    let seen = if io::stdout().is_terminal() {
        rustix::termios::tcgetwinsize(io::stdout())
            .map(|size| size.ws_col)
            .unwrap_or(0)
    } else {
        0
    };
    if seen == 0 { 80 } else { seen.max(40) }
}

/// An instant for people: local time, with the day where it is not today, and how far it is.
pub fn when(at: At, now: At) -> String {
    when_in(at, now, &Local)
}

fn when_in<Z: TimeZone>(at: At, now: At, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let there: DateTime<Z> = at.utc().with_timezone(zone);
    let here: DateTime<Z> = now.utc().with_timezone(zone);
    let clock = if there.date_naive() == here.date_naive() {
        there.format("%H:%M").to_string()
    } else {
        there.format("%Y-%m-%d %H:%M").to_string()
    };
    if at >= now {
        format!("{clock} (in {})", coarse(at.since(now)))
    } else {
        format!("{clock} ({} ago)", coarse(now.since(at)))
    }
}

/// A span without needless precision.
pub fn coarse(span: Ttl) -> String {
    Ttl::from_secs(span.millis().div_ceil(1000).max(1)).to_string()
}

/// Whether somebody can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks yes or no, no being the default. Ctrl-C and Esc mean no, and leave the terminal as it was.
pub fn confirm(question: &str) -> anyhow::Result<bool> {
    let answer = dialoguer::Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact_opt();
    // dialoguer leaves the cursor hidden when it is interrupted.
    let _ = dialoguer::console::Term::stderr().show_cursor();
    Ok(answer?.unwrap_or(false))
}

/// A paragraph, indented and broken at the terminal's width.
pub fn paragraph(text: &str, indent: usize) -> String {
    let room = usize::from(width()).min(100).saturating_sub(indent).max(20);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in escape(text).split(' ') {
        let joined = unicode_width::UnicodeWidthStr::width(line.as_str())
            + unicode_width::UnicodeWidthStr::width(word);
        if !line.is_empty() && joined + 1 > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    let pad = " ".repeat(indent);
    lines
        .iter()
        .map(|line| format!("{pad}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_shown_not_obeyed() {
        assert_eq!(
            escape("a\u{1b}[31mb\nc\u{202e}d"),
            "a\\u{1b}[31mb\\nc\\u{202e}d"
        );
        assert_eq!(escape("naïve – ☕"), "naïve – ☕");
    }

    #[test]
    fn times_are_local_and_say_how_far() {
        let zone = chrono::FixedOffset::east_opt(3600).unwrap();
        let now = At::try_from("2026-11-23T09:00:00Z".to_owned()).unwrap();
        let later = now.plus(Ttl::from_secs(7140));
        assert_eq!(when_in(later, now, &zone), "11:59 (in 1h 59m)");
        assert_eq!(when_in(now, later, &zone), "10:00 (1h 59m ago)");
        let far = now.plus(Ttl::from_secs(3 * 86_400));
        assert_eq!(when_in(far, now, &zone), "2026-11-26 10:00 (in 3d)");
    }

    #[test]
    fn tables_fit_eighty_columns() {
        let long = "public.customers:".to_owned() + &"column,".repeat(40);
        let text = table(&["ID", "COLUMNS"], &[vec!["abcdefgh".into(), long]]);
        for line in text.lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
        }
    }
}
