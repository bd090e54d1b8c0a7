//! The operators' side: whose deposits there are, taking them in turns, and putting views back.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::client::{is_submission, read_submission};
use super::folders::{Inbox, Slot, beneath, list, told};
use super::place::Place;
use super::{FILE, digest, file_of, unreadable};
use crate::access::Person;
use crate::stores::{Content, Deposit, Inbox as InboxTrait, Oddity, Sheet, StoreError};

/// Names in the inbox that are looked at in one go. Beyond, only people of this host's own files are looked for.
const LISTED: usize = 200_000;
/// Folders of people whom this host's own files do not name (directory services) that are opened in one go.
const STRANGERS: usize = 20_000;
/// Names in one mailbox that are looked at in one go.
const LISTED_EACH: usize = 2_000;
/// Bytes of submissions that one go returns: what is beyond waits for the next.
const BYTES: usize = 16 * 1024 * 1024;

/// Who is who on this host: reading `/etc/passwd` and asking directory services is for the caller.
pub struct Names {
    /// The name of a uid; `None` where it has none, and then its submissions wait.
    pub name_of: Box<dyn Fn(u32) -> Option<String>>,
    /// The uids that can be listed at no cost. They are found even in a flooded inbox.
    pub local: Box<dyn Fn() -> Vec<u32>>,
}

/// All mailboxes, for an operator.
pub struct Mailboxes {
    inbox: Inbox,
    names: Names,
}

/// A mailbox's names, oldest first, and how far they are taken.
struct Waiting {
    person: Person,
    /// Oldest last, so that the next one is popped.
    deposits: Vec<(CString, Slot)>,
}

impl Mailboxes {
    /// # Errors
    /// `Missing`; `NotOurs` where its mode or file system is not what an inbox needs.
    pub fn open(path: &Path, names: Names) -> Result<Self, StoreError> {
        Ok(Self {
            inbox: Inbox::open(path)?,
            names,
        })
    }

    /// The mailboxes that fit, by person. A person may have several.
    fn mailboxes(&self) -> Result<BTreeMap<Person, Vec<Slot>>, StoreError> {
        let numbered = |name: &[u8], kind: FileType| {
            matches!(kind, FileType::Directory | FileType::Unknown) && Slot::read(name).is_some()
        };
        let (names, more) = list(&self.inbox.folder, LISTED, numbered)
            .map_err(|error| unreadable(&self.inbox.path, error))?;
        let listed = names.iter().filter_map(|name| Slot::read(name.to_bytes()));
        let local: BTreeSet<u32> = (self.names.local)().into_iter().collect();
        let (mut known, strangers): (BTreeSet<Slot>, Vec<Slot>) = {
            let (known, strangers): (Vec<_>, Vec<_>) =
                listed.partition(|slot| local.contains(&slot.uid));
            (known.into_iter().collect(), strangers)
        };
        if more {
            known.extend(local.iter().flat_map(|uid| Slot::all(*uid)));
        }
        let mut people: BTreeMap<u32, Option<Person>> = BTreeMap::new();
        let mut found: BTreeMap<Person, Vec<Slot>> = BTreeMap::new();
        for slot in known
            .into_iter()
            .chain(strangers.into_iter().take(STRANGERS))
        {
            // The folder first: a name may cost a question to a directory service, and only owners are worth it.
            if self.inbox.fitting(slot).is_err() {
                continue;
            }
            let person = people.entry(slot.uid).or_insert_with(|| {
                (self.names.name_of)(slot.uid).map(|name| Person {
                    uid: slot.uid,
                    name,
                })
            });
            if let Some(person) = person {
                found.entry(person.clone()).or_default().push(slot);
            }
        }
        Ok(found)
    }

    fn waiting(&self, person: Person, slots: Vec<Slot>, most: usize) -> Waiting {
        let mut deposits = Vec::new();
        for slot in slots {
            // A mailbox that cannot be read now is its owner's trouble alone.
            if let Ok(folder) = self.inbox.fitting(slot)
                && let Ok((names, _)) = list(&folder, LISTED_EACH, is_submission)
            {
                deposits.extend(names.into_iter().map(|name| (name, slot)));
            }
        }
        deposits.sort();
        deposits.truncate(most);
        deposits.reverse();
        Waiting { person, deposits }
    }

