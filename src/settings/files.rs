//! Reading files that others may have made: never a device, never a pipe that nobody writes, never without bound.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::yaml::{self, Place, Problem};

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("there is no such file")]
    Missing,
    #[error("it is not a regular file")]
    NotAFile,
    /// Its size in bytes, as far as it was looked at.
    #[error("it is larger than {} MiB", yaml::LARGEST / 1024 / 1024)]
    TooLarge(u64),
    #[error("{0}")]
    Io(std::io::Error),
}

/// The bytes of a regular file of at most [`yaml::LARGEST`] bytes. Never blocks.
pub fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let other = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => ReadError::Missing,
        _ => ReadError::Io(error),
    };
    // A FIFO without a writer would keep an ordinary open waiting for ever.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(other)?;
    let metadata = file.metadata().map_err(other)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile);
    }
    if metadata.len() > yaml::LARGEST as u64 {
        return Err(ReadError::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    let bound = yaml::LARGEST as u64 + 1;
    file.take(bound).read_to_end(&mut bytes).map_err(other)?;
    if bytes.len() > yaml::LARGEST {
        return Err(ReadError::TooLarge(bytes.len() as u64));
    }
    Ok(bytes)
}

/// The text of a policy file.
///
/// # Errors
/// A problem of the whole file: it is not there, not a regular file, too large, or may not be read.
pub fn read_policy(path: &Path) -> Result<Vec<u8>, Problem> {
    let name = path.display().to_string();
    read(path).map_err(|error| match error {
        ReadError::TooLarge(bytes) => yaml::too_large(&name, bytes),
        other => Problem::error(&name, Place::default(), format!("cannot read it: {other}")),
    })
}

/// The policy files of a folder, by name: `*.yaml` and `*.yml`, without hidden ones, without `except`, and without
/// looking into folders.
pub fn in_folder(folder: &Path, except: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        if hidden || !yaml || path.is_dir() {
            continue;
        }
        // Settings may lie beside their policies.
        if path.canonicalize().is_ok_and(|real| real == except) {
            continue;
        }
        files.push(path);
    }
    files.sort();
    Ok(files)
}
