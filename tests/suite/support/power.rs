//! Loss of power, without a machine: a program's writes are traced (strace), and of those that no fsync followed some
//! are taken back, each file on its own. Needs no kernel module and no device; strace may trace what it starts, also
//! in a container.
//!
//! What a disk may do: of the writes behind a file's last fsync any may be lost, and one may be torn between sectors. A
//! new name, and the loss of one, last once the file or its folder was fsynced; until then either may be so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::torture::Chance;

const CALLS: &str = "trace=openat,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,\
                     fdatasync,rename,renameat,renameat2,unlink,unlinkat,link,linkat,copy_file_range,sendfile,mmap";
const SECTOR: usize = 512;

/// The files below some folders before a program runs.
pub struct Disk {
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, File>,
    /// Unlinked since, and the folder was not synced yet.
    ghosts: BTreeMap<PathBuf, File>,
}

#[derive(Clone)]
struct File {
    owner: (u32, u32),
    mode: u32,
    /// As of the last fsync; `None` where not even the name lasts yet.
    durable: Option<Vec<u8>>,
    since: Vec<Change>,
    length: usize,
    /// Its writes say no place and go to its end: opened so, or empty then.
    appends: bool,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Size(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Size(size) => to.resize(*size, 0),
            Self::Write(at, bytes) => {
                let end = at + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*at..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Disk {
    /// Everything in these folders is on the disk.
    pub fn of(folders: &[PathBuf]) -> Self {
        let mut disk = Self {
            folders: folders.to_vec(),
            files: BTreeMap::new(),
            ghosts: BTreeMap::new(),
        };
        let mut open = folders.to_vec();
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("a folder of ours").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Some(file) = File::read(&path) {
                    disk.files.insert(path, file);
                }
            }
        }
        disk
    }

    /// The same command, traced into that file.
    pub fn traced(inner: &Command, trace: &Path) -> Command {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-y", "-xx", "-s", "100000000", "-e", CALLS])
            .arg("-o")
            .arg(trace)
            .arg(inner.get_program())
            .args(inner.get_args());
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
    }

    /// The power goes at the end of the trace: the files become what the disk may hold then. How many writes are lost.
    pub fn loses_power(mut self, trace: &Path, chance: &mut Chance) -> usize {
        let text = fs::read_to_string(trace).expect("strace writes text");
        for call in calls(&text) {
            self.take(&call);
        }
        let mut lost = 0;
        for (path, file) in &self.ghosts {
            if !self.files.contains_key(path) && chance.one_in(2) {
                lost += 1;
                file.write(path, &file.after(chance).1);
            }
        }
        for (path, file) in &self.files {
            if path.to_string_lossy().ends_with("-shm") {
                let _ = fs::remove_file(path); // memory
                continue;
            }
            if file.durable.is_none() && chance.one_in(2) {
                lost += 1;
                let _ = fs::remove_file(path);
            } else if !file.since.is_empty() {
                let (dropped, bytes) = file.after(chance);
                lost += dropped;
                file.write(path, &bytes);
            }
        }
        lost
    }

    fn take(&mut self, call: &Call) {
        let on_file = call.path(0);
        match call.name {
            "openat" => {
                let Some(path) = call.named(0, 1) else { return };
                let flags = call.arguments.get(2).copied().unwrap_or_default();
                if !self.is_here(&path) {
                    return;
                }
                if !self.files.contains_key(&path) && flags.contains("O_CREAT") {
                    self.files.insert(path.clone(), File::new(&path));
                }
                let Some(file) = self.files.get_mut(&path) else {
                    return;
                };
                if flags.contains("O_TRUNC") {
                    file.change(Change::Size(0));
                }
                file.appends = flags.contains("O_APPEND") || file.length == 0;
            }
            "write" | "pwrite64" => {
                let Some(file) = on_file.and_then(|path| self.files.get_mut(&path)) else {
                    return;
                };
                let mut bytes = unquoted(call.arguments[1]);
                bytes.truncate(call.result.parse().unwrap_or_default());
                let at = match call.arguments.get(3) {
                    Some(at) => at.parse().expect("an offset"),
                    None => {
                        assert!(file.appends, "where does {} write to?", call.arguments[0]);
                        file.length
                    }
                };
                file.change(Change::Write(at, bytes));
            }
            "ftruncate" => {
                if let Some(file) = on_file.and_then(|path| self.files.get_mut(&path)) {
                    let size = call.arguments[1].parse().expect("a size");
                    file.change(Change::Size(size));
                }
            }
            "fsync" | "fdatasync" => {
                let Some(path) = on_file else { return };
                if let Some(file) = self.files.get_mut(&path) {
                    file.sync();
                }
                self.ghosts.retain(|ghost, _| ghost.parent() != Some(&path));
                for (inner, file) in &mut self.files {
                    if inner.parent() == Some(&path) && file.durable.is_none() {
                        file.durable = Some(Vec::new());
                    }
                }
            }
            "unlink" | "unlinkat" => {
                let named = match call.name {
                    "unlink" => call.arguments.first().map(|one| path_of(&unquoted(one))),
                    _ => call.named(0, 1),
                };
                if let Some(path) = named
                    && let Some(file) = self.files.remove(&path)
                    && file.durable.is_some()
                {
                    self.ghosts.insert(path, file);
                }
            }
            "rename" | "renameat" | "renameat2" => {
                let (from, to) = match call.name {
                    "rename" => (
                        call.arguments.first().map(|one| path_of(&unquoted(one))),
                        call.arguments.get(1).map(|one| path_of(&unquoted(one))),
                    ),
                    _ => (call.named(0, 1), call.named(2, 3)),
                };
                if let (Some(from), Some(to)) = (from, to)
                    && let Some(file) = self.files.remove(&from)
                {
                    self.files.insert(to, file);
                }
            }
            "fallocate" => {
                let Some(file) = on_file.and_then(|path| self.files.get_mut(&path)) else {
                    return;
                };
                let number = |nth: usize| -> usize { call.arguments[nth].parse().expect("a size") };
                match call.arguments[1] {
                    "0" => file.change(Change::Size(file.length.max(number(2) + number(3)))),
                    // room that nobody sees
                    how => assert_eq!(how, "FALLOC_FL_KEEP_SIZE"),
                }
            }
            // SQLite's index is memory; what is read is no matter.
            "mmap" => {
                let writes = call
                    .arguments
                    .get(2)
                    .is_some_and(|how| how.contains("PROT_WRITE"))
                    && call
                        .arguments
                        .get(3)
                        .is_some_and(|how| how.contains("MAP_SHARED"));
                if let Some(path) = call.path(4) {
                    let shared = path.to_string_lossy().ends_with("-shm");
                    assert!(
                        !writes || shared || !self.is_here(&path),
                        "{path:?} is written by mmap"
                    );
                }
            }
            other => {
                let here = call
                    .arguments
                    .iter()
                    .enumerate()
                    .any(|(nth, _)| call.path(nth).is_some_and(|path| self.is_here(&path)));
                assert!(!here, "{other} is not understood: {:?}", call.arguments);
            }
        }
    }

    fn is_here(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| path.starts_with(folder))
    }
}

