//! What people see: tables, times, escaping, questions. Everything goes through handles that take a closed pipe
//! for the end.

pub mod live;
pub mod prompt;

use std::io::{self, BufWriter, IsTerminal, Write};

use chrono::{DateTime, Local, TimeZone};
use unicode_width::UnicodeWidthStr;

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
    or_end(
        handle
            .write_all(text.as_bytes())
            .and_then(|()| handle.write_all(b"\n"))
            .and_then(|()| handle.flush()),
    )
}

fn or_end(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}

/// Prints a value as JSON, alone on standard output; piece by piece, however large it is.
///
/// # Errors
/// Those of [`say`].
pub fn json(value: &impl serde::Serialize) -> io::Result<()> {
    let mut handle = BufWriter::new(anstream::stdout().lock());
    or_end(serde_json::to_writer_pretty(&mut handle, value).map_err(io::Error::from))?;
    write_all(&mut handle, "")
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

/// A plain table that fits the terminal, or 80 columns where there is none. Cells are escaped here. Only the last
/// column is ever broken, behind commas and spaces where it can be: what people copy stays in one piece.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    table_in(header, rows, usize::from(width()))
}

/// Between two columns of a table.
const GAP: usize = 2;
/// Where room is short, no column but the last is wider than this; what is longer is cut, with a mark.
const WIDEST: usize = 24;
/// What the last column always gets.
const NARROWEST: usize = 20;

/// Rows without a header, each in one line that fits the terminal: what is too long is cut, with a mark.
pub fn one_line_rows(rows: &[Vec<String>]) -> Vec<String> {
    let room = usize::from(width());
    let escaped = escaped(rows);
    let widths = escaped.iter().map(Vec::len).max().unwrap_or(0);
    grid(escaped, widths, room, Long::Cut)
}

fn escaped(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    rows.iter()
        .map(|row| row.iter().map(|cell| escape(cell)).collect())
        .collect()
}

/// What becomes of a last cell that is longer than its room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Long {
    Broken,
    Cut,
}

fn table_in(header: &[&str], rows: &[Vec<String>], room: usize) -> String {
    let mut cells: Vec<Vec<String>> = vec![header.iter().map(|cell| (*cell).to_owned()).collect()];
    cells.extend(escaped(rows));
    grid(cells, header.len(), room, Long::Broken).join("\n")
}

fn grid(mut cells: Vec<Vec<String>>, columns: usize, room: usize, long: Long) -> Vec<String> {
    let last = columns.saturating_sub(1);
    let full: usize = (0..last).map(|place| widest(&cells, place) + GAP).sum();
    if full + NARROWEST > room {
        for row in &mut cells {
            for cell in row.iter_mut().take(last) {
                *cell = cut(cell, WIDEST);
            }
        }
    }
    let widths: Vec<usize> = (0..last).map(|place| widest(&cells, place)).collect();
    let before: usize = widths.iter().map(|width| width + GAP).sum();
    if before + NARROWEST > room {
        return stacked(&cells, &widths, last, room, long);
    }
    let left = room - before;
    for row in &mut cells {
        row.resize(columns, String::new());
        if let Some(text) = row.last_mut() {
            *text = match long {
                Long::Broken => broken(text, left).join("\n"),
                Long::Cut => cut(text, left),
            };
        }
    }
    laid_out(cells)
}

/// In columns; every cell as wide as it is. Cells are cut and broken before, for the crate breaks what people copy.
fn laid_out(cells: Vec<Vec<String>>) -> Vec<String> {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .add_rows(cells);
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP as u16));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn widest(cells: &[Vec<String>], place: usize) -> usize {
    let cell = |row: &Vec<String>| row.get(place).map_or(0, |cell| cell.width());
    cells.iter().map(cell).max().unwrap_or(0)
}

/// Where the last column finds no room beside the others, it stands below them.
fn stacked(
    cells: &[Vec<String>],
    widths: &[usize],
    last: usize,
    room: usize,
    long: Long,
) -> Vec<String> {
    const INDENT: usize = 4;
    let mut lines = Vec::new();
    for row in cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width() + GAP));
        }
        let text = row.get(last).map_or("", String::as_str);
        if long == Long::Cut {
            lines.push(cut(format!("{line}{text}").trim_end(), room));
            continue;
        }
        lines.push(cut(line.trim_end(), room));
        let pieces = broken(text, room.saturating_sub(INDENT).max(1));
        lines.extend((pieces.iter()).map(|piece| format!("{:INDENT$}{}", "", piece.trim_end())));
    }
    lines
}

/// Somebody else's text in one line of at most this width.
pub fn fitted(text: &str, widest: usize) -> String {
    cut(&escape(text), widest)
}

