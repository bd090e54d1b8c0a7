//! A person's own side: make the mailbox, drop a submission whole, read what operators put there.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_NOW, fchmod, fstat,
    fsync, futimens, mkdirat, openat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{geteuid, umask};

use super::folders::{Inbox, Slot, beneath, told};
use super::{
    FILE, FOLDER, LARGEST_SHEET, LARGEST_SUBMISSION, check, digest, file_of, unreadable, unwritable,
};
use crate::stores::{Sheet, StoreError};

/// One's own mailbox, opened. Whose it is: the effective uid of the thread that opened it.
#[derive(Debug)]
pub struct Mailbox {
    folder: OwnedFd,
    path: PathBuf,
    uid: u32,
}

/// What was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// As the ledger will know it.
    pub digest: String,
    name: String,
}

/// What operators let this person see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub bytes: Vec<u8>,
    pub written: SystemTime,
}

impl Mailbox {
    /// Opens one's mailbox; `None` where there is none yet.
    ///
    /// # Errors
    /// `NoInbox` or `NotOurs` where the inbox is not there or not in order.
    pub fn open(inbox: &Path) -> Result<Option<Self>, StoreError> {
        let inbox = Inbox::open(inbox)?;
        let uid = geteuid().as_raw();
        Ok(Slot::all(uid).find_map(|slot| {
            let folder = inbox.fitting(slot).ok()?;
            Some(Self::of(folder, &inbox, slot))
        }))
    }

    /// Opens one's mailbox, or makes it: the first of its names that is one's own or free.
    ///
    /// # Errors
    /// As [`Mailbox::open`]; `NotOurs` where others have taken every name, saying who.
    pub fn open_or_make(inbox: &Path) -> Result<Self, StoreError> {
        let inbox = Inbox::open(inbox)?;
        let uid = geteuid().as_raw();
        let mut taken = String::new();
        for slot in Slot::all(uid) {
            match inbox.fitting(slot) {
                Ok(folder) => return Ok(Self::of(folder, &inbox, slot)),
                Err(why) => taken = why,
            }
            if let Some(made) = make(&inbox, slot)? {
                return Ok(Self::of(made, &inbox, slot));
            }
        }
        Err(StoreError::NotOurs {
            path: inbox.path.join(uid.to_string()).display().to_string(),
            why: format!(
                "every name for your mailbox is taken, and the last one cannot be used: {taken}; ask root to remove them"
            ),
        })
    }

    fn of(folder: OwnedFd, inbox: &Inbox, slot: Slot) -> Self {
        Self {
            folder,
            path: inbox.path.join(slot.name()),
            uid: slot.uid,
        }
    }

    /// For messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Drops a submission: whole, on the disk, and visible to operators only when it is both.
    ///
    /// # Errors
    /// `Unwritable` with the reason; then nothing was dropped.
    pub fn submit(&self, bytes: &[u8]) -> Result<Receipt, StoreError> {
        if bytes.len() > LARGEST_SUBMISSION {
            return Err(StoreError::Unwritable {
                path: self.path.display().to_string(),
                why: format!(
                    "a submission has at most {LARGEST_SUBMISSION} bytes, not {}",
                    bytes.len()
                ),
            });
        }
        let name = submission_name().map_err(|error| self.unwritable(error))?;
        // Operators pass over names with a dot.
        let whole = format!(".{name}");
        let dropped = self.write(&whole, bytes).and_then(|()| {
            let flags = RenameFlags::NOREPLACE;
            Ok(renameat_with(
                &self.folder,
                &whole,
                &self.folder,
                &name,
                flags,
            )?)
        });
        if let Err(error) = dropped {
            let _ = unlinkat(&self.folder, &whole, AtFlags::empty());
            return Err(self.unwritable(error));
        }
        let folder = openat(&self.folder, c".", OFlags::RDONLY | FOLDER, Mode::empty())
            .map_err(|error| unwritable(&self.path, error))?;
        fsync(&folder).map_err(|error| unwritable(&self.path, error))?;
        ring(&folder);
        Ok(Receipt {
            digest: digest(self.uid, bytes),
            name,
        })
    }

