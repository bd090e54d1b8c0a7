//! Opening a ledger, as well as its disk allows.

use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access as May, AtFlags, CWD, StatVfsMountFlags, accessat, statvfs};
use rustix::io::Errno;

use super::error::{Doing, Fault};
use super::{BUSY, SqliteLedger, migrate, reserve, rows, statements as sql};
use crate::access::LedgerId;
use crate::stores::StoreError;

/// How the database was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// As always.
    Shared,
    /// The shared index of the write-ahead log could not be made (a full disk): kept in memory, others locked out.
    Exclusive,
    /// Where nobody can write (a read-only file system, or one on which not even the log can be made), and for a
    /// glance: without any lock.
    ReadOnly,
}

impl SqliteLedger {
    /// Opens an existing ledger. A full disk costs the reserve; a read-only one leaves a ledger that can be read.
    ///
    /// # Errors
    /// `Missing`, `Newer`, `Damaged` (not a ledger); `NotOurs` where others could have meddled with it or this
    /// process may not write it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = real(path)?;
        closed_to_others(&path)?;
        let mut access = Access::Shared;
        let mut attempt = attempt(&path, access);
        if matches!(&attempt, Err(fault) if fault.may_be_full()) && reserve::give_back(&path) {
            attempt = self::attempt(&path, access);
        }
        if matches!(&attempt, Err(fault) if fault.may_be_unwritable()) {
            access = if is_read_only(&path) {
                Access::ReadOnly
            } else {
                Access::Exclusive
            };
            attempt = self::attempt(&path, access);
        }
        if access == Access::Exclusive
            && matches!(&attempt, Err(fault) if fault.may_be_full())
            && !has_log(&path)
        {
            // Without a log the file is whole, and nobody is writing.
            access = Access::ReadOnly;
            attempt = self::attempt(&path, access);
        }
        let (connection, id) = attempt.map_err(|fault| fault.told(&path, Doing::Reading))?;
        if access == Access::Shared {
            reserve::keep(&path);
        }
        Ok(Self {
            connection,
            id,
            host: host(),
            path,
            access,
        })
    }

    /// Opens an existing ledger for a glance: it takes no lock, waits for nobody, and neither makes nor changes a file.
    /// What another operator writes at this moment may be missed, so nothing may be decided by it.
    ///
    /// # Errors
    /// As [`SqliteLedger::open`].
    pub fn glance(path: &Path) -> Result<Self, StoreError> {
        let path = real(path)?;
        closed_to_others(&path)?;
        let access = Access::ReadOnly;
        let (connection, id) =
            attempt(&path, access).map_err(|fault| fault.told(&path, Doing::Reading))?;
        Ok(Self {
            connection,
            id,
            host: host(),
            path,
            access,
        })
    }
}

/// Whether this process may write the ledger at all. Opens nothing; the disk may still be full or read-only.
///
/// # Errors
/// `Missing` where it can be seen that there is none. (An outsider sees nothing, and is told `false`.)
pub fn may_operate(path: &Path) -> Result<bool, StoreError> {
    let ask = |path: &Path, access| accessat(CWD, path, access, AtFlags::EACCESS);
    let may = |path: &Path, access: May| match ask(path, access).or_else(|error| match error {
        // Asked for writing, the kernel names the disk before it looks at modes. Outsiders may not read either.
        Errno::ROFS => ask(path, access - May::WRITE_OK),
        error => Err(error),
    }) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(StoreError::Missing(path.display().to_string())),
        Err(error) => Err(StoreError::Unreadable {
            path: path.display().to_string(),
            why: error.to_string(),
        }),
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    Ok(may(folder, May::WRITE_OK | May::EXEC_OK)? && may(path, May::READ_OK | May::WRITE_OK)?)
}

/// The ledger's path without symbolic links on the way (SQLite is told to follow none).
fn real(path: &Path) -> Result<PathBuf, StoreError> {
    let missing = || StoreError::Missing(path.display().to_string());
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => missing(),
        std::io::ErrorKind::PermissionDenied => StoreError::NotOurs {
            path: path.display().to_string(),
            why: "only operators may open it".into(),
        },
        _ => StoreError::Unreadable {
            path: path.display().to_string(),
            why: error.to_string(),
        },
    };
    let name = path.file_name().ok_or_else(missing)?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let real = fs::canonicalize(folder).map_err(unreadable)?.join(name);
    fs::symlink_metadata(&real).map_err(unreadable)?;
    Ok(real)
}

/// Neither folder nor file may be open to anybody but owner and group; the file is a plain one with one name.
fn closed_to_others(path: &Path) -> Result<(), StoreError> {
    let not_ours = |path: &Path, why: &str| StoreError::NotOurs {
        path: path.display().to_string(),
        why: why.into(),
    };
    let status = |path: &Path| {
        fs::symlink_metadata(path).map_err(|error| not_ours(path, &error.to_string()))
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    if status(folder)?.mode() & 0o007 != 0 {
        let why = "it is open to others; run chmod o-rwx on it, or jit ledger init elsewhere";
        return Err(not_ours(folder, why));
    }
    let file = status(path)?;
    if !file.is_file() || file.nlink() != 1 {
        return Err(not_ours(path, "it is not a plain file with one name"));
    }
    if file.mode() & 0o007 != 0 {
        return Err(not_ours(
            path,
            "it is open to others; run chmod o-rwx on it",
        ));
    }
    if !may_operate(path)? {
        return Err(not_ours(path, "only operators may write it"));
    }
    Ok(())
}

fn attempt(path: &Path, access: Access) -> Result<(Connection, LedgerId), Fault> {
    let nofollow = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = match access {
        Access::ReadOnly => Connection::open_with_flags(
            read_only_uri(path),
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | nofollow,
        )?,
        Access::Shared | Access::Exclusive => {
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | nofollow)?
        }
    };
    connection.busy_timeout(BUSY)?;
    if access != Access::Shared {
        // Before anything is read: then the index of the log is kept in memory (sqlite.org/wal.html, section 8).
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    prepare(&connection)?;
    if access == Access::ReadOnly {
        migrate::check(&connection, path)?;
    } else {
        migrate::migrate(&connection, path)?;
    }
    let id = rows::text(&connection, sql::LEDGER_ID, [])?
        .ok_or_else(|| Fault::Document("it has no id".into()))?;
    Ok((connection, LedgerId(id)))
}

/// Whether there is a write-ahead log with something in it.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(&log).is_ok_and(|data| data.len() > 0)
}

/// Without locks (sqlite.org/uri.html), which nobody needs where nobody can write. Where there is no write-ahead
/// log, SQLite would want to make one, unless it is told that the file never changes; where there is one, that would
/// leave it unread.
fn read_only_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?vfs=unix-none");
    if !has_log(path) {
        uri.push_str("&immutable=1");
    }
    uri
}

/// What every connection needs, whatever the file says.
pub(super) fn prepare(connection: &Connection) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // A statement is planned once and not anew for each value: that took longer than to look up what it asks for.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    for (pragma, value) in [
        ("foreign_keys", "ON"),
        // So that REPLACE cannot delete what must not be deleted.
        ("recursive_triggers", "ON"),
        ("synchronous", "FULL"),
        // Sorting must not need room on a full disk.
        ("temp_store", "MEMORY"),
        // In KiB. With less, a large sweep's pages are written to the log and read back within one transaction; with
        // twice as much, 10,000 leases take the same time, and 6 MB more.
        ("cache_size", "-6144"),
    ] {
        connection.pragma_update(None, pragma, value)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

pub(super) fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_else(|_| "localhost".into())
}
