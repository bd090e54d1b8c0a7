//! Where in the file we are: what is there already, and where the next line goes.

use std::fs::File;
use std::io;

use rustix::fs::ftruncate;

use super::file::{Audit, part, size};
use super::owed::{Reader, line};
use super::{Source, Trouble, rotated};
use crate::audit::chain::{LONGEST_LINE, Link};

/// How far back from a file's end is looked for a line that the mark knows.
const FARTHEST: u64 = 256 * 1024 * 1024;
const STEP: u64 = 64 * 1024;

/// Where the next line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The newest number that is in the file, or in those that were rotated away.
    pub newest: u64,
    /// The file's size.
    pub end: u64,
    /// So many bytes of the next line are there already.
    pub partial: usize,
}

/// A whole line, and where it ends in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Anchor {
    seq: u64,
    /// With its newline.
    line: Vec<u8>,
    end: u64,
}

pub(super) fn catch_up<S: Source>(
    audit: &Audit,
    source: &S,
    marked: u64,
    marked_file: Option<&str>,
) -> Result<Place, Trouble<S::Error>> {
    if audit.size()? > 0
        && let Some(place) = in_file(audit.file(), source, marked, || {
            Ok(marked_file.is_some_and(|file| file != audit.identity())
                && rotated::by_identity(audit, marked_file)?.is_some())
        })?
    {
        return Ok(place);
    }
    // New or emptied: it goes on where the last one ended.
    Ok(Place {
        newest: rotated::newest(audit, source, marked, marked_file)?,
        end: 0,
        partial: 0,
    })
}

/// The place in a file that is not empty. `None` where nothing in it is worth keeping, and it was emptied.
///
/// `is_elsewhere` tells whether the file that the mark means is another one.
pub(super) fn in_file<S: Source>(
    file: &File,
    source: &S,
    marked: u64,
    is_elsewhere: impl FnOnce() -> io::Result<bool>,
) -> Result<Option<Place>, Trouble<S::Error>> {
    let (after, from) = match anchor(file, marked)? {
        Some(anchor) => {
            let ours = line(source, anchor.seq)?;
            if ours.is_none_or(|ours| ours.line.as_bytes() != anchor.line) {
                return Err(Trouble::Strange(format!(
                    "its line with number {} is not the ledger's",
                    anchor.seq
                )));
            }
            if anchor.seq < marked && is_elsewhere()? {
                return Err(Trouble::Strange(format!(
                    "it ends with number {}, and the file that went on to {marked} is another one",
                    anchor.seq
                )));
            }
            (anchor.seq, anchor.end)
        }
        // All of it was written since the mark was set.
        None => match first(file)? {
            Some(first) if first > marked => (first - 1, 0),
            _ => (marked, 0),
        },
    };
    let place = compare(file, source, after, from)?;
    Ok((place.end > 0).then_some(place))
}

/// Compares what stands behind a line with the ledger's next lines, and cuts what was torn.
fn compare<S: Source>(
    file: &File,
    source: &S,
    after: u64,
    from: u64,
) -> Result<Place, Trouble<S::Error>> {
    let size = size(file)?;
    let mut place = Place {
        newest: after,
        end: from,
        partial: 0,
    };
    let mut owed = Reader::after(source, after);
    // Whole lines.
    while place.end < size {
        let Some(next) = owed.peek()? else { break };
        let until = place.end + next.line.len() as u64;
        if until > size || part(file, place.end, until)? != next.line.as_bytes() {
            break;
        }
        place.newest = next.seq;
        place.end = until;
        owed.take()?;
    }
    if place.end == size {
        return Ok(place);
    }
    // What is left is the beginning of the next lines, or was to be: a crash of the machine may have kept the
    // length and lost some bytes, which then are zero.
    let (mut at, mut is_beginning) = (place.end, true);
    while at < size {
        let Some(next) = owed.take()? else {
            return Err(strange_tail(place));
        };
        let until = size.min(at + next.line.len() as u64);
        let there = part(file, at, until)?;
        let same = |(is, was): (&u8, &u8)| is == was;
        let torn = |(is, was): (&u8, &u8)| is == was || *is == 0;
        if !there.iter().zip(next.line.as_bytes()).all(torn) {
            return Err(strange_tail(place));
        }
        is_beginning &= at == place.end && there.iter().zip(next.line.as_bytes()).all(same);
        at = until;
    }
    if is_beginning {
        // Finished rather than cut, so that a file with the append-only attribute (chattr +a) can be mended too.
        place.partial = usize::try_from(size - place.end).map_err(io::Error::other)?;
        place.end = size;
    } else {
        ftruncate(file, place.end)?;
        crate::failpoint::reach("tail-cut");
        file.sync_all()?;
        crate::failpoint::reach("lines-synced");
    }
    Ok(place)
}

fn strange_tail<E>(place: Place) -> Trouble<E> {
    Trouble::Strange(format!(
        "what stands in it behind number {} (byte {}) is not what comes next",
        place.newest, place.end
    ))
}

/// The last whole line whose number is not above `marked`; `None` where there is none.
fn anchor<E>(file: &File, marked: u64) -> Result<Option<Anchor>, Trouble<E>> {
    let size = size(file)?;
    let mut tail: Vec<u8> = Vec::new();
    let mut from = size;
    loop {
        let step = STEP.max(tail.len() as u64).min(from);
        let mut longer = part(file, from - step, from)?;
        longer.extend_from_slice(&tail);
        tail = longer;
        from -= step;
        // Lines that begin in what was read: the first may have lost its beginning, unless it is the file's.
        let begin = if from == 0 {
            0
        } else {
            tail.iter()
                .position(|b| *b == b'\n')
                .map_or(tail.len(), |at| at + 1)
        };
        let mut end = tail.len();
        for line in tail[begin..].split_inclusive(|b| *b == b'\n').rev() {
            let start = end - line.len();
            if let Some(text) = line.strip_suffix(b"\n")
                && let Ok(link) = Link::of(text)
                && link.seq <= marked
            {
                return Ok(Some(Anchor {
                    seq: link.seq,
                    line: line.to_vec(),
                    end: from + end as u64,
                }));
            }
            end = start;
        }
        if from == 0 {
            return Ok(None);
        }
        if size - from > FARTHEST {
            return Err(Trouble::Strange(format!(
                "there is no line of this ledger up to number {marked} in its last {FARTHEST} bytes"
            )));
        }
    }
}

/// The number of the file's first line.
fn first<E>(file: &File) -> Result<Option<u64>, Trouble<E>> {
    let until = size(file)?.min(LONGEST_LINE as u64 + 1);
    let mut length = until.min(STEP);
    loop {
        let bytes = part(file, 0, length)?;
        if let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            return Ok(Link::of(&bytes[..end]).ok().map(|link| link.seq));
        }
        if length == until {
            return Ok(None);
        }
        length = until.min(length * 4);
    }
}
