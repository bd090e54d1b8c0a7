//! Opening the inbox and what is in it, without races: everything by descriptors.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, fstat, open, openat, openat2};
use rustix::io::Errno;

use super::{FOLDER, SLOTS, check, local_file_system, unreadable};
use crate::stores::StoreError;

/// An inbox, opened and checked.
#[derive(Debug)]
pub(super) struct Inbox {
    pub folder: OwnedFd,
    pub path: PathBuf,
    pub rules: check::Inbox,
}

impl Inbox {
    /// Needs no right to list it.
    ///
    /// # Errors
    /// `NoInbox`; `NotOurs` where its mode or file system is not what an inbox needs.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR => StoreError::NoInbox(path.display().to_string()),
            error => unreadable(path, error),
        })?;
        local_file_system(&folder, path)?;
        let status = fstat(&folder).map_err(|error| unreadable(path, error))?;
        let rules =
            check::Inbox::of(&status, overflow_uid()).map_err(|why| StoreError::NotOurs {
                path: path.display().to_string(),
                why,
            })?;
        Ok(Self {
            folder,
            path: path.to_owned(),
            rules,
        })
    }

    /// Opens a folder in it; nothing is read from it yet, and nobody is asked who mounted something there.
    pub fn mailbox(&self, slot: Slot) -> Result<OwnedFd, Errno> {
        beneath(&self.folder, slot.name().as_str(), FOLDER | OFlags::PATH)
    }

    /// Opens a person's folder if it fits.
    ///
    /// # Errors
    /// Why it does not.
    pub fn fitting(&self, slot: Slot) -> Result<OwnedFd, String> {
        let folder = self.mailbox(slot).map_err(|error| told(error).to_owned())?;
        let status = fstat(&folder).map_err(|error| error.to_string())?;
        self.rules.mailbox(&status, slot.uid)?;
        Ok(folder)
    }
}

/// One of the names that a person's mailbox may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub uid: u32,
    pub number: u32,
}

impl Slot {
    pub fn all(uid: u32) -> impl Iterator<Item = Self> {
        (0..SLOTS).map(move |number| Self { uid, number })
    }

    pub fn name(self) -> String {
        match self.number {
            0 => self.uid.to_string(),
            number => format!("{}.{number}", self.uid),
        }
    }

    /// Reads exactly what [`Slot::name`] writes.
    pub fn read(name: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        let (uid, number) = name.split_once('.').unwrap_or((name, "0"));
        let slot = Self {
            uid: uid.parse().ok()?,
            number: number.parse().ok()?,
        };
        (slot.number < SLOTS && slot.name() == name).then_some(slot)
    }
}

/// Opens a name in a folder: no link is followed, no mount crossed.
pub(super) fn beneath(
    folder: impl AsFd,
    name: impl rustix::path::Arg + Copy,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(&folder, name, flags, Mode::empty(), resolve) {
        // Before Linux 5.6, or forbidden in a container: names have no slash here, and the device is checked after.
        Err(Errno::NOSYS | Errno::PERM) => openat(&folder, name, flags, Mode::empty()),
        done => done,
    }
}

/// Why something could not be opened, in words.
pub(super) fn told(error: Errno) -> &'static str {
    match error {
        Errno::LOOP => "it is a symbolic link",
        Errno::XDEV => "something is mounted there",
        Errno::NXIO => "it is a socket or a device",
        Errno::NOTDIR => "it is not a folder",
        Errno::ACCESS | Errno::PERM => "operators may not read it",
        Errno::WOULDBLOCK => "its owner keeps others from opening it (a lease)",
        Errno::NOENT => "it is gone",
        _ => "it cannot be opened",
    }
}

/// At most `limit` names, in the file system's order, and whether there are more.
pub(super) fn list(
    folder: impl AsFd,
    limit: usize,
    wanted: impl Fn(&[u8], FileType) -> bool,
) -> Result<(Vec<CString>, bool), Errno> {
    let flags = OFlags::RDONLY | FOLDER;
    let folder = openat(&folder, c".", flags, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
    let mut entries = RawDir::new(&folder, &mut buffer);
    let mut names = Vec::new();
    let mut seen = 0;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if seen == limit {
            return Ok((names, true));
        }
        seen += 1;
        if wanted(name.to_bytes(), entry.file_type()) {
            names.push(name.to_owned());
        }
    }
    Ok((names, false))
}

fn overflow_uid() -> u32 {
    openat(
        CWD,
        "/proc/sys/kernel/overflowuid",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()
    .and_then(|file| std::io::read_to_string(std::fs::File::from(file)).ok())
    .and_then(|text| text.trim().parse().ok())
    .unwrap_or(65534)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_slots() {
        for slot in Slot::all(1001) {
            assert_eq!(Slot::read(slot.name().as_bytes()), Some(slot));
        }
        for name in [
            "",
            "a",
            "01001",
            "+1001",
            "1001.0",
            "1001.16",
            "1001.01",
            "1001.",
            ".1",
            "1001.1.1",
            " 1001",
            "4294967296",
            "-1",
            "1001\n",
        ] {
            assert_eq!(Slot::read(name.as_bytes()), None, "{name:?}");
        }
    }
}