    /// `None` where it is gone meanwhile.
    fn deposit(&self, person: &Person, slot: Slot, name: CString) -> Option<Deposit> {
        let folder = self.inbox.fitting(slot).ok()?;
        let opened = match beneath(&folder, name.as_c_str(), FILE | OFlags::RDONLY) {
            Err(Errno::NOENT) => return None,
            opened => opened.map_err(|error| told(error).to_owned()),
        };
        let mut inode = 0;
        let bytes = opened.and_then(|file| {
            let status = fstat(&file).map_err(|error| error.to_string())?;
            inode = status.st_ino;
            self.inbox.rules.submission(&status, person.uid)?;
            read_submission(file)
        });
        let place = Place { slot, name, inode }.text();
        let (digest, content) = match bytes {
            Ok(bytes) => (digest(person.uid, &bytes), Content::Bytes(bytes)),
            // Its content may be anything and endless; the place is what is told and remembered.
            Err(why) => (
                digest(person.uid, format!("unacceptable\0{place}").as_bytes()),
                Content::Unacceptable(why),
            ),
        };
        Some(Deposit {
            person: person.clone(),
            digest,
            content,
            place,
        })
    }
}

impl InboxTrait for Mailboxes {
    /// At most 100.
    fn oddities(&self) -> Result<Vec<Oddity>, StoreError> {
        let any = |_: &[u8], _: FileType| true;
        let (names, more) = list(&self.inbox.folder, LISTED, any)
            .map_err(|error| unreadable(&self.inbox.path, error))?;
        let mut odd = Vec::new();
        if more {
            odd.push(Oddity {
                name: self.inbox.path.display().to_string(),
                why: format!("it holds more than {LISTED} names"),
            });
        }
        for name in names {
            let fits = match Slot::read(name.to_bytes()) {
                None => Err("it has not the name of a mailbox".to_owned()),
                Some(slot) => self.inbox.fitting(slot).and_then(|_| {
                    let named = (self.names.name_of)(slot.uid).is_some();
                    named
                        .then_some(())
                        .ok_or_else(|| format!("uid {} has no name", slot.uid))
                }),
            };
            if let Err(why) = fits {
                odd.push(Oddity {
                    name: name.to_string_lossy().into_owned(),
                    why,
                });
            }
            if odd.len() == 100 {
                break;
            }
        }
        Ok(odd)
    }

