//! The settings file: found, read, checked, and turned into what the other rooms take.
//!
//! Reading settings needs no privilege and tells no secret. Policies are read by a second call, for only operators
//! and the policy commands need them. Whether an operator may trust the files is a third: [`trust`].

pub mod document;
mod files;
mod groups;
mod origin;
mod places;
mod read;
mod sources;
mod target;
pub mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

pub use document::schema;
pub use groups::Groups;
pub use origin::{Origin, Setting};
pub use places::{FoundBy, Home, Places};
pub use read::load;
pub use sources::combined_hash;
pub use target::Target;

use crate::access::{Grantee, TargetName, Ttl};
use crate::engines::Dialect;
use crate::policy::{Directory, KnownTarget, KnownTargets, SourceFile};
use crate::yaml::{Place, Problem, nearest};

/// What the settings file says, defaults filled in. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file with all links resolved: what a ledger remembers.
    pub path: PathBuf,
    /// The file as it was found.
    pub given: PathBuf,
    pub found_by: FoundBy,
    pub home: Home,
    pub ledger: LedgerPlace,
    pub inbox: PathBuf,
    pub audit: PathBuf,
    /// Files and folders, as listed. See [`Settings::policy_files`].
    pub policies: Vec<PolicyPath>,
    pub sweep_within: Ttl,
    pub targets: BTreeMap<TargetName, Target>,
    pub groups: Groups,
    /// Accounts of people where the target's pattern does not fit.
    pub people: BTreeMap<String, BTreeMap<TargetName, Grantee>>,
    /// User names and `group:NAME`.
    pub admins: Vec<String>,
    /// For standard error: such as two settings files of which one was taken.
    pub warnings: Vec<String>,
    /// The file's text, as it was read.
    pub source: SourceFile,
    /// Lines of the keys that the file sets, for `jit settings --origin`.
    lines: BTreeMap<&'static str, u64>,
    group_lines: BTreeMap<String, u64>,
    people_lines: BTreeMap<String, u64>,
}

/// Where the durable state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    Sqlite(PathBuf),
}

impl LedgerPlace {
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Sqlite(path) => path,
        }
    }
}

impl fmt::Display for LedgerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

/// A policy file, or a folder of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPath {
    pub path: PathBuf,
    /// `None` for the default, which need not exist.
    pub place: Option<Place>,
}

/// Why there are no settings. Exit code 8, but for `Missing`.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(
        "there are no settings: looked for {}; jit init makes some",
        shown(looked)
    )]
    Missing { looked: Vec<PathBuf> },
    #[error("cannot read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    /// Sorted by place, never empty.
    #[error("{}", lines(.0))]
    Wrong(Vec<Problem>),
}

fn shown(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A target that the settings do not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings know no target {name:?}{}", near.as_ref().map_or(String::new(), |near| format!("; did you mean {near:?}?")))]
pub struct UnknownTarget {
    pub name: String,
    pub near: Option<String>,
}

impl Settings {
    /// # Errors
    /// [`UnknownTarget`], with the nearest name.
    pub fn target(&self, name: &TargetName) -> Result<&Target, UnknownTarget> {
        self.targets.get(name).ok_or_else(|| UnknownTarget {
            name: name.0.clone(),
            near: nearest(&name.0, self.targets.keys().map(|name| name.as_str())).map(Into::into),
        })
    }

    /// The account that a person has on a target: their own where `people:` names one, else the target's pattern.
    ///
    /// # Errors
    /// [`UnknownTarget`].
    pub fn grantee(&self, target: &TargetName, user: &str) -> Result<Grantee, UnknownTarget> {
        let settings = self.target(target)?;
        let own = self
            .people
            .get(user)
            .and_then(|accounts| accounts.get(target));
        Ok(own.cloned().unwrap_or_else(|| settings.account(user)))
    }

    /// Whether somebody may revoke by selector and see every request.
    pub fn is_admin(&self, user: &str) -> bool {
        self.admins.iter().any(|entry| self.covers(entry, user))
    }

    /// What the lints must know of the targets.
    pub fn known_targets(&self) -> KnownTargets {
        self.targets
            .iter()
            .map(|(name, target)| {
                let ignore_column_case = target.dialect == Dialect::Mysql;
                (name.clone(), KnownTarget { ignore_column_case })
            })
            .collect()
    }

    /// Everybody whom groups, `people:` or `admins:` name, sorted.
    pub fn known_people(&self) -> BTreeSet<&str> {
        let grouped = self.groups.iter().flat_map(|(_, people)| people);
        let admins = self
            .admins
            .iter()
            .filter(|entry| !entry.starts_with("group:"));
        grouped
            .chain(self.people.keys())
            .chain(admins)
            .map(String::as_str)
            .collect()
    }

    /// Accounts that several known people would share: nobody could tell their leases apart.
    pub fn shared_accounts(&self) -> Vec<SharedAccount> {
        let mut shared: Vec<SharedAccount> = Vec::new();
        for (name, target) in &self.targets {
            let mut accounts: Vec<SharedAccount> = Vec::new();
            for person in self.known_people() {
                let Ok(grantee) = self.grantee(name, person) else {
                    continue;
                };
                match accounts
                    .iter_mut()
                    .find(|known| target.same_account(&known.grantee, &grantee))
                {
                    Some(known) => known.people.push(person.to_owned()),
                    None => accounts.push(SharedAccount {
                        target: name.clone(),
                        grantee,
                        people: vec![person.to_owned()],
                    }),
                }
            }
            shared.extend(
                accounts
                    .into_iter()
                    .filter(|account| account.people.len() > 1),
            );
        }
        shared
    }
}

/// One account of several people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SharedAccount {
    pub target: TargetName,
    pub grantee: Grantee,
    pub people: Vec<String>,
}

impl Directory for Settings {
    fn members(&self, entry: &str) -> Vec<String> {
        if entry.starts_with("group:") {
            self.groups
                .of(entry)
                .into_iter()
                .flatten()
                .cloned()
                .collect()
        } else {
            vec![entry.to_owned()]
        }
    }

    fn covers(&self, entry: &str, person: &str) -> bool {
        if entry.starts_with("group:") {
            self.groups
                .of(entry)
                .is_some_and(|people| people.contains(person))
        } else {
            entry == person
        }
    }

    fn knows(&self, entry: &str) -> bool {
        if entry.starts_with("group:") {
            self.groups.has(entry)
        } else {
            self.groups.has_person(entry)
                || self.people.contains_key(entry)
                || self.admins.iter().any(|admin| admin == entry)
        }
    }

    fn groups(&self) -> Vec<String> {
        self.groups
            .iter()
            .map(|(name, _)| format!("group:{name}"))
            .collect()
    }
}
