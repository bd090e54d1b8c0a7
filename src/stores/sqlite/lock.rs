//! Locks between operators: `flock` on files in the ledger's folder, which nobody else can open.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::stores::{Lock, StoreError};

/// How often a lock that another keeps is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// The open file is the lock: the kernel frees it with the process.
struct Held(#[expect(dead_code, reason = "kept open, never read")] File);

impl Lock for Held {}

pub(super) fn take(
    ledger: &Path,
    name: &str,
    wait: Duration,
) -> Result<Option<Box<dyn Lock>>, StoreError> {
    let path = file_of(ledger, name);
    let unwritable = |error: io::Error| StoreError::Unwritable {
        path: path.display().to_string(),
        why: error.to_string(),
    };
    let file = open(&path).map_err(unwritable)?;
    let until = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Box::new(Held(file)))),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::sleep(AGAIN.min(left));
    }
}

/// Lock files are never removed: a removed one could be held by two.
fn open(path: &Path) -> io::Result<File> {
    let nofollow = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(nofollow);
    // An existing one needs no room on the disk, nor a writable one.
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        done => return done,
    }
    match options.write(true).create_new(true).mode(0o660).open(path) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(0o660))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => OpenOptions::new()
            .read(true)
            .custom_flags(nofollow)
            .open(path),
        Err(error) => Err(error),
    }
}

/// The readable part of the name is for people; the hash keeps apart what looks alike.
fn file_of(ledger: &Path, name: &str) -> PathBuf {
    let readable: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    let hash = hex::encode(&Sha256::digest(name)[..8]);
    ledger.with_file_name(format!("lock.{readable}.{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_a_lock_and_the_other_gets_it_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        let none = Duration::ZERO;
        let held = take(&ledger, "target:shop", none).unwrap();
        assert!(held.is_some());
        assert!(take(&ledger, "target:shop", none).unwrap().is_none());
        assert!(take(&ledger, "target:other", none).unwrap().is_some());
        let waiting = std::thread::spawn({
            let ledger = ledger.clone();
            move || {
                take(&ledger, "target:shop", Duration::from_secs(10))
                    .unwrap()
                    .is_some()
            }
        });
        std::thread::sleep(Duration::from_millis(60));
        drop(held);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn any_name_gives_one_file_in_the_folder() {
        let ledger = Path::new("/l/ledger.db");
        let odd = [
            "target:../x",
            "target:a/b",
            "target:a-b",
            "\n",
            &"x".repeat(5000),
        ];
        let files: std::collections::HashSet<_> =
            odd.iter().map(|name| file_of(ledger, name)).collect();
        assert_eq!(files.len(), odd.len());
        for file in files {
            assert_eq!(file.parent(), ledger.parent());
            assert!(file.file_name().unwrap().len() < 100);
        }
    }
}
