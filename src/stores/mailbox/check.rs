//! PURE. What a mailbox and a submission must look like.

use rustix::fs::{FileType, Stat};

use super::LARGEST_SUBMISSION;

/// File systems of this kernel's own disks and memory, by their magic numbers (statfs(2)). What is not here is
/// refused: NFS, SMB, FUSE, 9p and the like take the owner of a file from somebody else's word.
const LOCAL: [i64; 12] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
    0x2fc1_2fc1, // zfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
    0x8584_58f6, // ramfs
    0x3153_464a, // jfs
    0x5265_4973, // reiserfs
    0x3434,      // nilfs2
];

pub(super) fn is_local(magic: impl TryInto<i64>) -> bool {
    magic.try_into().is_ok_and(|magic| LOCAL.contains(&magic))
}

/// What is true of the inbox itself, and so must be of every mailbox in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inbox {
    pub device: u64,
    pub owner: u32,
    pub group: u32,
    /// Everybody on the host may submit; else one user works alone.
    pub shared: bool,
    /// The uid that the kernel shows where it cannot tell (`/proc/sys/kernel/overflowuid`).
    pub overflow: u32,
}

/// The modes that `jit ledger init` gives an inbox.
const SHARED: u32 = 0o3773;
const ALONE: u32 = 0o0700;
/// What a person's folder gets from the inbox's setgid bit and their umask.
const MAILBOX: u32 = 0o2770;

impl Inbox {
    /// # Errors
    /// Why it cannot serve as an inbox.
    pub fn of(status: &Stat, overflow: u32) -> Result<Self, String> {
        let shared = match status.st_mode & 0o7777 {
            SHARED => true,
            ALONE => false,
            mode => {
                return Err(format!(
                    "its mode is {mode:o}; run chmod {SHARED:o} on it, or chmod {ALONE:o} where one user is alone"
                ));
            }
        };
        Ok(Self {
            device: status.st_dev,
            owner: status.st_uid,
            group: status.st_gid,
            shared,
            overflow,
        })
    }

    /// Whether a folder can be somebody's mailbox, and whose. The name must agree with the owner, so that what
    /// strangers put there under other names is not even looked into.
    ///
    /// # Errors
    /// Why not.
    pub fn mailbox(&self, status: &Stat, name_says: u32) -> Result<u32, String> {
        let owner = status.st_uid;
        let mode = status.st_mode & 0o7777;
        if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
            return Err("it is not a folder".into());
        }
        if status.st_dev != self.device {
            return Err("it is another file system".into());
        }
        if self.is_nobody(owner) {
            return Err(format!("its owner is {owner}, which is nobody"));
        }
        if owner != name_says {
            return Err(format!(
                "it bears the name of {name_says}, but its owner is {owner}"
            ));
        }
        if self.shared {
            if mode != MAILBOX {
                return Err(format!("its mode is {mode:o}, not {MAILBOX:o}"));
            }
            if status.st_gid != self.group {
                return Err(format!(
                    "its group is {}, not {}",
                    status.st_gid, self.group
                ));
            }
        } else {
            if mode & 0o077 != 0 {
                return Err(format!("its mode is {mode:o}: it is open to others"));
            }
            if owner != self.owner && owner != 0 {
                return Err(format!(
                    "its owner is {owner}, in the inbox of {}",
                    self.owner
                ));
            }
        }
        Ok(owner)
    }

    /// Whether an opened file can be a submission of this mailbox's owner.
    ///
    /// # Errors
    /// Why not.
    pub fn submission(&self, status: &Stat, owner: u32) -> Result<(), String> {
        let kind = FileType::from_raw_mode(status.st_mode);
        if kind != FileType::RegularFile {
            return Err("it is not a regular file".into());
        }
        if status.st_uid != owner {
            return Err(format!("its owner is {}, not {owner}", status.st_uid));
        }
        if status.st_dev != self.device {
            return Err("it is on another file system".into());
        }
        if status.st_nlink != 1 {
            return Err(format!("it has {} names (hard links)", status.st_nlink));
        }
        if status.st_mode & 0o022 != 0 {
            return Err("others than its owner may write it".into());
        }
        if usize::try_from(status.st_size).map_or(true, |size| size > LARGEST_SUBMISSION) {
            return Err(too_large());
        }
        Ok(())
    }

    fn is_nobody(&self, uid: u32) -> bool {
        uid == self.overflow || uid == 65534 || uid == u32::MAX
    }
}

