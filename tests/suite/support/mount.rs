//! A small disk of its own under a folder, for laws about full and read-only ones. Needs root, as CI has it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::must;

/// A tmpfs mounted over a folder, with the folder's own content copied into it. Unmounted when dropped; what was
/// beneath it shows again then, as it was before.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it, `size` as mount(8) reads it: `8m`.
    pub fn over(folder: &Path, size: &str) -> Self {
        let status = fs::metadata(folder).expect("a folder to mount over");
        let options = format!(
            "size={size},mode={:o},uid={},gid={}",
            status.mode() & 0o7777,
            status.uid(),
            status.gid()
        );
        let aside = folder.with_extension("aside");
        must(Command::new("cp").arg("-a").arg(folder).arg(&aside));
        must(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &options, "jit-tests"])
                .arg(folder),
        );
        let disk = Self {
            folder: folder.to_owned(),
        };
        must(
            Command::new("cp")
                .args(["-a", "--"])
                .arg(aside.join("."))
                .arg(folder),
        );
        let _ = fs::remove_dir_all(aside);
        disk
    }

    /// A path on it.
    pub fn path(&self, inner: &str) -> PathBuf {
        self.folder.join(inner)
    }

    fn filler(&self) -> PathBuf {
        self.folder.join(".filler")
    }

    /// Makes empty files until there can be no more.
    pub fn take_every_inode(&self) {
        let mut made = 0;
        while fs::write(self.folder.join(format!(".file-{made}")), "").is_ok() {
            made += 1;
        }
    }

    /// Takes those away again.
    pub fn give_every_inode_back(&self) {
        for entry in fs::read_dir(&self.folder).expect("our own").flatten() {
            if entry.file_name().to_string_lossy().starts_with(".file-") {
                fs::remove_file(entry.path()).expect("our own");
            }
        }
    }

    /// Takes all the room that is left, to the last byte.
    pub fn fill(&self) {
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=4k", "status=none"])
            .arg(format!("of={}", self.filler().display()))
            .output();
    }

    /// Gives it back.
    pub fn empty(&self) {
        fs::remove_file(self.filler()).expect("the filler");
    }

    /// Makes the disk read-only, or writable again.
    pub fn read_only(&self, yes: bool) {
        let how = if yes { "remount,ro" } else { "remount,rw" };
        must(Command::new("mount").args(["-o", how]).arg(&self.folder));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).output();
    }
}
