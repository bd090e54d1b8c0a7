//! The settings file: found, read, checked, and turned into what the other rooms take.
//!
//! Reading settings needs no privilege and tells no secret. Whether an operator may trust the files is a second
//! question: [`untrusted`].

mod document;
mod files;
mod groups;
mod house;
mod places;
mod read;
mod target;
mod trust;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use sha2::{Digest, Sha256};

pub use document::schema;
pub use files::read_policy;
pub use groups::Groups;
pub use house::{House, SharedAccount};
pub use places::{FoundBy, Home, Places, default_folder};
pub use read::load;
pub use target::{Accounts, Target};
pub use trust::Untrusted;
pub use values::Value;

use crate::access::{TargetName, Ttl};
use crate::engines::Dialect;
use crate::policy::{KnownTarget, KnownTargets};
use crate::yaml::{Place, Problem};

/// What the settings file says, defaults filled in. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file with all links resolved: what a ledger remembers.
    pub path: PathBuf,
    /// The file as it was found: relative paths in it start from its folder.
    pub given: PathBuf,
    pub found_by: FoundBy,
    pub home: Home,
    pub ledger: LedgerPlace,
    pub inbox: PathBuf,
    pub audit: PathBuf,
    /// Files and folders, as listed.
    pub policies: Vec<PolicyPath>,
    /// The files in them, in the order listed, those of a folder by name.
    pub policy_files: Vec<PathBuf>,
    pub sweep_within: Ttl,
    pub targets: BTreeMap<TargetName, Target>,
    house: Rc<House>,
    text: String,
    warnings: Vec<String>,
    /// Lines of the keys that the file sets, such as `inbox` and `groups.dba`.
    lines: BTreeMap<String, u64>,
}

/// Where the durable state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    Sqlite(PathBuf),
}

impl LedgerPlace {
    pub fn path(&self) -> &Path {
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

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("there are no settings: looked for {}", shown(looked))]
    Missing { looked: Vec<PathBuf> },
    #[error("cannot read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    /// Sorted by place, never empty.
    #[error("{}", lines(.0))]
    Wrong(Vec<Problem>),
}

impl SettingsError {
    /// Commands to run.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { .. } => vec![
                "make some: jit init".into(),
                "or name them: --config FILE".into(),
            ],
            Self::Unreadable { .. } => vec![
                "name others: --config FILE".into(),
                "or make some: jit init".into(),
            ],
            Self::Wrong(_) => vec!["mend it, then: jit settings".into()],
        }
    }
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

impl Settings {
    /// For standard error: such as two settings files of which one was taken.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// Who is who.
    pub fn house(&self) -> Rc<House> {
        self.house.clone()
    }

    /// What the lints must know of the targets.
    pub fn target_kinds(&self) -> KnownTargets {
        let kind = |target: &Target| KnownTarget {
            ignore_column_case: target.address.dialect == Dialect::Mysql,
        };
        self.targets
            .iter()
            .map(|(name, target)| (name.clone(), kind(target)))
            .collect()
    }

    /// SHA-256 (hexadecimal) and text of the settings file, as it was read.
    pub fn text_and_hash(&self) -> (String, String) {
        (hex::encode(Sha256::digest(&self.text)), self.text.clone())
    }
}

/// One SHA-256 (hexadecimal) over hashes and texts in their order, settings first: what `settings_changed` compares.
/// Made of the hashes alone, a line each, so that `sha256sum` and `cut` can make it too.
pub fn hash_of(texts: &[(String, String)]) -> String {
    let mut all = Sha256::new();
    for (hash, _) in texts {
        all.update(hash);
        all.update("\n");
    }
    hex::encode(all.finalize())
}

/// What others could change of settings and policies, given the trusted users: root and whoever owns the ledger.
/// Empty where an operator may go on. Looks at the files, at folders that are read whole, at every folder on the way
/// to them, and along links.
pub fn untrusted(settings: &Settings, trusted: &[u32]) -> Vec<Untrusted> {
    let listed = settings.policies.iter().map(|listed| &listed.path);
    let paths = std::iter::once(&settings.given)
        .chain(listed)
        .chain(&settings.policy_files);
    trust::check(paths.map(PathBuf::as_path), trusted)
}
