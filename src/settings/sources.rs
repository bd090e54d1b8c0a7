//! The texts behind the rules: read, hashed, to be kept.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::files::{self, ReadError};
use super::trust::{self, Distrust};
use super::{PolicyPath, Settings, SettingsError};
use crate::policy::SourceFile;
use crate::yaml::{self, Place, Problem};

impl Settings {
    /// The policy files, in the order listed, those of a folder by name: `*.yaml` and `*.yml`, without the settings
    /// file itself and without looking into further folders.
    ///
    /// # Errors
    /// A listed path that is not there, or a folder that cannot be looked into. The default folder need not exist.
    pub fn policy_files(&self) -> Result<Vec<PathBuf>, SettingsError> {
        let mut all: Vec<PathBuf> = Vec::new();
        for listed in &self.policies {
            let unreadable = |why: String| self.unreadable(listed, &listed.path, why);
            let metadata = match std::fs::metadata(&listed.path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound && listed.place.is_none() => {
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(unreadable("there is no such file or folder".into()));
                }
                Err(error) => return Err(unreadable(error.to_string())),
            };
            let files = if metadata.is_dir() {
                files::in_folder(&listed.path, &self.path)
                    .map_err(|error| unreadable(error.to_string()))?
            } else {
                vec![listed.path.clone()]
            };
            for file in files {
                if !all.contains(&file) {
                    all.push(file);
                }
            }
        }
        Ok(all)
    }

    /// The policy files with their texts, for [`crate::policy::Book::load`].
    ///
    /// # Errors
    /// As [`Settings::policy_files`], and a file that cannot be read or is too large.
    pub fn read_policies(&self) -> Result<Vec<SourceFile>, SettingsError> {
        let mut sources = Vec::new();
        for path in self.policy_files()? {
            let name = path.display().to_string();
            match files::read(&path) {
                Ok(text) => sources.push(SourceFile { name, text }),
                Err(ReadError::TooLarge) => {
                    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                    return Err(SettingsError::Wrong(vec![yaml::too_large(&name, bytes)]));
                }
                Err(error) => {
                    return Err(SettingsError::Unreadable {
                        path,
                        why: error.to_string(),
                    });
                }
            }
        }
        Ok(sources)
    }

    /// What others could change of settings and policies, given the trusted users: root and the ledger's owner.
    /// Empty where an operator may go on.
    ///
    /// # Errors
    /// As [`Settings::policy_files`].
    pub fn distrusted(&self, trusted: &[u32]) -> Result<Vec<Distrust>, SettingsError> {
        let files = self.policy_files()?;
        let listed = self.policies.iter().map(|listed| listed.path.as_path());
        let paths = std::iter::once(self.given.as_path())
            .chain(listed)
            .chain(files.iter().map(PathBuf::as_path));
        Ok(trust::check(paths, trusted))
    }

    fn unreadable(&self, listed: &PolicyPath, path: &Path, why: String) -> SettingsError {
        match listed.place {
            Some(place) => SettingsError::Wrong(vec![Problem::error(
                &self.source.name,
                place,
                format!("cannot read the policies {}: {why}", path.display()),
            )]),
            None => SettingsError::Wrong(vec![Problem::error(
                &self.source.name,
                Place::default(),
                format!(
                    "cannot read the policies {} (default): {why}",
                    path.display()
                ),
            )]),
        }
    }
}

/// One SHA-256 (hexadecimal) over the settings and all policies, their names and order included: what
/// `settings_changed` compares.
pub fn combined_hash(settings: &SourceFile, policies: &[SourceFile]) -> String {
    let mut hash = Sha256::new();
    for file in std::iter::once(settings).chain(policies) {
        // The line that sha256sum prints, so that anybody can compute it again.
        hash.update(format!("{}  {}\n", file.hash(), file.name));
    }
    hex::encode(hash.finalize())
}