/// At most so wide, with a mark where something was left out.
fn cut(text: &str, widest: usize) -> String {
    if text.width() <= widest {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + c.to_string().width() + 1 > widest {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

/// The text in pieces that fit: broken behind a space, a comma or a slash, or anywhere in a word that is longer than the room.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for word in text.split_inclusive([' ', ',', '/']) {
        if !piece.is_empty() && piece.width() + word.trim_end().width() > room {
            pieces.push(std::mem::take(&mut piece));
        }
        for c in word.chars() {
            if piece.width() + c.to_string().width() > room && !c.is_whitespace() {
                pieces.push(std::mem::take(&mut piece));
            }
            piece.push(c);
        }
    }
    pieces.push(piece);
    pieces
}

/// `1 column`, `2 columns`.
pub fn count(number: usize, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

/// Columns of the terminal. Where there is none, what `COLUMNS` says, or 80.
pub fn width() -> u16 {
    terminal_width().or_else(told_width).unwrap_or(80).max(40)
}

/// The same for text that is read: on a very wide terminal no wider than 100, unless `COLUMNS` asks for it.
fn reading_width() -> u16 {
    match terminal_width() {
        Some(columns) => columns.clamp(40, 100),
        None => width(),
    }
}

fn terminal_width() -> Option<u16> {
    let columns = |size: Result<rustix::termios::Winsize, _>| {
        size.ok()
            .map(|size| size.ws_col)
            .filter(|columns| *columns > 0)
    };
    // Questions go to standard error, which is the terminal where the other is a pipe.
    if io::stdout().is_terminal() {
        columns(rustix::termios::tcgetwinsize(io::stdout()))
    } else if io::stderr().is_terminal() {
        columns(rustix::termios::tcgetwinsize(io::stderr()))
    } else {
        None
    }
}

fn told_width() -> Option<u16> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// Rows of the terminal; 24 where there is none.
pub fn height() -> usize {
    let seen = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_row);
    if seen == 0 { 24 } else { usize::from(seen) }
}

/// Red where there are colours; [`say`] and [`note`] leave them out where there are none.
pub fn red(text: &str) -> String {
    format!("\u{1b}[31m{text}\u{1b}[0m")
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

/// The same text with its instants (RFC 3339) as [`when`] shows them: what operators wrote, for people.
pub fn local_times(text: &str, now: At) -> String {
    let local = |word: &str| {
        let is_instant = word.len() >= 20 && word.ends_with('Z');
        let at = is_instant.then(|| word.parse::<At>().ok())?;
        Some(when(at?, now))
    };
    let words: Vec<String> = text
        .split(' ')
        .map(|word| local(word).unwrap_or_else(|| word.to_owned()))
        .collect();
    words.join(" ")
}

/// A span without needless precision.
pub fn coarse(span: Ttl) -> String {
    Ttl::from_secs(span.millis().div_ceil(1000).max(1)).to_string()
}

/// Whether somebody can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether messages go to a terminal, where somebody reads them.
pub fn is_read() -> bool {
    io::stderr().is_terminal()
}

/// A paragraph, indented and broken at the terminal's width, or at 80 columns.
pub fn paragraph(text: &str, indent: usize) -> String {
    hanging("", text, indent)
}

/// A paragraph behind a label that stands in its indentation: `reason     because …`.
pub fn hanging(label: &str, text: &str, indent: usize) -> String {
    let room = usize::from(reading_width()).saturating_sub(indent).max(20);
    broken(&escape(text), room)
        .iter()
        .enumerate()
        .map(|(place, line)| {
            let before = if place == 0 { label } else { "" };
            format!("{before:<indent$}{}", line.trim_end())
        })
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
        let now = "2026-11-23T09:00:00Z".parse::<At>().unwrap();
        let later = now.plus(Ttl::from_secs(7140));
        assert_eq!(when_in(later, now, &zone), "11:59 (in 1h 59m)");
        assert_eq!(when_in(now, later, &zone), "10:00 (1h 59m ago)");
        let far = now.plus(Ttl::from_secs(3 * 86_400));
        assert_eq!(when_in(far, now, &zone), "2026-11-26 10:00 (in 3d)");
    }

    #[test]
    fn instants_in_a_text_are_shown_as_local_times() {
        let now = "2026-11-23T09:00:00Z".parse::<At>().unwrap();
        let text = local_times("t:a until 2026-11-23T10:00:00.000Z (k3fq)", now);
        assert!(
            text.starts_with("t:a until ") && text.ends_with("(in 1h) (k3fq)"),
            "{text}"
        );
        assert_eq!(local_times("no instant Z  here", now), "no instant Z  here");
    }

    #[test]
    fn tables_fit_eighty_columns() {
        let long = "public.customers:".to_owned() + &"column,".repeat(40);
        let text = table_in(
            &["ID", "WHO", "COLUMNS"],
            &[
                vec!["abcdefgh".into(), "w".repeat(99), long.clone()],
                vec!["ijklmnop".into(), "日本語".into(), "x".repeat(200)],
            ],
            80,
        );
        for line in text.lines() {
            assert!(line.width() <= 80, "{line}");
        }
        let columns: String = text
            .lines()
            .skip(1)
            .map(|line| line[if line.is_ascii() { 36 } else { 0 }..].trim())
            .collect();
        assert!(columns.contains(&"column,".repeat(10)), "{text}");
    }

    #[test]
    fn tables_fit_narrow_terminals() {
        let row = [
            "k3fq7m2x",
            "pending",
            "(23h 59m)",
            "jitalice",
            "shop",
            "public.customers:email,phone,ssn",
        ];
        let rows = [row.map(str::to_owned).to_vec()];
        let header = ["ID", "STATE", "LEFT", "WHO", "TARGET", "COLUMNS"];
        let text = table_in(&header, &rows, 50);
        for line in text.lines() {
            assert!(line.width() <= 50, "{line}");
        }
        assert!(
            text.contains("\n    public.customers:email,phone,ssn"),
            "{text}"
        );
    }

    #[test]
    fn a_last_cell_is_broken_behind_its_commas() {
        assert_eq!(
            broken("public.customers:email,phone", 24),
            ["public.customers:email,", "phone"]
        );
        assert_eq!(broken("", 24), [""]);
        assert_eq!(broken("abcdef", 4), ["abcd", "ef"]);
    }

    #[test]
    fn a_paragraph_hangs_behind_its_label() {
        let text = hanging("reason", &"word ".repeat(40), 11);
        let mut lines = text.lines();
        assert!(
            lines
                .next()
                .is_some_and(|line| line.starts_with("reason     word "))
        );
        assert!(lines.all(|line| line.starts_with("           word") && line.len() <= 80));
    }
}
