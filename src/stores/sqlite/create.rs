//! Making a ledger, its inbox and its audit file, with the modes that keep everybody else out.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, fchmod, fchown, fstat, fsync, mkdirat,
    openat, renameat_with, statat,
};
use rustix::io::Errno;

use super::error::{Doing, Fault};
use super::find::stored;
use super::{SqliteLedger, lock, migrate, open, statements as sql};
use crate::access::Now;
use crate::stores::{StoreError, mailbox};

/// Who works with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One user alone: everything is theirs and closed to all others. It separates no duties.
    Alone,
    /// The operators are a Unix group, and everybody on the host may submit.
    Group { gid: u32 },
}

/// Where a ledger's three parts are, as the settings name them.
#[derive(Clone, Debug)]
pub struct Places {
    /// The database. Its folder is the ledger's own.
    pub ledger: PathBuf,
    pub inbox: PathBuf,
    pub audit: PathBuf,
}

impl Sharing {
    fn ledger_folder(self) -> Mode {
        self.mode(0o700, 0o2770)
    }

    /// Sticky and setgid: everybody may make a folder of their own, nobody may list or move the others'.
    fn inbox(self) -> Mode {
        self.mode(0o700, 0o3773)
    }

    fn file(self) -> Mode {
        self.mode(0o600, 0o660)
    }

    fn parents(self) -> Mode {
        self.mode(0o700, 0o755)
    }

    fn mode(self, alone: u32, group: u32) -> Mode {
        Mode::from_raw_mode(match self {
            Self::Alone => alone,
            Self::Group { .. } => group,
        })
    }

    fn group(self) -> Option<Gid> {
        match self {
            Self::Alone => None,
            Self::Group { gid } => Some(Gid::from_raw(gid)),
        }
    }
}

/// Makes them and opens the ledger. The database comes last and into its place by one rename: what a crash has left
/// half-made is finished by the next call.
///
/// # Errors
/// `Exists` where there is a ledger, and nothing is changed; `NotOurs` where a folder is there with other modes or
/// an audit file with lines in it; `Unwritable` with what the operating system said.
pub fn create(places: &Places, sharing: Sharing, now: &Now) -> Result<SqliteLedger, StoreError> {
    if fs::symlink_metadata(&places.ledger).is_ok() {
        return Err(StoreError::Exists(places.ledger.display().to_string()));
    }
    folder(parent(&places.ledger)?, sharing.ledger_folder(), sharing)?;
    let _alone = lock::take(&places.ledger, "init", Duration::from_secs(10))?.ok_or_else(|| {
        StoreError::Busy {
            path: places.ledger.display().to_string(),
            seconds: 10,
        }
    })?;
    let inbox = folder(&places.inbox, sharing.inbox(), sharing)?;
    mailbox::local_file_system(&inbox, &places.inbox)?;
    reachable(parent(&places.inbox)?, sharing)?;
    audit(&places.audit, sharing)?;
    database(&places.ledger, sharing, now)?;
    SqliteLedger::open(&places.ledger)
}

/// A folder with exactly this mode and group; an existing one is put right only if it is empty.
fn folder(path: &Path, mode: Mode, sharing: Sharing) -> Result<OwnedFd, StoreError> {
    if let Some(parent) = path.parent() {
        parents(parent, sharing.parents())?;
    }
    let failed = failed_at(path);
    match mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(failed(error)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, path, flags, Mode::empty()).map_err(&failed)?;
    let fits = || -> Result<bool, StoreError> {
        let status = fstat(&folder).map_err(&failed)?;
        let group = sharing
            .group()
            .is_none_or(|gid| gid.as_raw() == status.st_gid);
        Ok(Mode::from_raw_mode(status.st_mode) == mode && group)
    };
    if fits()? {
        return Ok(folder);
    }
    if !is_empty(path).map_err(|error| unwritable(path, &error.to_string()))? {
        return Err(StoreError::NotOurs {
            path: path.display().to_string(),
            why: format!(
                "it is there already, with things in it, and its mode or group is not what it must be ({:o}); move it away",
                mode.as_raw_mode()
            ),
        });
    }
    if let Some(gid) = sharing.group() {
        fchown(&folder, None, Some(gid)).map_err(&failed)?;
    }
    fchmod(&folder, mode).map_err(&failed)?;
    if fits()? {
        return Ok(folder);
    }
    // A chmod by somebody who is not in the group loses the setgid bit without an error.
    Err(unwritable(
        path,
        "its group or mode cannot be set; do it as root, or as a member of the operators' group",
    ))
}

