//! Groups in groups, resolved once.

use std::collections::{BTreeMap, BTreeSet};

use super::document::SettingsFile;
use crate::policy::document::check_who;
use crate::yaml::{Place, Problem, nearest};

/// Who belongs to which group, groups in groups resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(BTreeMap<String, BTreeSet<String>>);

/// Members of all groups together, groups in groups counted out.
const MOST_MEMBERS: usize = 2_000_000;

type Written<'d> = BTreeMap<&'d str, (Place, Vec<(&'d str, Place)>)>;

impl Groups {
    /// Resolves the groups of a file. Unknown groups and cycles are problems; what is left is still resolved, so
    /// that all problems are found at once.
    pub(super) fn resolve(name: &str, file: &SettingsFile, problems: &mut Vec<Problem>) -> Self {
        let written: Written<'_> = file
            .groups
            .iter()
            .flatten()
            .map(|(group, members)| {
                let names = members
                    .iter()
                    .map(|member| (member.0.as_str(), member.place));
                (group.as_str(), (members.place, names.collect()))
            })
            .collect();
        for (group, (place, members)) in &written {
            if check_who(group).is_err() || group.starts_with("group:") {
                let what = format!("{group:?} cannot be a group's name");
                problems.push(Problem::error(name, *place, what).cure("use letters, digits and -"));
            }
            for (member, place) in members {
                if let Some(inner) = member.strip_prefix("group:")
                    && !written.contains_key(inner)
                {
                    let problem =
                        Problem::error(name, *place, format!("there is no group {inner:?}"));
                    problems.push(match nearest(inner, written.keys().copied()) {
                        Some(near) => problem.cure(format!("did you mean {near:?}?")),
                        None => problem,
                    });
                }
            }
        }
        let order = inner_first(name, &written, problems);
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut total = 0;
        for group in order {
            let (place, members) = &written[group];
            let mut people = BTreeSet::new();
            for (member, _) in members {
                match member.strip_prefix("group:") {
                    // In a circle the other one is not resolved yet: that is a problem already.
                    Some(inner) => people.extend(groups.get(inner).into_iter().flatten().cloned()),
                    None => {
                        people.insert((*member).to_owned());
                    }
                }
            }
            total += people.len();
            if total > MOST_MEMBERS {
                let what = format!("the groups have more than {MOST_MEMBERS} members in all");
                problems.push(Problem::error(name, *place, what));
                break;
            }
            groups.insert(group.to_owned(), people);
        }
        Self(groups)
    }

    /// Whether the entry names a group that is defined.
    pub fn has(&self, entry: &str) -> bool {
        self.of(entry).is_some()
    }

    /// The people of `group:NAME`; `None` for anything else and for an unknown group.
    pub fn of(&self, entry: &str) -> Option<&BTreeSet<String>> {
        self.0.get(entry.strip_prefix("group:")?)
    }

    /// Group by group, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.0.iter().map(|(name, people)| (name.as_str(), people))
    }

    /// Whether somebody is in any group.
    pub fn has_person(&self, person: &str) -> bool {
        self.0.values().any(|people| people.contains(person))
    }
}

/// All groups, inner ones before those that hold them; and one problem for each circle that is met, naming the way
/// round. No recursion: a chain may be as long as the file.
fn inner_first<'d>(name: &str, written: &Written<'d>, problems: &mut Vec<Problem>) -> Vec<&'d str> {
    let mut order = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    // The way from a group inwards, and which member of each comes next.
    let mut way: Vec<(&'d str, usize)> = Vec::new();
    let mut on_way: BTreeSet<&str> = BTreeSet::new();
    for start in written.keys().copied() {
        if !done.contains(start) {
            way.push((start, 0));
            on_way.insert(start);
        }
        while let Some((group, next)) = way.last_mut() {
            let Some((member, place)) = written[*group].1.get(*next) else {
                let (group, _) = (*group, way.pop());
                on_way.remove(group);
                done.insert(group);
                order.push(group);
                continue;
            };
            *next += 1;
            let Some(inner) = member.strip_prefix("group:") else {
                continue;
            };
            if on_way.contains(inner) {
                let from = way
                    .iter()
                    .position(|(group, _)| *group == inner)
                    .unwrap_or(0);
                let mut round: Vec<&str> = way[from..].iter().map(|(group, _)| *group).collect();
                round.push(inner);
                let what = format!("groups go in a circle: {}", round.join(" → "));
                problems.push(Problem::error(name, *place, what).cure("take one of them out"));
            } else if !done.contains(inner) && written.contains_key(inner) {
                way.push((inner, 0));
                on_way.insert(inner);
            }
        }
    }
    order
}