impl File {
    /// As it is, all of it on the disk.
    fn read(path: &Path) -> Option<Self> {
        let mut file = Self::new(path);
        let bytes = fs::read(path).ok()?;
        file.length = bytes.len();
        file.durable = Some(bytes);
        Some(file)
    }

    /// Just made.
    fn new(path: &Path) -> Self {
        let status = fs::symlink_metadata(path).ok();
        let parent = path.parent().and_then(|folder| fs::metadata(folder).ok());
        let status = status.or(parent);
        Self {
            owner: status.as_ref().map_or((0, 0), |s| (s.uid(), s.gid())),
            mode: status.as_ref().map_or(0o640, |s| s.mode() & 0o666),
            durable: None,
            since: Vec::new(),
            length: 0,
            appends: false,
        }
    }

    fn change(&mut self, change: Change) {
        match &change {
            Change::Size(size) => self.length = *size,
            Change::Write(at, bytes) => self.length = self.length.max(at + bytes.len()),
        }
        self.since.push(change);
    }

    fn sync(&mut self) {
        let mut bytes = self.durable.take().unwrap_or_default();
        for change in self.since.drain(..) {
            change.apply(&mut bytes);
        }
        self.durable = Some(bytes);
    }

    /// How many writes are lost, and what is left.
    fn after(&self, chance: &mut Chance) -> (usize, Vec<u8>) {
        let mut bytes = self.durable.clone().unwrap_or_default();
        let how = chance.below(4);
        let first = chance.below(self.since.len() + 1);
        let mut lost = 0;
        for (nth, change) in self.since.iter().enumerate() {
            match (how, change) {
                (0, _) => lost += 1,
                (1, _) if nth >= first => lost += 1,
                (2, _) if chance.one_in(2) => lost += 1,
                (2, Change::Write(at, written)) if chance.one_in(4) => {
                    lost += 1;
                    let sectors = chance.below(written.len() / SECTOR + 1) * SECTOR;
                    Change::Write(*at, written[..sectors].to_vec()).apply(&mut bytes);
                }
                _ => change.apply(&mut bytes),
            }
        }
        (lost, bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).expect("root may write anywhere");
        chown(path, Some(self.owner.0), Some(self.owner.1)).expect("root may give it away");
        fs::set_permissions(path, fs::Permissions::from_mode(self.mode)).expect("root may");
    }
}