    /// Whether no operator has taken it yet.
    pub fn is_waiting(&self, receipt: &Receipt) -> bool {
        statat(&self.folder, &receipt.name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// What operators last put there; `None` where they have not yet.
    ///
    /// # Errors
    /// `Unreadable` where it is no plain file or larger than 32 MiB.
    pub fn sheet(&self, sheet: Sheet) -> Result<Option<View>, StoreError> {
        let name = file_of(sheet);
        let path = self.path.join(name);
        let file = match beneath(&self.folder, name, FILE | OFlags::RDONLY) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => {
                return Err(StoreError::Unreadable {
                    path: path.display().to_string(),
                    why: told(error).into(),
                });
            }
        };
        let status = fstat(&file).map_err(|error| unreadable(&path, error))?;
        let wrong = |why: &str| StoreError::Unreadable {
            path: path.display().to_string(),
            why: why.into(),
        };
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(wrong("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        let file = File::from(file);
        let written = file.metadata().and_then(|data| data.modified());
        file.take(LARGEST_SHEET as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| wrong(&error.to_string()))?;
        if bytes.len() > LARGEST_SHEET {
            return Err(wrong("it is too large"));
        }
        Ok(Some(View {
            bytes,
            written: written.map_err(|error| wrong(&error.to_string()))?,
        }))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = FILE | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR)?;
        // Not by umask: one of 077 would keep operators out. (A file has no setgid bit to lose.)
        fchmod(&file, Mode::from_raw_mode(0o640))?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn unwritable(&self, error: io::Error) -> StoreError {
        StoreError::Unwritable {
            path: self.path.display().to_string(),
            why: error.to_string(),
        }
    }
}

/// Lets a watch on the inbox know (the shipped path unit is one): inotify tells of a folder's new times to who watches
/// the folder that it lies in, and of what happens inside it to nobody there. Without a watcher it does nothing, and
/// nobody but its owner can do it to a mailbox.
fn ring(folder: &OwnedFd) {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    // What was dropped is found by the next sweep all the same.
    let _ = futimens(folder, &times);
}

/// The umask is the whole process's.
static UMASK: Mutex<()> = Mutex::new(());

/// Makes the folder under this name. `None` where the name is taken, and where what came of it does not fit.
fn make(inbox: &Inbox, slot: Slot) -> Result<Option<OwnedFd>, StoreError> {
    let name = slot.name();
    let mode = if inbox.rules.shared {
        Mode::from_raw_mode(0o770)
    } else {
        Mode::RWXU
    };
    // By umask and not by chmod: a chmod by somebody who is not in the operators' group loses the setgid bit that
    // the folder gets from the inbox (chmod(2)).
    let create = || {
        let _one_at_a_time = UMASK.lock();
        let before = umask(Mode::from_raw_mode(0o007));
        let made = mkdirat(&inbox.folder, &name, mode);
        umask(before);
        made
    };
    let made = match create() {
        // One's own but unfit (after a chmod), and empty: made anew. Another's cannot be removed: the inbox is sticky.
        Err(Errno::EXIST) => match unlinkat(&inbox.folder, &name, AtFlags::REMOVEDIR) {
            Ok(()) => create(),
            Err(_) => return Ok(None),
        },
        made => made,
    };
    match made {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(None),
        Err(error) => return Err(unwritable(&inbox.path, error)),
    }
    Ok(inbox.fitting(slot).ok())
}

/// Begins with the time, so that operators find the oldest first, and ends with chance.
fn submission_name() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let millis = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    Ok(format!("{millis:013}-{}.json", hex::encode(random)))
}

/// Whether a name in a mailbox is a submission's.
pub(super) fn is_submission(name: &[u8], kind: FileType) -> bool {
    !name.starts_with(b".")
        && kind != FileType::Directory
        && [Sheet::View, Sheet::Columns]
            .into_iter()
            .all(|sheet| name != file_of(sheet).as_bytes())
}

/// Reads an opened submission; never more than one byte beyond what is allowed.
pub(super) fn read_submission(file: OwnedFd) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::from(file)
        .take(LARGEST_SUBMISSION as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > LARGEST_SUBMISSION {
        return Err(check::too_large());
    }
    Ok(bytes)
}
