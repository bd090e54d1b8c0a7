//! Whether settings and policies can only have been written by people whom an operator trusts.
//!
//! An operator holds the credentials of the targets. If somebody else could change a policy, or put another file in
//! its place, they could give themselves anything: so every file, every folder on the way to it, and every link must
//! belong to a trusted user and be writable by nobody else.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Something on the way to a file that others could change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Untrusted {
    pub path: PathBuf,
    /// `belongs to mallory (uid 1003)`, `can be written by its group staff (mode 0664)`
    pub why: String,
    /// A command.
    pub cure: String,
}

impl std::fmt::Display for Untrusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}; {}", self.path.display(), self.why, self.cure)
    }
}

/// What a path is looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A folder or link on the way: with the sticky bit others may add to it, but not replace what is ours.
    Way,
    /// The file itself, or a folder all of whose files are read: nobody may add to it.
    End,
}

/// Looks at files, and at folders whose files are all read, and at everything on the way to them.
///
/// `trusted` are root and whoever owns the ledger. A path that does not exist is left to whoever reads it.
pub(super) fn check<'p>(
    paths: impl IntoIterator<Item = &'p Path>,
    trusted: &[u32],
) -> Vec<Untrusted> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        match std::path::absolute(path) {
            Ok(path) => walk(&path, trusted, &mut seen, &mut found),
            Err(error) => {
                found.insert(Untrusted {
                    path: path.to_owned(),
                    why: format!("cannot be looked at: {error}"),
                    cure: "check the path".into(),
                });
            }
        }
    }
    found.into_iter().collect()
}

/// Goes down from the root, following links as the kernel does.
fn walk(
    path: &Path,
    trusted: &[u32],
    seen: &mut BTreeSet<PathBuf>,
    found: &mut BTreeSet<Untrusted>,
) {
    let mut here = PathBuf::from("/");
    let mut left: VecDeque<OsString> = names(path);
    let mut links = 0;
    look(&here, Part::Way, trusted, seen, found);
    while let Some(name) = left.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let Ok(metadata) = fs::symlink_metadata(&next) else {
            return;
        };
        if !metadata.is_symlink() {
            here = next;
            let part = if left.is_empty() {
                Part::End
            } else {
                Part::Way
            };
            look(&here, part, trusted, seen, found);
            continue;
        }
        owner(&next, &metadata, trusted, found);
        links += 1;
        let Ok(target) = fs::read_link(&next) else {
            return;
        };
        if links > 40 {
            return; // whoever reads the file gets the kernel's error
        }
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        for name in names(&target).into_iter().rev() {
            left.push_front(name);
        }
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

fn look(
    path: &Path,
    part: Part,
    trusted: &[u32],
    seen: &mut BTreeSet<PathBuf>,
    found: &mut BTreeSet<Untrusted>,
) {
    if part == Part::Way && !seen.insert(path.to_owned()) {
        return;
    }
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    owner(path, &metadata, trusted, found);
    let mode = metadata.mode();
    if mode & 0o022 == 0 || (part == Part::Way && mode & 0o1000 != 0) {
        return;
    }
    let by = if mode & 0o002 != 0 {
        "everybody".to_owned()
    } else {
        let gid = metadata.gid();
        match uzers::get_group_by_gid(gid) {
            Some(group) => format!("the group {}", group.name().to_string_lossy()),
            None => format!("the group {gid}"),
        }
    };
    found.insert(Untrusted {
        path: path.to_owned(),
        why: format!("can be written by {by} (mode {:04o})", mode & 0o7777),
        cure: format!("run: chmod go-w {}", quoted(path)),
    });
}

fn owner(path: &Path, metadata: &fs::Metadata, trusted: &[u32], found: &mut BTreeSet<Untrusted>) {
    let uid = metadata.uid();
    if trusted.contains(&uid) {
        return;
    }
    let name = match uzers::get_user_by_uid(uid) {
        Some(user) => format!("{} (uid {uid})", user.name().to_string_lossy()),
        None => format!("uid {uid}"),
    };
    found.insert(Untrusted {
        path: path.to_owned(),
        why: format!("belongs to {name}"),
        cure: format!(
            "look at what is in it, then run: chown -h root {}",
            quoted(path)
        ),
    });
}

/// For a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
