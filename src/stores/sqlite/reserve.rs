//! A small file beside the ledger that is given back when the disk is full, so that what must be recorded, a revoke
//! above all, can still be.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Room for the write-ahead log of a few thousand ended leases.
const SIZE: u64 = 4 * 1024 * 1024;

fn path(ledger: &Path) -> PathBuf {
    ledger.with_file_name("reserve")
}

/// Makes the reserve where it is missing and there is room. Failing is no error: there is just no reserve.
pub(super) fn keep(ledger: &Path) {
    let path = path(ledger);
    if fs::symlink_metadata(&path).is_ok() {
        return;
    }
    if make(&path).is_err() {
        let _ = fs::remove_file(&path);
    }
}

/// Gives the reserve back. Whether there was one.
pub(super) fn give_back(ledger: &Path) -> bool {
    fs::remove_file(path(ledger)).is_ok()
}

fn make(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o660)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o660))?;
    match fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&file),
        Err(error) => Err(error.into()),
    }
}

fn fill(mut file: &File) -> io::Result<()> {
    // Not zeros: a file system that compresses would reserve nothing for them.
    let mut block = vec![0; 64 * 1024];
    for _ in 0..SIZE / block.len() as u64 {
        getrandom::fill(&mut block).map_err(|error| io::Error::other(error.to_string()))?;
        file.write_all(&block)?;
    }
    file.sync_data()
}
