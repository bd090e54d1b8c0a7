//! Each setting, its value, and where it comes from: `jit settings --origin`.

use serde::Serialize;

use super::Settings;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// The settings file, at this line.
    File { path: String, line: u64 },
    /// A default, and why this one.
    Default { why: String },
    /// How the settings file itself was found.
    Found { by: String },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Default { why } => f.write_str(why),
            Self::Found { by } => write!(f, "found by {by}"),
        }
    }
}

/// One setting. Values never hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub key: String,
    pub value: String,
    pub origin: Origin,
}

impl Settings {
    /// All settings in the order of the contract.
    pub fn listing(&self) -> Vec<Setting> {
        let mut listing = Vec::new();
        let mut add = |key: String, value: String, origin: Origin| {
            listing.push(Setting { key, value, origin });
        };
        let file = |line: u64| Origin::File {
            path: self.given.display().to_string(),
            line,
        };
        let set = |key: &str, why: &str| match self.lines.get(key) {
            Some(line) => file(*line),
            None => Origin::Default { why: why.into() },
        };
        let found = Origin::Found {
            by: self.found_by.words().into(),
        };
        add("settings".into(), self.given.display().to_string(), found);
        let home = self.home.words();
        add(
            "ledger".into(),
            self.ledger.to_string(),
            set("ledger", home),
        );
        add(
            "inbox".into(),
            self.inbox.display().to_string(),
            set("inbox", home),
        );
        add(
            "audit".into(),
            self.audit.display().to_string(),
            set("audit", home),
        );
        for listed in &self.policies {
            let origin = match listed.place {
                Some(place) => file(place.line),
                None => Origin::Default {
                    why: "default: policies/ beside the file".into(),
                },
            };
            add("policies".into(), listed.path.display().to_string(), origin);
        }
        let within = String::from(self.sweep_within);
        add(
            "sweep_within".into(),
            within,
            set("sweep_within", "default"),
        );
        for (name, target) in &self.targets {
            let key = |part: &str| format!("targets.{name}.{part}");
            let of = |part: &str| {
                let line = target.lines.iter().find(|(key, _)| *key == part);
                match line {
                    Some((_, line)) => file(*line),
                    None => Origin::Default {
                        why: "default".into(),
                    },
                }
            };
            add(key("url"), target.url.clone(), of("url"));
            let password = match &target.address.password {
                crate::engines::password::PasswordSource::Default => Origin::Default {
                    why: "default".into(),
                },
                _ => file(target.place.line),
            };
            add(key("password"), target.password_words(), password);
            add(
                key("grantee"),
                target.grantee_pattern.clone(),
                of("grantee"),
            );
            if target.dialect == crate::engines::Dialect::Postgres {
                add(
                    key("grantor"),
                    target.address.grantor.clone(),
                    of("grantor"),
                );
            }
        }
        for (group, people) in self.groups.iter() {
            let people: Vec<&str> = people.iter().map(String::as_str).collect();
            let origin = file(self.group_lines.get(group).copied().unwrap_or(0));
            add(format!("groups.{group}"), people.join(", "), origin);
        }
        for (person, accounts) in &self.people {
            for (target, account) in accounts {
                let key = format!("people.{person}.{target}");
                let origin = file(self.people_lines.get(person).copied().unwrap_or(0));
                add(key, account.to_string(), origin);
            }
        }
        add(
            "admins".into(),
            self.admins.join(", "),
            set("admins", "default: nobody"),
        );
        listing
    }
}