/// One call that succeeded.
struct Call<'t> {
    name: &'t str,
    arguments: Vec<&'t str>,
    result: &'t str,
}

impl Call<'_> {
    /// The file that a descriptor stands for.
    fn path(&self, nth: usize) -> Option<PathBuf> {
        let argument = self.arguments.get(nth)?;
        let (_, behind) = argument.split_once('<')?;
        let (text, _) = behind.split_once('>')?;
        Some(path_of(&bytes(text)))
    }

    /// A name, and the folder that it is relative to.
    fn named(&self, folder: usize, name: usize) -> Option<PathBuf> {
        let name = path_of(&unquoted(self.arguments.get(name)?));
        Some(self.path(folder)?.join(name))
    }
}

/// All calls of all threads that came back with success, in the order in which they did.
fn calls(text: &str) -> Vec<Call<'_>> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, start);
            continue;
        }
        let (start, end) = match rest.strip_prefix("<... ") {
            Some(resumed) => match (begun.remove(thread), resumed.split_once(" resumed>")) {
                (Some(start), Some((_, end))) => (start, end),
                _ => continue,
            },
            None => (rest, ""),
        };
        let (Some((name, first)), Some((last, result))) = (
            start.split_once('('),
            (if end.is_empty() { start } else { end }).rsplit_once(" = "),
        ) else {
            continue;
        };
        let last = last.trim_end().trim_end_matches(')');
        let mut arguments: Vec<&str> = Vec::new();
        if end.is_empty() {
            let inside = first.rsplit_once(" = ").map_or(first, |(inside, _)| inside);
            arguments.extend(inside.trim_end().trim_end_matches(')').split(", "));
        } else {
            arguments.extend(first.split(", "));
            arguments.extend(last.trim_start_matches(", ").split(", "));
            arguments.retain(|argument| !argument.is_empty());
        }
        let result = result.split([' ', '<']).next().unwrap_or_default();
        if !result.starts_with('-') && result != "?" {
            calls.push(Call {
                name,
                arguments,
                result,
            });
        }
    }
    calls
}

/// What stands between quotes.
fn unquoted(argument: &str) -> Vec<u8> {
    bytes(argument.trim_matches('"'))
}

/// `\x2f\x74`.
fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace("\\x", "")).unwrap_or_else(|_| panic!("strace wrote {text}"))
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
