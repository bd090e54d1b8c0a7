//! Files that were rotated away: a run may have died after it wrote lines and before it set the mark, and the file
//! may have been renamed, and packed, since.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;
use rustix::fs::{Dir, OFlags, fstat};

use super::catch_up::in_file;
use super::file::{Audit, identity, open_beside};
use super::owed::{Reader, line};
use super::{Source, Trouble};
use crate::audit::chain::{LONGEST_LINE, Link};

/// How many of the newest rotated files are looked into.
const LOOKED_INTO: usize = 4;

/// The newest number that is in a rotated file, and at least `marked`.
pub(super) fn newest<S: Source>(
    audit: &Audit,
    source: &S,
    marked: u64,
    marked_file: Option<&str>,
) -> Result<u64, Trouble<S::Error>> {
    // The very file that the mark means: what was torn in it is mended, so that it verifies.
    if marked_file.is_some_and(|file| file != audit.identity())
        && let Some(file) = by_identity(audit, marked_file)?
    {
        return Ok(match in_file(&file, source, marked, || Ok(false)) {
            Ok(Some(place)) if place.partial > 0 => {
                let whole = place.end - place.partial as u64;
                rustix::fs::ftruncate(&file, whole)?;
                file.sync_all()?;
                place.newest.max(marked)
            }
            Ok(Some(place)) => place.newest.max(marked),
            // Somebody else's business by now: it stays as it is, and verify tells what is wrong with it.
            Ok(None) | Err(Trouble::Strange(_)) => marked,
            Err(trouble) => return Err(trouble),
        });
    }
    let Some(next) = Reader::after(source, marked).take()? else {
        return Ok(marked);
    };
    let mut newest = marked;
    for name in candidates(audit, &next.line)? {
        // One that cannot be read tells nothing.
        let Ok(Some((seq, text))) = last_line(audit, &name) else {
            continue;
        };
        if seq > newest && line(source, seq)?.is_some_and(|ours| ours.line.as_bytes() == text) {
            newest = seq;
        }
    }
    Ok(newest)
}

/// The file beside the audit file that has this identity, open for mending.
pub(super) fn by_identity(audit: &Audit, wanted: Option<&str>) -> io::Result<Option<File>> {
    let inode = wanted
        .and_then(|text| text.rsplit_once(':'))
        .and_then(|(_, inode)| inode.parse::<u64>().ok());
    let (Some(wanted), Some(inode)) = (wanted, inode) else {
        return Ok(None);
    };
    let entries = Dir::read_from(&audit.folder)?;
    for entry in entries {
        let entry = entry?;
        if entry.ino() != inode {
            continue;
        }
        if let Ok(file) = open_beside(&audit.folder, entry.file_name(), OFlags::RDWR)
            && identity(&fstat(&file)?) == wanted
        {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Names that begin with the audit file's own, newest first, of files that were written to after the next owed line
/// was: an older one cannot hold it. (gzip(1) keeps the time of what it packs.)
fn candidates(audit: &Audit, next: &str) -> io::Result<Vec<CString>> {
    let not_before = written_at(next);
    let own = audit.name.as_bytes();
    let mut found = Vec::new();
    for entry in Dir::read_from(&audit.folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes().len() > own.len()
            && name.to_bytes().starts_with(own)
            && let Ok(file) = open_beside(&audit.folder, name, OFlags::RDONLY)
            && let Ok(modified) = file.metadata().and_then(|data| data.modified())
            && not_before.is_none_or(|at| modified >= at)
        {
            found.push((modified, name.to_owned()));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.truncate(LOOKED_INTO);
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

/// The `at` of a line, a minute earlier: clocks are corrected.
fn written_at(line: &str) -> Option<SystemTime> {
    let (_, rest) = line.split_once(r#","at":""#)?;
    let at = rest.get(..24)?.parse::<crate::access::At>().ok()?;
    let millis = u64::try_from(at.millis()).ok()?.saturating_sub(60_000);
    SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(millis))
}

/// The last whole line, with its newline, of a plain or packed file.
fn last_line(audit: &Audit, name: &CStr) -> io::Result<Option<(u64, Vec<u8>)>> {
    let file = open_beside(&audit.folder, name, OFlags::RDONLY)?;
    let packed = name.to_bytes().ends_with(b".gz");
    let mut reader: Box<dyn BufRead> = if packed {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    let (mut last, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let longest = LONGEST_LINE as u64 + 1;
        reader.by_ref().take(longest).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            break;
        }
        std::mem::swap(&mut last, &mut line);
    }
    let link = last
        .strip_suffix(b"\n")
        .and_then(|text| Link::of(text).ok());
    Ok(link.map(|link| link.seq).map(|seq| (seq, last)))
}
