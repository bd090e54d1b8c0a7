//! Reads trails from files, packed files and standard input: for `audit verify` and `audit search`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::chain::{LONGEST_LINE, seq_of};
use super::verify::{Verdict, Verifier};

/// The first two bytes of what gzip packs (RFC 1952).
const PACKED: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 256 * 1024;

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Plain or packed by gzip: what is in it tells, not its name.
    File(PathBuf),
    Stdin,
}

/// A file that cannot be read. (What is wrong with what was read is the verdict's.)
#[derive(Debug, thiserror::Error)]
#[error("cannot read {file}: {why}")]
pub struct TrailError {
    pub file: String,
    pub why: io::Error,
}

/// What [`each`] meets, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The lines that follow come from here.
    Begin(&'a str),
    /// Without its newline. A line longer than any of ours comes as its beginning, one byte too long.
    Line(&'a [u8]),
    /// The last line has no newline.
    Torn(&'a [u8]),
}

/// Reads all inputs, those with the lowest first number first, whatever order they were named in.
///
/// # Errors
/// The first input that cannot be opened, read or unpacked.
pub fn each(inputs: &[Input], mut take: impl FnMut(Piece<'_>)) -> Result<(), TrailError> {
    let mut ordered = Vec::new();
    for input in inputs {
        let mut begin = Vec::new();
        // Standard input can be read only once, and comes last. A file named twice is read twice: the verifier tells.
        if *input != Input::Stdin {
            line(&mut *open(input)?, &mut begin).map_err(|why| input.failed(why))?;
        }
        ordered.push((seq_of(&begin).unwrap_or(u64::MAX), input));
    }
    ordered.sort_by_key(|(first, _)| *first);
    for (_, input) in ordered {
        let mut reader = open(input)?;
        take(Piece::Begin(&input.shown()));
        let mut bytes = Vec::new();
        loop {
            let end = line(&mut *reader, &mut bytes).map_err(|why| input.failed(why))?;
            match end {
                End::Newline => take(Piece::Line(&bytes)),
                End::Input if bytes.is_empty() => break,
                End::Input => {
                    take(Piece::Torn(&bytes));
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Checks the chain over all inputs.
///
/// # Errors
/// As [`each`].
pub fn verify(mut verifier: Verifier, inputs: &[Input]) -> Result<Verdict, TrailError> {
    each(inputs, |piece| match piece {
        Piece::Begin(file) => verifier.file(file),
        Piece::Line(line) => verifier.line(line),
        Piece::Torn(_) => verifier.torn(),
    })?;
    Ok(verifier.end())
}

/// The audit file and what was rotated away from it: all names beside it that begin with its own.
///
/// # Errors
/// Where the folder cannot be read.
pub fn with_rotated(audit: &Path) -> Result<Vec<Input>, TrailError> {
    let failed = |why| TrailError {
        file: audit.display().to_string(),
        why,
    };
    let (Some(folder), Some(name)) = (audit.parent(), audit.file_name()) else {
        return Ok(Vec::new());
    };
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let starts = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(name.as_encoded_bytes());
        if starts && entry.file_type().map_err(failed)?.is_file() {
            files.push(Input::File(entry.path()));
        }
    }
    Ok(files)
}

impl Input {
    fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "standard input".into(),
        }
    }

    fn failed(&self, why: io::Error) -> TrailError {
        TrailError {
            file: self.shown(),
            why,
        }
    }
}

fn open(input: &Input) -> Result<Box<dyn BufRead>, TrailError> {
    let mut reader: Box<dyn BufRead> = match input {
        Input::File(path) => {
            let file = File::open(path).map_err(|why| input.failed(why))?;
            Box::new(BufReader::with_capacity(BUFFER, file))
        }
        Input::Stdin => Box::new(BufReader::with_capacity(BUFFER, io::stdin())),
    };
    let packed = reader
        .fill_buf()
        .map_err(|why| input.failed(why))?
        .starts_with(&PACKED);
    Ok(if packed {
        Box::new(BufReader::with_capacity(
            BUFFER,
            MultiGzDecoder::new(reader),
        ))
    } else {
        reader
    })
}

enum End {
    Newline,
    Input,
}

/// Reads one line without its newline, bounded in memory whatever the input holds.
fn line(reader: &mut dyn BufRead, bytes: &mut Vec<u8>) -> io::Result<End> {
    bytes.clear();
    let most = LONGEST_LINE + 1;
    let read = (&mut *reader)
        .take(most as u64 + 1)
        .read_until(b'\n', bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        return Ok(End::Newline);
    }
    if read <= most {
        return Ok(End::Input);
    }
    bytes.truncate(most);
    loop {
        let ahead = reader.fill_buf()?;
        let (used, end) = match ahead.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, Some(End::Newline)),
            None if ahead.is_empty() => (0, Some(End::Input)),
            None => (ahead.len(), None),
        };
        reader.consume(used);
        if let Some(end) = end {
            return Ok(end);
        }
    }
}
