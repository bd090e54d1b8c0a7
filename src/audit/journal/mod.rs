//! The audit file: every line of the ledger, once, in order, whatever crashes in between.
//!
//! The ledger is the truth and the file is written from it. The ledger keeps a mark: up to which number the lines
//! are known to be in the file, and in which file. What stands behind the mark is compared with the ledger's own
//! lines: what is there already is not written again, what is torn is mended, and what is neither is never touched.
//! A file that is new, or was emptied, goes on with the next line. Rotate by rename.
//!
//! Operators exclude each other by the ledger's lock `journal`, which the caller holds; the file itself is never
//! locked, since whoever may read it could keep such a lock.

mod catch_up;
mod file;
mod owed;
mod rotated;

use std::io;
use std::path::Path;

use rustix::io::Errno;

use file::Audit;
use owed::Reader;

/// One sealed line of the ledger, with its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    pub seq: u64,
    pub line: String,
}

/// The ledger's side, as much as the journal needs of it.
pub trait Source {
    type Error: std::error::Error + 'static;

    /// The first `limit` lines, or more, with a number above `seq` that exist, in order. The line `seq` itself may
    /// come along and is passed over.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    fn lines_after(&self, seq: u64, limit: usize) -> Result<Vec<Owed>, Self::Error>;

    /// The newest number known to be in the file, and that file's identity.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    fn mark(&self) -> Result<(u64, Option<String>), Self::Error>;

    /// # Errors
    /// Where the ledger cannot be written.
    fn set_mark(&self, seq: u64, file: &str) -> Result<(), Self::Error>;
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Lines written now.
    pub lines: u64,
    /// The newest number in the file.
    pub newest: u64,
    /// Lines that had been there, fsynced, and were cut off since; they are written again. Somebody's doing, or a
    /// disk that lies about fsync: to be told loudly.
    pub lost: u64,
}

/// Why the audit file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError<E: std::error::Error + 'static> {
    #[error("cannot write the audit file {path}: {why}")]
    Unwritable { path: String, why: String },
    /// Others could write it, or it is no plain file.
    #[error("the audit file {path} cannot be trusted: {why}")]
    Untrusted { path: String, why: String },
    /// It holds something else than this ledger's lines. It is left as it is: it may be evidence.
    #[error(
        "the audit file {path} is not as this ledger wrote it: {why}; move it away, and a new one is begun"
    )]
    Strange { path: String, why: String },
    /// The ledger could not be asked, or the mark not set; what was written is recognised the next time.
    #[error(transparent)]
    Source(E),
}

/// Writes all owed lines, fsyncs them, and sets the mark. Nothing owed: the file is not even opened.
///
/// `_while_held` is the ledger's lock `journal`.
///
/// # Errors
/// Lines that were written before the error stay, and are recognised by the next call.
pub fn write_owed<S: Source, L: ?Sized>(
    path: &Path,
    source: &S,
    _while_held: &L,
) -> Result<Written, JournalError<S::Error>> {
    write(path, source).map_err(|trouble| trouble.about(path))
}

/// Proves that lines can be appended now: opens the file as for writing, with all its checks, and has the file
/// system set room aside for them. Changes nothing that can be read.
///
/// # Errors
/// As [`write_owed`]; never `Source`.
pub fn prove_writable<E: std::error::Error + 'static>(path: &Path) -> Result<(), JournalError<E>> {
    Audit::open(path)
        .and_then(|audit| audit.set_room_aside())
        .map_err(|trouble| trouble.about(path))
}

fn write<S: Source>(path: &Path, source: &S) -> Result<Written, Trouble<S::Error>> {
    let (marked, marked_file) = source.mark().map_err(Trouble::Source)?;
    if Reader::after(source, marked).peek()?.is_none() {
        return Ok(Written {
            newest: marked,
            ..Written::default()
        });
    }
    let audit = Audit::open(path)?;
    let place = catch_up::catch_up(&audit, source, marked, marked_file.as_deref())?;
    let mut written = Written {
        lines: 0,
        newest: place.newest,
        lost: marked.saturating_sub(place.newest),
    };
    if place.newest > marked {
        // Written by a run that died before it could say so, and perhaps before its fsync.
        audit.sync()?;
        source
            .set_mark(place.newest, &audit.identity())
            .map_err(Trouble::Source)?;
    }
    let mut owed = Reader::after(source, place.newest);
    let (mut end, mut there) = (place.end, place.partial);
    loop {
        let batch = owed.batch()?;
        let Some(last) = batch.last() else { break };
        let text: String = batch.iter().map(|owed| owed.line.as_str()).collect();
        audit.append(end, &text.as_bytes()[there..])?;
        end += (text.len() - there) as u64;
        there = 0;
        written.lines += batch.len() as u64;
        written.newest = last.seq;
        source
            .set_mark(last.seq, &audit.identity())
            .map_err(Trouble::Source)?;
    }
    Ok(written)
}

/// A [`JournalError`] that has not been told which file it is about.
#[derive(Debug)]
enum Trouble<E> {
    Io(io::Error),
    Untrusted(String),
    Strange(String),
    Source(E),
}

impl<E: std::error::Error + 'static> Trouble<E> {
    fn about(self, path: &Path) -> JournalError<E> {
        let path = path.display().to_string();
        match self {
            Self::Io(error) => JournalError::Unwritable {
                path,
                why: error.to_string(),
            },
            Self::Untrusted(why) => JournalError::Untrusted { path, why },
            Self::Strange(why) => JournalError::Strange { path, why },
            Self::Source(error) => JournalError::Source(error),
        }
    }
}

impl<E> From<io::Error> for Trouble<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<E> From<Errno> for Trouble<E> {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}
