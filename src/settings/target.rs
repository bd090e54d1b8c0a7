//! One target of the settings.

use std::path::{Path, PathBuf};

use super::document::TargetDoc;
use crate::access::Grantee;
use crate::engines::password::PasswordSource;
use crate::engines::{Address, Dialect};
use crate::yaml::Problem;

/// A database that jit manages, and how to get in.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: Address,
    pub accounts: Accounts,
    /// The URL as written: it never holds a secret.
    pub url: String,
    /// Which keys the file sets, with their lines.
    pub(super) lines: Vec<(&'static str, u64)>,
}

/// Which accounts people have on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// With `{user}` in it.
    pub pattern: String,
    pub dialect: Dialect,
}

/// Where a person's name goes in a pattern.
const USER: &str = "{user}";

impl Target {
    /// Reads a target. Relative paths are relative to `base`.
    ///
    /// # Errors
    /// The first problem.
    pub(super) fn read(file: &str, base: &Path, doc: &TargetDoc) -> Result<Self, Problem> {
        let mut address =
            Address::parse(&doc.url).map_err(|why| Problem::error(file, doc.url.place, why))?;
        let mut lines = vec![("url", doc.url.place.line)];
        if let Some(password) = &doc.password {
            lines.push(("password", password.place.line));
            address.password = match &password.value.0 {
                PasswordSource::File(path) => PasswordSource::File(base.join(path)),
                other => other.clone(),
            };
        }
        let own = &mut address.client_certificate;
        for path in address
            .root_certificate
            .iter_mut()
            .chain(&mut address.revocation_list)
            .chain(own.iter_mut().flat_map(|(a, b)| [a, b]))
        {
            *path = base.join(&*path);
        }
        if let Some(grantor) = &doc.grantor {
            lines.push(("grantor", grantor.place.line));
            let wrong = |why: &str| Err(Problem::error(file, grantor.place, why));
            if address.dialect != Dialect::Postgres {
                return wrong("only Postgres has a grantor");
            }
            // Names over 63 bytes are cut by the server, and "public" and "none" mean something else
            // (facts-postgres, "Identifiers").
            if grantor.is_empty() || grantor.len() > 63 || grantor.contains('\0') {
                return wrong("a grantor is a role's name of 1 to 63 bytes");
            }
            if matches!(grantor.as_str(), "public" | "none") || grantor.starts_with("pg_") {
                return wrong("this name is reserved by Postgres");
            }
            if **grantor == address.user {
                return wrong("the grantor is a role of its own, not the login of the url");
            }
            address.grantor.clone_from(&grantor.value);
        }
        let pattern = match &doc.grantee {
            None => default_pattern(address.dialect).to_owned(),
            Some(pattern) => {
                lines.push(("grantee", pattern.place.line));
                check_pattern(pattern).map_err(|why| Problem::error(file, pattern.place, why))?;
                pattern.value.clone()
            }
        };
        let accounts = Accounts {
            pattern,
            dialect: address.dialect,
        };
        Ok(Self {
            address,
            accounts,
            url: doc.url.value.clone(),
            lines,
        })
    }
}

impl Accounts {
    /// The account that the pattern gives a person.
    pub fn account(&self, user: &str) -> Grantee {
        self.whole(self.pattern.replace(USER, user))
    }

    /// An account as the engine writes it: on MySQL a host belongs to it.
    pub(super) fn whole(&self, account: String) -> Grantee {
        match self.dialect {
            Dialect::Mysql if !account.contains('@') => Grantee((account + "@%").into()),
            _ => Grantee(account.into()),
        }
    }

    /// Equal exactly where the server takes two accounts for one: on MySQL hosts compare without case
    /// (facts-mysql, "Storage").
    pub(super) fn as_compared(&self, grantee: &Grantee) -> Grantee {
        match self.dialect {
            Dialect::Postgres => grantee.clone(),
            Dialect::Mysql => {
                let (user, host) = grantee.user_and_host();
                Grantee(format!("{user}@{}", host.to_lowercase()).into())
            }
        }
    }
}

fn default_pattern(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => USER,
        Dialect::Mysql => "{user}@%",
    }
}

/// A pattern without `{user}` would give everybody the same account.
fn check_pattern(pattern: &str) -> Result<(), String> {
    if !pattern.contains(USER) {
        return Err(format!(
            "the grantee must hold {USER}, or everybody would share one account; write single people under `people:`"
        ));
    }
    let rest = pattern.replace(USER, "");
    if rest.contains(['{', '}']) {
        return Err(format!("the grantee knows only {USER}"));
    }
    check_account(&rest)
}

/// What may stand in an account's name.
pub(super) fn check_account(account: &str) -> Result<(), String> {
    if account.chars().any(char::is_control) {
        return Err("an account's name has no control characters".into());
    }
    if account.len() > 255 {
        return Err("the account's name is too long".into());
    }
    Ok(())
}

/// A path of the file: absolute, or relative to its folder.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(super) fn path(base: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("a path was expected here".into());
    }
    if text == "~" || text.starts_with("~/") || text.starts_with('$') {
        return Err("neither ~ nor variables are known here; write the whole path".into());
    }
    Ok(base.join(text))
}
