//! Each setting, its value, and where it comes from: `jit settings --origin`.

use serde::Serialize;

use super::Settings;
use crate::engines::Dialect;
use crate::engines::password;

/// One setting. Values never hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Value {
    /// `inbox`, `targets.shop.url`, `groups.dba`
    pub key: String,
    pub value: String,
    /// File and line, or which default it is.
    pub origin: String,
}

impl Settings {
    /// All settings in the order of the contract.
    pub fn values(&self) -> Vec<Value> {
        let mut values = Vec::new();
        let mut add = |key: &str, value: String, default: &str| {
            let origin = match self.lines.get(key) {
                Some(line) => format!("{}:{line}", self.given.display()),
                None => default.to_owned(),
            };
            values.push(Value {
                key: key.to_owned(),
                value,
                origin,
            });
        };
        let found = format!("found by {}", self.found_by.words());
        add("settings", self.given.display().to_string(), &found);
        let home = self.home.words();
        add("ledger", self.ledger.to_string(), home);
        add("inbox", self.inbox.display().to_string(), home);
        add("audit", self.audit.display().to_string(), home);
        let policies: Vec<String> = self
            .policies
            .iter()
            .map(|listed| listed.path.display().to_string())
            .collect();
        add(
            "policies",
            policies.join(", "),
            "default: policies/ beside the file",
        );
        add("sweep_within", String::from(self.sweep_within), "default");
        for (name, target) in &self.targets {
            let mut of = |part: &str, value: String| {
                add(&format!("targets.{name}.{part}"), value, "default");
            };
            of("url", target.url.clone());
            of("password", password::origin(&target.address));
            of("grantee", target.accounts.pattern.clone());
            if target.address.dialect == Dialect::Postgres {
                of("grantor", target.address.grantor.clone());
            }
        }
        for (group, people) in self.house.groups.iter() {
            let people: Vec<&str> = people.iter().map(String::as_str).collect();
            add(&format!("groups.{group}"), people.join(", "), "default");
        }
        for (person, accounts) in &self.house.people {
            for (target, account) in accounts {
                add(
                    &format!("people.{person}.{target}"),
                    account.to_string(),
                    "default",
                );
            }
        }
        add("admins", self.house.admins.join(", "), "default: nobody");
        values
    }
}
