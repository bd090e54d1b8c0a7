//! From the file to [`Settings`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::document::SettingsFile;
use super::files::{self, ReadError};
use super::groups::Groups;
use super::places::{FoundBy, Places};
use super::target::{self, Target};
use super::{House, LedgerPlace, PolicyPath, Settings, SettingsError};
use crate::access::{Grantee, TargetName, Ttl};
use crate::policy::document::check_who;
use crate::yaml::{self, Place, Placed, Problem, nearest};

/// Grants need a sweep within this time unless the file says otherwise.
const SWEEP_WITHIN: Ttl = Ttl::from_secs(5 * 60);

/// Finds the settings file and reads it.
///
/// The first of `--config`, `$JIT_CONFIG`, the user's and /etc's decides. One that a flag or variable names must
/// exist; of the others, the first that exists is taken, and a warning names both where both do.
///
/// # Errors
/// `Missing` where there is none, `Unreadable`, or all problems that are found in it.
pub fn load(places: &Places) -> Result<Settings, SettingsError> {
    let found = find(places)?;
    let given = std::path::absolute(&found.given).map_err(|error| SettingsError::Unreadable {
        path: found.given.clone(),
        why: error.to_string(),
    })?;
    let unreadable = |why: String| SettingsError::Unreadable {
        path: given.clone(),
        why,
    };
    let text = files::read(&given).map_err(|error| match error {
        ReadError::Missing => unreadable(format!("{error} ({})", found.by.words())),
        error => unreadable(error.to_string()),
    })?;
    let path = given
        .canonicalize()
        .map_err(|error| unreadable(error.to_string()))?;
    let name = given.display().to_string();
    let document = yaml::read::<SettingsFile>(&name, &text)
        .map_err(|problem| SettingsError::Wrong(vec![problem]))?;
    let mut reader = Reader {
        name,
        base: given.parent().unwrap_or(Path::new("/")).to_owned(),
        problems: Vec::new(),
        lines: BTreeMap::new(),
    };
    let found = Found { given, ..found };
    // That it is UTF-8 was found out by reading it.
    let text = String::from_utf8_lossy(&text).into_owned();
    let settings = reader.settings(places, found, path, text, document);
    if reader.problems.is_empty() {
        return Ok(settings);
    }
    reader.problems.sort();
    Err(SettingsError::Wrong(reader.problems))
}

/// A settings file, and how it was found.
struct Found {
    by: FoundBy,
    given: PathBuf,
    warnings: Vec<String>,
}

fn find(places: &Places) -> Result<Found, SettingsError> {
    let candidates = places.candidates();
    let both = |taken: &Path, left: &Path| {
        format!(
            "two settings files: {} is taken, {} is not",
            taken.display(),
            left.display()
        )
    };
    let found = |by: FoundBy, path: &Path, left: Option<&Path>| Found {
        by,
        given: path.to_owned(),
        warnings: left.map(|left| both(path, left)).into_iter().collect(),
    };
    if let (Some(flag), Some(env)) = (&places.flag, &places.env)
        && flag != env
    {
        return Ok(found(FoundBy::Flag, flag, Some(env)));
    }
    let named = |by: &FoundBy| matches!(by, FoundBy::Flag | FoundBy::Variable);
    if let Some((by, path)) = candidates.iter().find(|(by, _)| named(by)) {
        return Ok(found(*by, path, None));
    }
    // Something that cannot be looked at counts as there: taking the next one silently would be a guess.
    let mut there = candidates
        .iter()
        .filter(|(_, path)| path.try_exists().unwrap_or(true));
    match (there.next(), there.next()) {
        (Some((by, path)), left) => Ok(found(*by, path, left.map(|(_, path)| path.as_path()))),
        (None, _) => Err(SettingsError::Missing {
            looked: candidates.into_iter().map(|(_, path)| path).collect(),
        }),
    }
}

struct Reader {
    name: String,
    base: PathBuf,
    problems: Vec<Problem>,
    lines: BTreeMap<String, u64>,
}

impl Reader {
    fn error(&mut self, place: Place, what: impl Into<String>) {
        self.problems.push(Problem::error(&self.name, place, what));
    }

    fn unknown_target(&mut self, place: Place, name: &str, document: &SettingsFile) {
        let known = document
            .targets
            .iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        let problem = Problem::error(&self.name, place, format!("there is no target {name:?}"));
        self.problems.push(match nearest(name, known) {
            Some(near) => problem.cure(format!("did you mean {near:?}?")),
            None => problem,
        });
    }

