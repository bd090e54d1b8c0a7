//! Who is who: groups, accounts, admins.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::Groups;
use super::target::Accounts;
use crate::access::{Grantee, TargetName};
use crate::policy::Directory;
use crate::yaml::nearest;

/// The people of the settings. Cheap to share: judgements, views and mailboxes all ask it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct House {
    pub groups: Groups,
    /// Accounts of people where the target's pattern does not fit.
    pub people: BTreeMap<String, BTreeMap<TargetName, Grantee>>,
    /// User names and `group:NAME`.
    pub admins: Vec<String>,
    /// Which accounts people have on each target.
    pub accounts: BTreeMap<TargetName, Accounts>,
}

/// One account of several people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SharedAccount {
    pub target: TargetName,
    pub grantee: Grantee,
    pub people: Vec<String>,
}

impl House {
    /// The account that a person has on a target: their own where `people:` names one, else the target's pattern.
    ///
    /// # Errors
    /// A sentence that names the target where the settings do not know it, with the nearest one.
    pub fn grantee(&self, target: &TargetName, user: &str) -> Result<Grantee, String> {
        let Some(accounts) = self.accounts.get(target) else {
            let known = self.accounts.keys().map(|name| name.as_str());
            let hint = nearest(&target.0, known)
                .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            return Err(format!("the settings know no target {:?}{hint}", target.0));
        };
        let own = self
            .people
            .get(user)
            .and_then(|accounts| accounts.get(target));
        Ok(own.cloned().unwrap_or_else(|| accounts.account(user)))
    }

    /// Whether somebody may revoke by selector and see every request.
    pub fn is_admin(&self, user: &str) -> bool {
        self.admins.iter().any(|entry| self.covers(entry, user))
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
        let people = self.known_people();
        let mut shared = Vec::new();
        for (target, accounts) in &self.accounts {
            let mut owners: BTreeMap<Grantee, SharedAccount> = BTreeMap::new();
            for person in &people {
                let Ok(grantee) = self.grantee(target, person) else {
                    continue;
                };
                owners
                    .entry(accounts.as_compared(&grantee))
                    .or_insert_with(|| SharedAccount {
                        target: target.clone(),
                        grantee,
                        people: Vec::new(),
                    })
                    .people
                    .push((*person).to_owned());
            }
            shared.extend(
                owners
                    .into_values()
                    .filter(|account| account.people.len() > 1),
            );
        }
        shared
    }
}

impl Directory for House {
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
