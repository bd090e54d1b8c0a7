//! From the file to [`Settings`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::document::SettingsFile;
use super::files::{self, ReadError};
use super::groups::Groups;
use super::places::{FoundBy, Places};
use super::target::{self, Target};
use super::{LedgerPlace, PolicyPath, Settings, SettingsError};
use crate::access::{Grantee, TargetName, Ttl};
use crate::policy::SourceFile;
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
    let (found_by, given, warnings) = find(places)?;
    let given = std::path::absolute(&given).map_err(|error| SettingsError::Unreadable {
        path: given.clone(),
        why: error.to_string(),
    })?;
    let unreadable = |why: String| SettingsError::Unreadable {
        path: given.clone(),
        why,
    };
    let text = match files::read(&given) {
        Ok(text) => text,
        Err(error @ ReadError::Missing) => {
            return Err(unreadable(format!("{error} ({})", found_by.words())));
        }
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let path = given
        .canonicalize()
        .map_err(|error| unreadable(error.to_string()))?;
    let source = SourceFile {
        name: given.display().to_string(),
        text,
    };
    let document = yaml::read::<SettingsFile>(&source.name, &source.text)
        .map_err(|problem| SettingsError::Wrong(vec![problem]))?;
    let mut reader = Reader {
        name: source.name.clone(),
        base: given.parent().unwrap_or(Path::new("/")).to_owned(),
        problems: Vec::new(),
        lines: BTreeMap::new(),
    };
    let settings = reader.settings(places, document, path, given, found_by, warnings, source);
    if reader.problems.is_empty() {
        return Ok(settings);
    }
    reader.problems.sort();
    Err(SettingsError::Wrong(reader.problems))
}

fn find(places: &Places) -> Result<(FoundBy, PathBuf, Vec<String>), SettingsError> {
    let candidates = places.candidates();
    let both = |taken: &Path, left: &Path| {
        format!(
            "two settings files: {} is taken, {} is not",
            taken.display(),
            left.display()
        )
    };
    if let (Some(flag), Some(env)) = (&places.flag, &places.env)
        && flag != env
    {
        return Ok((FoundBy::Flag, flag.clone(), vec![both(flag, env)]));
    }
    let named = |by: &FoundBy| matches!(by, FoundBy::Flag | FoundBy::Variable);
    if let Some((by, path)) = candidates.iter().find(|(by, _)| named(by)) {
        return Ok((*by, path.clone(), Vec::new()));
    }
    // Something that cannot be looked at counts as there: taking the next one silently would be a guess.
    let mut there = candidates
        .iter()
        .filter(|(_, path)| path.try_exists().unwrap_or(true));
    match (there.next(), there.next()) {
        (Some((by, path)), None) => Ok((*by, path.clone(), Vec::new())),
        (Some((by, path)), Some((_, left))) => Ok((*by, path.clone(), vec![both(path, left)])),
        (None, _) => Err(SettingsError::Missing {
            looked: candidates.into_iter().map(|(_, path)| path).collect(),
        }),
    }
}

struct Reader {
    name: String,
    base: PathBuf,
    problems: Vec<Problem>,
    lines: BTreeMap<&'static str, u64>,
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

    #[expect(clippy::too_many_arguments, reason = "one call, from `load`")]
    fn settings(
        &mut self,
        places: &Places,
        document: SettingsFile,
        path: PathBuf,
        given: PathBuf,
        found_by: FoundBy,
        warnings: Vec<String>,
        source: SourceFile,
    ) -> Settings {
        if document.version.value != 1 {
            let problem = format!("version {} is not known", document.version.value);
            self.problems.push(
                Problem::error(&self.name, document.version.place, problem)
                    .cure("this jit reads version 1"),
            );
        }
        let state = places.state(&given);
        let groups = Groups::resolve(&self.name, &document, &mut self.problems);
        let admins = self.admins(&document, &groups);
        let people = self.people(&document);
        let targets = self.targets(&document);
        let people = settle(people, &targets);
        if let Some(first) = document.admins.iter().flatten().next() {
            self.lines.insert("admins", first.place.line);
        }
        let group_lines = document.groups.iter().flatten();
        let people_lines = document.people.iter().flatten();
        let settings = Settings {
            group_lines: group_lines
                .map(|(name, at)| (name.clone(), at.place.line))
                .collect(),
            people_lines: people_lines
                .map(|(name, at)| (name.clone(), at.place.line))
                .collect(),
            home: places.home(&given),
            ledger: self.ledger(document.ledger, state.ledger),
            inbox: self.path("inbox", document.inbox, state.inbox),
            audit: self.path("audit", document.audit, state.audit),
            policies: self.policies(document.policies),
            sweep_within: match document.sweep_within {
                Some(within) => {
                    self.lines.insert("sweep_within", within.place.line);
                    within.value
                }
                None => SWEEP_WITHIN,
            },
            targets,
            groups,
            people,
            admins,
            warnings,
            source,
            path,
            given,
            found_by,
            lines: std::mem::take(&mut self.lines),
        };
        self.apart(&settings);
        settings
    }

    /// Ledger, inbox and audit file must not lie in each other's place: they have different modes.
    fn apart(&mut self, settings: &Settings) {
        let ledger = settings.ledger.path();
        let folder = ledger.parent().unwrap_or(ledger);
        let line = |key: &str| Place {
            line: settings.lines.get(key).copied().unwrap_or(0),
            column: 1,
        };
        if settings.audit == ledger {
            self.error(line("audit"), "ledger and audit file are the same");
        }
        if settings.inbox == folder
            || settings.inbox.starts_with(folder)
            || ledger.starts_with(&settings.inbox)
        {
            self.error(
                line("inbox"),
                format!(
                    "inbox ({}) and ledger ({}) must lie in folders of their own",
                    settings.inbox.display(),
                    ledger.display()
                ),
            );
        }
        if settings.audit.starts_with(&settings.inbox) {
            self.error(line("audit"), "the audit file must not lie in the inbox");
        }
    }

    fn path(
        &mut self,
        key: &'static str,
        text: Option<Placed<String>>,
        default: PathBuf,
    ) -> PathBuf {
        let Some(text) = text else {
            return default;
        };
        self.lines.insert(key, text.place.line);
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
            self.lines.entry("policies").or_insert(text.place.line);
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
            match Target::read(&self.name, doc.place, &self.base, doc) {
                Ok(target) => {
                    targets.insert(TargetName(name.clone()), target);
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
                own.insert(TargetName(target.clone()), account.value.clone());
            }
            people.insert(person.clone(), own);
        }
        people
    }

    fn admins(&mut self, document: &SettingsFile, groups: &Groups) -> Vec<String> {
        let mut admins = Vec::new();
        for admin in document.admins.iter().flatten() {
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
        let grantee = targets.get(&target)?.whole(account);
        Some((target, grantee))
    };
    people
        .into_iter()
        .map(|(person, accounts)| (person, accounts.into_iter().filter_map(whole).collect()))
        .collect()
}