    fn settings(
        &mut self,
        places: &Places,
        found: Found,
        path: PathBuf,
        text: String,
        document: SettingsFile,
    ) -> Settings {
        if document.version.value != 1 {
            let problem = format!("version {} is not known", document.version.value);
            self.problems.push(
                Problem::error(&self.name, document.version.place, problem)
                    .cure("this jit reads version 1"),
            );
        }
        let state = places.state(&found.given);
        let targets = self.targets(&document);
        let groups = Groups::resolve(&self.name, &document, &mut self.problems);
        let house = House {
            admins: self.admins(&document, &groups),
            people: settle(self.people(&document), &targets),
            accounts: targets
                .iter()
                .map(|(name, target)| (name.clone(), target.accounts.clone()))
                .collect(),
            groups,
        };
        for (group, members) in document.groups.iter().flatten() {
            self.line(&format!("groups.{group}"), members.place);
        }
        let ledger = self.ledger(document.ledger, state.ledger);
        let inbox = self.path("inbox", document.inbox, state.inbox);
        let audit = self.path("audit", document.audit, state.audit);
        let policies = self.policies(document.policies);
        let sweep_within = document.sweep_within.map_or(SWEEP_WITHIN, |within| {
            self.line("sweep_within", within.place);
            within.value
        });
        self.apart(ledger.path(), &inbox, &audit);
        Settings {
            home: places.home(&found.given),
            ledger,
            inbox,
            audit,
            policy_files: self.policy_files(&policies, &path),
            policies,
            sweep_within,
            targets,
            house: Rc::new(house),
            text,
            path,
            given: found.given,
            found_by: found.by,
            warnings: found.warnings,
            lines: std::mem::take(&mut self.lines),
        }
    }

    fn line(&mut self, key: &str, place: Place) {
        self.lines.insert(key.to_owned(), place.line);
    }

    /// Ledger, inbox and audit file must not lie in each other's place: they have different modes.
    fn apart(&mut self, ledger: &Path, inbox: &Path, audit: &Path) {
        let folder = ledger.parent().unwrap_or(ledger);
        let place = |key: &str| {
            self.lines.get(key).map_or(Place::default(), |line| Place {
                line: *line,
                column: 1,
            })
        };
        let (at_inbox, at_audit) = (place("inbox"), place("audit"));
        if audit == ledger {
            self.error(at_audit, "ledger and audit file are the same");
        }
        if inbox.starts_with(folder) || ledger.starts_with(inbox) {
            let what = format!(
                "inbox ({}) and ledger ({}) must lie in folders of their own",
                inbox.display(),
                ledger.display()
            );
            self.error(at_inbox, what);
        }
        if audit.starts_with(inbox) {
            self.error(at_audit, "the audit file must not lie in the inbox");
        }
    }

    fn path(&mut self, key: &str, text: Option<Placed<String>>, default: PathBuf) -> PathBuf {
        let Some(text) = text else {
            return default;
        };
        self.line(key, text.place);
        match target::path(&self.base, &text) {
            Ok(path) => path,
            Err(why) => {
                self.error(text.place, why);
                default
            }
        }
    }

    fn ledger(&mut self, text: Option<Placed<String>>, default: PathBuf) -> LedgerPlace {
        let Some(text) = text else {
            return LedgerPlace::Sqlite(default);
        };
        let scheme = text.value.split(':').next().unwrap_or("");
        let rest = text.value.strip_prefix("sqlite:");
        match rest {
            Some(rest) if !rest.starts_with("//") => {
                let rest = Placed {
                    value: rest.to_owned(),
                    place: text.place,
                };
                LedgerPlace::Sqlite(self.path("ledger", Some(rest), default))
            }
            _ => {
                let why = if matches!(scheme, "postgres" | "postgresql") {
                    "a Postgres ledger is not known to this version"
                } else {
                    "the ledger is not written as a SQLite file"
                };
                self.problems.push(
                    Problem::error(&self.name, text.place, why)
                        .cure("write sqlite:/var/lib/jit/ledger/ledger.db"),
                );
                LedgerPlace::Sqlite(default)
            }
        }
    }

