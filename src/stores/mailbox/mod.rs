//! The embedded inbox: folders that people own, in one sticky folder that nobody may list.
//!
//! The person is who *owns* folder and file, as the kernel says of the opened descriptor; names and contents claim
//! nothing. Everything is opened relative to an already checked folder, without following links, without crossing
//! a mount (a FUSE file system would answer with any owner it likes, or never), and never waiting.
//!
//! [`Mailbox`] is a person's own side and needs no ledger; [`Mailboxes`] is the operators'.

mod check;
mod client;
mod folders;
mod operator;
mod place;
mod thread;

use std::path::Path;

use rustix::fs::{OFlags, fstatfs};
use sha2::{Digest, Sha256};

use super::{Sheet, StoreError};

pub use client::{Mailbox, Receipt, View};
pub use operator::{Mailboxes, Names};
pub use thread::{Credentials, as_person};

/// The largest submission, in bytes.
pub const LARGEST_SUBMISSION: usize = 64 * 1024;
/// The largest sheet that is read.
pub const LARGEST_SHEET: usize = 32 * 1024 * 1024;
/// How many names a person's folder may have: `<uid>`, `<uid>.1` … `<uid>.15`. More than one, because anybody can
/// make a folder under any name first.
const SLOTS: u32 = 16;

/// The name of a sheet's file.
fn file_of(sheet: Sheet) -> &'static str {
    match sheet {
        Sheet::View => "view.json",
        Sheet::Columns => "columns.json",
    }
}

/// What identifies a submission: SHA-256 (hexadecimal) over the submitter's uid, big-endian, and the bytes.
pub fn digest(uid: u32, bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(uid.to_be_bytes());
    hash.update(bytes);
    hex::encode(hash.finalize())
}

/// Refuses file systems whose owners are not this kernel's own word: network and FUSE ones, and any unknown.
pub(super) fn local_file_system(
    file: impl std::os::fd::AsFd,
    path: &Path,
) -> Result<(), StoreError> {
    let status = fstatfs(&file).map_err(|error| unreadable(path, error))?;
    if check::is_local(status.f_type) {
        return Ok(());
    }
    Err(StoreError::NotOurs {
        path: path.display().to_string(),
        why: format!(
            "its file system (type {:x}) is not known as a local one, and only a local one says who owns a file",
            status.f_type
        ),
    })
}

fn unreadable(path: &Path, error: rustix::io::Errno) -> StoreError {
    StoreError::Unreadable {
        path: path.display().to_string(),
        why: std::io::Error::from(error).to_string(),
    }
}

fn unwritable(path: &Path, error: rustix::io::Errno) -> StoreError {
    StoreError::Unwritable {
        path: path.display().to_string(),
        why: std::io::Error::from(error).to_string(),
    }
}

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// A FIFO without a writer, a lease of somebody else's: neither makes us wait.
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
