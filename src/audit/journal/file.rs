//! The file itself: opened with care, appended to, cut.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{
    CWD, FallocateFlags, FileType, Mode, OFlags, Stat, fallocate, fchmod, fstat, fstatvfs, fsync,
    ftruncate, openat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Trouble;

/// How much room is asked for before a grant: the intents of a large request.
const ROOM: u64 = 256 * 1024;

/// Never a link, never waiting for a FIFO's other end.
const CAREFULLY: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

pub(super) struct Audit {
    pub folder: OwnedFd,
    pub name: OsString,
    file: File,
    status: Stat,
}

impl Audit {
    /// Opens the file for appending, or makes it: for the group where the folder hands its group on (setgid), else
    /// for the owner alone.
    pub fn open<E>(path: &Path) -> Result<Self, Trouble<E>> {
        let name = path
            .file_name()
            .ok_or_else(|| Trouble::Untrusted("it is not a file's path".into()))?;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, folder, flags, Mode::empty())?;
        let around = fstat(&folder)?;
        if around.st_mode & 0o002 != 0 {
            return Err(Trouble::Untrusted(
                "its folder is open for writing to others".into(),
            ));
        }
        let mode = Mode::from_raw_mode(if around.st_mode & 0o2000 == 0 {
            0o600
        } else {
            0o660
        });
        let flags = OFlags::RDWR | OFlags::APPEND | CAREFULLY;
        let file = match openat(&folder, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                let new = flags | OFlags::CREATE | OFlags::EXCL;
                let file = openat(&folder, name, new, mode)?;
                fchmod(&file, mode)?;
                fsync(&folder)?;
                file
            }
            Err(Errno::LOOP) => return Err(Trouble::Untrusted("it is a symbolic link".into())),
            Err(Errno::NXIO | Errno::ISDIR) => {
                return Err(Trouble::Untrusted("it is not a regular file".into()));
            }
            file => file?,
        };
        let status = fstat(&file)?;
        trusted(&status, &around).map_err(Trouble::Untrusted)?;
        // Whoever made it may have died before its mode was set.
        let mine = status.st_uid == geteuid().as_raw() && status.st_size == 0;
        if mine && Mode::from_raw_mode(status.st_mode) & mode != mode {
            fchmod(&file, mode)?;
        }
        Ok(Self {
            folder,
            name: name.to_owned(),
            file: file.into(),
            status,
        })
    }

    /// Device and inode: it stays through a rename. Compared only to find a renamed file again; what is in a file
    /// is always told by its lines.
    pub fn identity(&self) -> String {
        identity(&self.status)
    }

    pub fn size(&self) -> io::Result<u64> {
        size(&self.file)
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Appends at the end, which must be at `end`, and fsyncs. Where that fails, what was written is taken back as
    /// far as possible; a torn tail is recognised the next time.
    pub fn append<E>(&self, end: u64, bytes: &[u8]) -> Result<(), Trouble<E>> {
        let size = self.size()?;
        if size != end {
            return Err(Trouble::Strange(format!(
                "it has grown from {end} to {size} bytes by somebody else's writing"
            )));
        }
        let written = (&self.file).write_all(bytes).and_then(|()| {
            crate::failpoint::reach("lines-written");
            self.sync()
        });
        if let Err(error) = written {
            let _ = ftruncate(&self.file, end);
            return Err(error.into());
        }
        Ok(())
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        crate::failpoint::reach("lines-synced");
        Ok(())
    }

    /// Has blocks reserved behind the end, which the next lines then use.
    pub fn set_room_aside<E>(&self) -> Result<(), Trouble<E>> {
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.size()?, ROOM) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let status = fstatvfs(&self.file)?;
                if status.f_bavail.saturating_mul(status.f_frsize) < ROOM {
                    return Err(Errno::NOSPC.into());
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn identity(status: &Stat) -> String {
    format!("{}:{}", status.st_dev, status.st_ino)
}

pub(super) fn size(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// Reads exactly this part.
pub(super) fn part(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// Opens a file beside the audit file, a rotated one.
pub(super) fn open_beside(
    folder: &OwnedFd,
    name: &std::ffi::CStr,
    flags: OFlags,
) -> io::Result<File> {
    let file = openat(folder, name, flags | CAREFULLY, Mode::empty())?;
    let status = fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file.into())
}

/// PURE. Whether nobody else can have written it.
fn trusted(file: &Stat, folder: &Stat) -> Result<(), String> {
    if FileType::from_raw_mode(file.st_mode) != FileType::RegularFile {
        return Err("it is not a regular file".into());
    }
    if file.st_nlink != 1 {
        return Err(format!("it has {} names (hard links)", file.st_nlink));
    }
    if file.st_mode & 0o002 != 0 {
        return Err("others may write it; run chmod o-w on it".into());
    }
    let both_by_groups = file.st_mode & 0o020 != 0 && folder.st_mode & 0o020 != 0;
    if both_by_groups && file.st_gid != folder.st_gid {
        return Err(format!(
            "its group ({}) and its folder's ({}) differ, and both may write",
            file.st_gid, folder.st_gid
        ));
    }
    Ok(())
}