pub(super) fn too_large() -> String {
    format!("it is larger than {LARGEST_SUBMISSION} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INBOX: Inbox = Inbox {
        device: 7,
        owner: 0,
        group: 50,
        shared: true,
        overflow: 65534,
    };

    /// A real status, made into what a test needs.
    fn status(kind: u32, mode: u32, uid: u32) -> Stat {
        let mut status = rustix::fs::stat("/").unwrap();
        (status.st_mode, status.st_uid, status.st_gid) = (kind | mode, uid, 50);
        (status.st_dev, status.st_nlink, status.st_size) = (7, 1, 10);
        status
    }

    const DIR: u32 = 0o040_000;
    const REG: u32 = 0o100_000;

    #[test]
    fn only_a_closed_folder_of_its_own_owner_is_a_mailbox() {
        let good = status(DIR, 0o2770, 1001);
        assert_eq!(INBOX.mailbox(&good, 1001), Ok(1001));
        assert!(INBOX.mailbox(&good, 1002).is_err());
        for mode in [0o0770, 0o2777, 0o2775, 0o2700, 0o3770, 0o6770, 0o0700] {
            assert!(
                INBOX.mailbox(&status(DIR, mode, 1001), 1001).is_err(),
                "{mode:o}"
            );
        }
        for uid in [65534, u32::MAX] {
            assert!(
                INBOX.mailbox(&status(DIR, 0o2770, uid), uid).is_err(),
                "{uid}"
            );
        }
        assert!(INBOX.mailbox(&status(REG, 0o2770, 1001), 1001).is_err());
        let mut other = good;
        other.st_gid = 51;
        assert!(INBOX.mailbox(&other, 1001).is_err());
        other = good;
        other.st_dev = 8;
        assert!(INBOX.mailbox(&other, 1001).is_err());
    }

    #[test]
    fn alone_only_the_owner_and_root_have_mailboxes() {
        let inbox = Inbox {
            owner: 1001,
            shared: false,
            ..INBOX
        };
        for (uid, mode, fits) in [
            (1001, 0o700, true),
            (0, 0o700, true),
            (1002, 0o700, false),
            (1001, 0o770, false),
            (1001, 0o2700, true),
        ] {
            assert_eq!(
                inbox.mailbox(&status(DIR, mode, uid), uid).is_ok(),
                fits,
                "{uid} {mode:o}"
            );
        }
    }

    #[test]
    fn a_submission_is_a_small_plain_file_that_only_its_owner_writes() {
        let good = status(REG, 0o640, 1001);
        assert_eq!(INBOX.submission(&good, 1001), Ok(()));
        assert!(INBOX.submission(&good, 1002).is_err());
        for mode in [0o660, 0o642, 0o666, 0o620] {
            assert!(
                INBOX.submission(&status(REG, mode, 1001), 1001).is_err(),
                "{mode:o}"
            );
        }
        // FIFO, character device, folder, block device, link, socket.
        for kind in [0o010_000, 0o020_000, DIR, 0o060_000, 0o120_000, 0o140_000] {
            assert!(
                INBOX.submission(&status(kind, 0o640, 1001), 1001).is_err(),
                "{kind:o}"
            );
        }
        let mut bad = good;
        bad.st_nlink = 2;
        assert!(INBOX.submission(&bad, 1001).is_err());
        bad = good;
        bad.st_size = 65_536;
        assert_eq!(INBOX.submission(&bad, 1001), Ok(()));
        bad.st_size = 65_537;
        assert!(INBOX.submission(&bad, 1001).is_err());
        bad = good;
        bad.st_dev = 8;
        assert!(INBOX.submission(&bad, 1001).is_err());
    }

    #[test]
    fn network_and_unknown_file_systems_are_not_local() {
        for magic in [
            0x6969,
            0xfe53_4d42_i64,
            0x6573_5546,
            0x0102_1997,
            0x1234_5678,
        ] {
            assert!(!is_local(magic), "{magic:x}");
        }
        assert!(is_local(0xef53));
    }
}