    fn policies(&mut self, listed: Option<Vec<Placed<String>>>) -> Vec<PolicyPath> {
        let Some(listed) = listed else {
            return vec![PolicyPath {
                path: self.base.join("policies"),
                place: None,
            }];
        };
        let mut paths: Vec<PolicyPath> = Vec::new();
        for text in listed {
            self.lines
                .entry("policies".into())
                .or_insert(text.place.line);
            match target::path(&self.base, &text) {
                Ok(path) if paths.iter().any(|known| known.path == path) => {
                    self.error(text.place, "this path is there twice");
                }
                Ok(path) => paths.push(PolicyPath {
                    path,
                    place: Some(text.place),
                }),
                Err(why) => self.error(text.place, why),
            }
        }
        paths
    }

    /// The files that the listed paths lead to, without the settings file itself.
    fn policy_files(&mut self, listed: &[PolicyPath], settings: &Path) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = Vec::new();
        for PolicyPath { path, place } in listed {
            let found = match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => files::in_folder(path, settings),
                Ok(_) => Ok(vec![path.clone()]),
                Err(error) if error.kind() == ErrorKind::NotFound && place.is_none() => continue,
                Err(error) => Err(error),
            };
            match found {
                Ok(files) => all.extend(files),
                Err(error) => {
                    let why = match error.kind() {
                        ErrorKind::NotFound => "there is no such file or folder".to_owned(),
                        _ => error.to_string(),
                    };
                    let what = format!("cannot read the policies {}: {why}", path.display());
                    self.error(place.unwrap_or_default(), what);
                }
            }
        }
        let mut seen = BTreeSet::new();
        all.retain(|file| seen.insert(file.clone()));
        all
    }

    fn targets(&mut self, document: &SettingsFile) -> BTreeMap<TargetName, Target> {
        let mut targets = BTreeMap::new();
        for (name, doc) in document.targets.iter().flatten() {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
                let what = format!("{name:?} cannot be a target's name");
                self.problems.push(
                    Problem::error(&self.name, doc.place, what)
                        .cure("use 1 to 63 letters, digits, \"-\", \"_\" or \".\""),
                );
            }
            match Target::read(&self.name, &self.base, doc) {
                Ok(target) => {
                    for (part, line) in &target.lines {
                        self.lines.insert(format!("targets.{name}.{part}"), *line);
                    }
                    targets.insert(TargetName(name.clone().into()), target);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        targets
    }

    fn people(
        &mut self,
        document: &SettingsFile,
    ) -> BTreeMap<String, BTreeMap<TargetName, String>> {
        let mut people = BTreeMap::new();
        for (person, accounts) in document.people.iter().flatten() {
            if check_who(person).is_err() || person.starts_with("group:") {
                let what = format!("{person:?} is not a user's name");
                self.error(accounts.place, what);
            }
            let mut own = BTreeMap::new();
            for (target, account) in accounts.iter() {
                if !document
                    .targets
                    .iter()
                    .flatten()
                    .any(|(name, _)| name == target)
                {
                    self.unknown_target(account.place, target, document);
                }
                if account.is_empty() {
                    self.error(account.place, "an account's name was expected here");
                } else if let Err(why) = target::check_account(account) {
                    self.error(account.place, why);
                }
                self.line(&format!("people.{person}.{target}"), account.place);
                own.insert(TargetName(target.clone().into()), account.value.clone());
            }
            people.insert(person.clone(), own);
        }
        people
    }

    fn admins(&mut self, document: &SettingsFile, groups: &Groups) -> Vec<String> {
        let mut admins = Vec::new();
        for admin in document.admins.iter().flatten() {
            self.lines
                .entry("admins".into())
                .or_insert(admin.place.line);
            if admin.0.starts_with("group:") && !groups.has(&admin.0) {
                let known: Vec<String> = groups
                    .iter()
                    .map(|(name, _)| format!("group:{name}"))
                    .collect();
                let problem =
                    Problem::error(&self.name, admin.place, format!("there is no {}", admin.0));
                self.problems
                    .push(match nearest(&admin.0, known.iter().map(String::as_str)) {
                        Some(near) => problem.cure(format!("did you mean {near}?")),
                        None => problem,
                    });
            }
            admins.push(admin.0.clone());
        }
        admins
    }
}

/// Accounts as their engines write them.
fn settle(
    people: BTreeMap<String, BTreeMap<TargetName, String>>,
    targets: &BTreeMap<TargetName, Target>,
) -> BTreeMap<String, BTreeMap<TargetName, Grantee>> {
    let whole = |(target, account): (TargetName, String)| {
        let grantee = targets.get(&target)?.accounts.whole(account);
        Some((target, grantee))
    };
    people
        .into_iter()
        .map(|(person, accounts)| (person, accounts.into_iter().filter_map(whole).collect()))
        .collect()
}