/// The folders on the way. Existing ones are left as they are.
fn parents(path: &Path, mode: Mode) -> Result<(), StoreError> {
    if path == Path::new("") || path.exists() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        parents(parent, mode)?;
    }
    match mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(error) => return Err(failed_at(path)(error)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
        .and_then(|folder| fchmod(folder, mode))
        .map_err(failed_at(path))
}

/// Everybody must be able to go through the inbox's folder.
fn reachable(path: &Path, sharing: Sharing) -> Result<(), StoreError> {
    let status = statat(CWD, path, AtFlags::empty()).map_err(failed_at(path))?;
    if sharing == Sharing::Alone || status.st_mode & 0o001 != 0 {
        return Ok(());
    }
    Err(StoreError::NotOurs {
        path: path.display().to_string(),
        why: "nobody can reach the inbox through it; run chmod o+x on it".into(),
    })
}

fn audit(path: &Path, sharing: Sharing) -> Result<(), StoreError> {
    let home = parent(path)?;
    if !home.exists() {
        folder(home, sharing.ledger_folder(), sharing)?;
    }
    let failed = failed_at(path);
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(CWD, path, flags | OFlags::CREATE | OFlags::EXCL, Mode::RUSR) {
        Err(Errno::EXIST) => openat(CWD, path, flags, Mode::empty()),
        done => done,
    }
    .map_err(&failed)?;
    let status = fstat(&file).map_err(&failed)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile || status.st_size != 0 {
        return Err(StoreError::NotOurs {
            path: path.display().to_string(),
            why: "there is something in it already, and a new ledger begins a new audit file; move it away".into(),
        });
    }
    if let Some(gid) = sharing.group() {
        fchown(&file, None, Some(gid)).map_err(&failed)?;
    }
    fchmod(&file, sharing.file()).map_err(&failed)
}

fn database(path: &Path, sharing: Sharing, now: &Now) -> Result<(), StoreError> {
    let mut making = path.as_os_str().to_owned();
    making.push(".making");
    let making = PathBuf::from(making);
    for left in ["", "-journal", "-wal", "-shm"] {
        let mut left_over = making.as_os_str().to_owned();
        left_over.push(left);
        match fs::remove_file(&left_over) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable(&making, &error.to_string()));
            }
            _ => {}
        }
    }
    let failed = failed_at(&making);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(CWD, &making, flags, Mode::RUSR | Mode::WUSR).map_err(&failed)?;
    if let Some(gid) = sharing.group() {
        fchown(&file, None, Some(gid)).map_err(&failed)?;
    }
    fchmod(&file, sharing.file()).map_err(&failed)?;
    // No descriptor of ours may be closed while SQLite has the file open: it would lose its locks (fcntl(2)).
    drop(file);
    fill(&making, now).map_err(|fault| fault.told(path, Doing::Writing))?;
    let synced = || {
        fsync(File::open(&making)?)?;
        renameat_with(CWD, &making, CWD, path, RenameFlags::NOREPLACE)?;
        let folder = path.parent().filter(|parent| *parent != Path::new(""));
        fsync(File::open(folder.unwrap_or(Path::new(".")))?)?;
        Ok::<_, io::Error>(())
    };
    synced().map_err(|error| unwritable(path, &error.to_string()))
}

fn fill(path: &Path, now: &Now) -> Result<(), Fault> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Fault::Document(error.to_string()))?;
    // The folder's own path may have symbolic links on the way, which NOFOLLOW would refuse: it is just made.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    open::prepare(&connection)?;
    let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
    migrate::begin(&transaction)?;
    transaction.execute(
        sql::LEDGER_INSERT,
        params![
            hex::encode(random),
            now.at.millis(),
            now.boot.boot,
            stored(now.boot.millis)
        ],
    )?;
    transaction.commit()?;
    // Kept in the file for ever: every later connection finds it so.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn is_empty(path: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(path)?.next().is_none())
}

fn parent(path: &Path) -> Result<&Path, StoreError> {
    match path.parent() {
        Some(parent) if parent == Path::new("") => Ok(Path::new(".")),
        Some(parent) => Ok(parent),
        None => Err(unwritable(path, "it is not a file's path")),
    }
}

fn unwritable(path: &Path, why: &str) -> StoreError {
    StoreError::Unwritable {
        path: path.display().to_string(),
        why: why.to_owned(),
    }
}

fn failed_at(path: &Path) -> impl Fn(Errno) -> StoreError {
    move |error| unwritable(path, &io::Error::from(error).to_string())
}