    fn deposits(&self, per_person: usize) -> Result<Vec<Deposit>, StoreError> {
        let mut waiting: Vec<Waiting> = self
            .mailboxes()?
            .into_iter()
            .map(|(person, slots)| self.waiting(person, slots, per_person))
            .filter(|waiting| !waiting.deposits.is_empty())
            .collect();
        // Somebody else begins each time, so that the bound on bytes does not always meet the same people.
        if !waiting.is_empty() {
            let first = getrandom::u32().unwrap_or(0) as usize % waiting.len();
            waiting.rotate_left(first);
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while !waiting.is_empty() && bytes < BYTES {
            for one in &mut waiting {
                if bytes >= BYTES {
                    break;
                }
                let Some((name, slot)) = one.deposits.pop() else {
                    continue;
                };
                if let Some(deposit) = self.deposit(&one.person, slot, name) {
                    bytes += match &deposit.content {
                        Content::Bytes(content) => content.len(),
                        Content::Unacceptable(_) => 0,
                    } + size_of::<Deposit>();
                    taken.push(deposit);
                }
            }
            waiting.retain(|one| !one.deposits.is_empty());
        }
        Ok(taken)
    }

    fn discard(&self, deposit: &Deposit) -> Result<(), StoreError> {
        let path = self.inbox.path.join(&deposit.place);
        let Some(place) = Place::read(&deposit.place) else {
            return Err(StoreError::Missing(path.display().to_string()));
        };
        let Ok(folder) = self.inbox.fitting(place.slot) else {
            return Ok(());
        };
        // Another one under the same name was not read: it stays for the next time.
        if place.inode != 0 {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match beneath(&folder, place.name.as_c_str(), flags).and_then(fstat) {
                Ok(status) if status.st_ino == place.inode => {}
                Ok(_) | Err(Errno::NOENT) => return Ok(()),
                Err(error) => return Err(super::unwritable(&path, error)),
            }
        }
        match unlinkat(&folder, place.name.as_c_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {
                crate::failpoint::reach("deposit-discarded");
                Ok(())
            }
            Err(Errno::ISDIR) => set_aside(&folder, &place.name).map_err(|e| unreadable(&path, e)),
            Err(error) => Err(super::unwritable(&path, error)),
        }
    }

    fn people(&self) -> Result<Vec<Person>, StoreError> {
        Ok(self.mailboxes()?.into_keys().collect())
    }

    fn publish(&self, person: &Person, sheet: Sheet, text: &[u8]) -> Result<(), StoreError> {
        let name = file_of(sheet);
        for slot in Slot::all(person.uid) {
            let Ok(folder) = self.inbox.fitting(slot) else {
                continue;
            };
            if has(&folder, name, text) {
                continue;
            }
            put(&folder, name, text).map_err(|error| StoreError::Unwritable {
                path: self
                    .inbox
                    .path
                    .join(slot.name())
                    .join(name)
                    .display()
                    .to_string(),
                why: error.to_string(),
            })?;
        }
        Ok(())
    }
}

/// Whether the file there is this one already.
fn has(folder: &OwnedFd, name: &str, text: &[u8]) -> bool {
    let Ok(file) = beneath(folder, name, FILE | OFlags::RDONLY) else {
        return false;
    };
    let same_size = fstat(&file).is_ok_and(|status| {
        FileType::from_raw_mode(status.st_mode) == FileType::RegularFile
            && usize::try_from(status.st_size) == Ok(text.len())
    });
    same_size && is_told_by(&mut File::from(file), text).unwrap_or(false)
}

/// Whether it holds these bytes and no others; read piece by piece, for there are megabytes.
fn is_told_by(file: &mut File, text: &[u8]) -> std::io::Result<bool> {
    let mut rest = text;
    let mut piece = [0; 16 * 1024];
    loop {
        let read = file.read(&mut piece)?;
        match rest.split_at_checked(read) {
            Some((_, after)) if read == 0 => return Ok(after.is_empty()),
            Some((same, after)) if *same == piece[..read] => rest = after,
            _ => return Ok(false),
        }
    }
}

/// Writes the file beside, then renames it into place. The folder belongs to somebody who may do anything in it
/// meanwhile: what comes of it is only ever what that person reads.
fn put(folder: &OwnedFd, name: &str, text: &[u8]) -> std::io::Result<()> {
    let stem = name.trim_end_matches(".json");
    let beside = format!(".{stem}.{}", std::process::id());
    let written = write(folder, &beside, text).and_then(|()| {
        match renameat(folder, &beside, folder, name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                set_aside(folder, &CString::new(name)?)?;
                renameat(folder, &beside, folder, name)?;
            }
            done => done?,
        }
        crate::failpoint::reach("view-published");
        Ok(())
    });
    if written.is_err() {
        let _ = unlinkat(folder, &beside, AtFlags::empty());
    }
    written
}

fn write(folder: &OwnedFd, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(Errno::ISDIR) => set_aside(folder, &CString::new(name)?)?,
        Err(error) => return Err(error.into()),
    }
    let flags = FILE | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let file = openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    fchmod(&file, Mode::from_raw_mode(0o644))?;
    File::from(file).write_all(bytes)?;
    crate::failpoint::reach("view-written");
    Ok(())
}

/// A folder where a file should be: its owner put it there, it may be full, so it is only moved out of the way.
fn set_aside(folder: impl AsFd, name: &CStr) -> Result<(), Errno> {
    let aside = format!(".aside.{:08x}", getrandom::u32().unwrap_or(0));
    renameat(&folder, name, &folder, &aside)?;
    crate::failpoint::reach("set-aside");
    Ok(())
}
