//! What is wrong with policies, given the people and the targets: `jit policy check`.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt};

use super::approvals;
use super::book::{Book, Entry, Policy};
use super::glob::Case;
use super::{Directory, KnownTargets, ambiguity};
use crate::access::ApprovalLine;
use crate::yaml::{Place, Problem, nearest};

impl Book {
    /// Lints, by file and place. Nothing may be judged by a book with errors in it; warnings are for people.
    pub fn check(&self, dir: &dyn Directory, targets: &KnownTargets) -> Vec<Problem> {
        let mut check = Check {
            dir: &Cached::new(dir),
            approvable: HashMap::new(),
            problems: ambiguity::problems(self, targets),
        };
        check
            .problems
            .extend(ambiguity::protected_along(self, targets));
        for policy in &self.policies {
            check.target(policy, targets);
            for (at, entry) in policy.entries.iter().enumerate() {
                check.names(policy, entry.place, entry.who.iter());
                for line in &entry.lines {
                    check.names(policy, entry.place, line.by.iter());
                }
                check.approvals(policy, at, entry);
                check.reachable(policy, at, entry);
                check.longer_for_less(policy, at, entry);
            }
            check.tests(policy);
        }
        check.problems.sort();
        check.problems.dedup();
        check.problems
    }
}

/// A directory that asks for each group once.
struct Cached<'d> {
    inner: &'d dyn Directory,
    members: std::cell::RefCell<HashMap<String, BTreeSet<String>>>,
}

impl<'d> Cached<'d> {
    fn new(inner: &'d dyn Directory) -> Self {
        Self {
            inner,
            members: Default::default(),
        }
    }

    fn with<R>(&self, entry: &str, use_it: impl FnOnce(&BTreeSet<String>) -> R) -> R {
        if let Some(known) = self.members.borrow().get(entry) {
            return use_it(known);
        }
        let members: BTreeSet<String> = self.inner.members(entry).into_iter().collect();
        let result = use_it(&members);
        self.members.borrow_mut().insert(entry.to_owned(), members);
        result
    }

    fn all(&self, entries: &[String]) -> BTreeSet<String> {
        entries
            .iter()
            .flat_map(|entry| self.with(entry, Clone::clone))
            .collect()
    }
}

impl Directory for Cached<'_> {
    fn members(&self, entry: &str) -> Vec<String> {
        self.with(entry, |members| members.iter().cloned().collect())
    }

    fn covers(&self, entry: &str, person: &str) -> bool {
        self.with(entry, |members| members.contains(person))
    }

    fn knows(&self, entry: &str) -> bool {
        self.inner.knows(entry)
    }

    fn groups(&self) -> Vec<String> {
        self.inner.groups()
    }
}

/// Whether people can have something approved.
enum Approvable {
    Yes,
    /// Nobody: these lines can never be met.
    Never(Vec<ApprovalLine>),
    /// All but these.
    NotBy(Vec<String>),
}

impl Approvable {
    fn of(lines: &[ApprovalLine], who: &[String], dir: &Cached<'_>) -> Self {
        // Nobody has the empty name: this is everybody together.
        if let Err(open) = approvals::possible(lines, "", dir) {
            return Self::Never(open);
        }
        let stuck: Vec<String> = dir
            .all(who)
            .into_iter()
            .filter(|person| approvals::possible(lines, person, dir).is_err())
            .collect();
        match stuck.is_empty() {
            true => Self::Yes,
            false => Self::NotBy(stuck),
        }
    }
}

struct Check<'d> {
    dir: &'d Cached<'d>,
    /// By approval lines and people: a company's policies have few of them in common with all.
    approvable: HashMap<Vec<ApprovalLine>, HashMap<Vec<String>, Approvable>>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn target(&mut self, policy: &Policy, targets: &KnownTargets) {
        if targets.contains_key(&policy.target) {
            return;
        }
        let problem = Problem::error(
            &policy.file,
            policy.target_place,
            format!("the settings know no target {:?}", policy.target.0),
        );
        let known = targets.keys().map(|name| name.as_str());
        self.problems.push(match nearest(&policy.target.0, known) {
            Some(near) => problem.cure(format!("did you mean {near:?}?")),
            None => problem,
        });
    }

    /// Groups that the settings do not define.
    fn names<'a>(
        &mut self,
        policy: &Policy,
        place: Place,
        names: impl Iterator<Item = &'a String>,
    ) {
        for name in names {
            if !name.starts_with("group:") || self.dir.knows(name) {
                continue;
            }
            let problem = Problem::error(
                &policy.file,
                place,
                format!("the settings define no {name}"),
            );
            let groups = self.dir.groups();
            self.problems
                .push(match nearest(name, groups.iter().map(String::as_str)) {
                    Some(near) => problem.cure(format!("did you mean {near}?")),
                    None => problem.cure("define it under `groups:`"),
                });
        }
    }

    /// Lines that cannot be met, whoever asks; and people of the entry who can never have it approved.
    fn approvals(&mut self, policy: &Policy, at: usize, entry: &Entry) {
        let unknown = |line: &ApprovalLine| {
            line.by
                .iter()
                .any(|name| !self.dir.knows(name) && name.starts_with("group:"))
        };
        if entry.lines.is_empty() || entry.lines.iter().any(unknown) {
            return;
        }
        let known = self.approvable.entry(entry.lines.clone()).or_default();
        if !known.contains_key(&entry.who) {
            let found = Approvable::of(&entry.lines, &entry.who, self.dir);
            known.insert(entry.who.clone(), found);
        }
        let rule = || policy.shown(at);
        let problem = match known.get(&entry.who) {
            None | Some(Approvable::Yes) => return,
            Some(Approvable::Never(open)) => Problem::error(
                &policy.file,
                entry.place,
                format!(
                    "{} can never be approved: there are not enough different people, missing {}",
                    rule(),
                    approvals::in_words(open)
                ),
            )
            .cure("add people to the groups, or lower the count"),
            Some(Approvable::NotBy(stuck)) => Problem::warning(
                &policy.file,
                entry.place,
                format!(
                    "{} can never be approved for {}: nobody approves their own request, and there are not enough \
                     others",
                    rule(),
                    list(stuck)
                ),
            )
            .cure("add people to the groups that approve"),
        };
        self.problems.push(problem);
    }

    /// Warns of an entry that no person, purpose and duration leads to.
    fn reachable(&mut self, policy: &Policy, at: usize, entry: &Entry) {
        let people = self.dir.all(&entry.who);
        let what = if people.is_empty() {
            if entry.who.iter().any(|name| !self.dir.knows(name)) {
                return; // said already
            }
            "it is for nobody: its groups are empty".to_owned()
        } else {
            // The longest duration is the hardest for the entries before it to take, and a purpose that no other
            // entry names is taken by the fewest.
            let earlier = &policy.entries[..at];
            let taken = |person: &String, purpose: Option<&str>| {
                earlier.iter().any(|before| {
                    before.max >= entry.max
                        && match purpose {
                            Some(purpose) => before.takes_purpose(Some(purpose)),
                            None => before.purposes.is_none(),
                        }
                        && before.who.iter().any(|name| self.dir.covers(name, person))
                })
            };
            let purposes: Vec<Option<&str>> = match &entry.purposes {
                None => vec![None],
                Some(purposes) => purposes.iter().map(|p| Some(p.as_str())).collect(),
            };
            let reached = people
                .iter()
                .any(|person| purposes.iter().any(|purpose| !taken(person, *purpose)));
            if reached {
                return;
            }
            "the entries before it take everybody that it is for".to_owned()
        };
        self.problems.push(
            Problem::warning(
                &policy.file,
                entry.place,
                format!("{} can never be reached: {what}", policy.shown(at)),
            )
            .cure("move it up, or take it out"),
        );
    }

    /// Refuses an entry that is longer but needs less approval than an earlier one for the same people: who asks for
    /// more would be asked for less.
    fn longer_for_less(&mut self, policy: &Policy, at: usize, entry: &Entry) {
        for (before, earlier) in policy.entries[..at].iter().enumerate() {
            if earlier.lines.is_empty()
                || entry.max <= earlier.max
                || !purposes_meet(earlier, entry)
            {
                continue;
            }
            let less = approvals::implies(&earlier.lines, &entry.lines, self.dir)
                && !approvals::implies(&entry.lines, &earlier.lines, self.dir);
            if !less {
                continue;
            }
            let both = self.dir.all(&entry.who);
            let Some(person) = both
                .iter()
                .find(|person| earlier.who.iter().any(|name| self.dir.covers(name, person)))
            else {
                continue;
            };
            self.problems.push(
                Problem::error(
                    &policy.file,
                    entry.place,
                    format!(
                        "{} gives {person} more time ({}, not {}) for less approval ({}, not {}) than entry {}",
                        policy.shown(at),
                        entry.max,
                        earlier.max,
                        approvals::in_words(&entry.lines),
                        approvals::in_words(&earlier.lines),
                        before + 1
                    ),
                )
                .cure("put it first, or ask for as much approval"),
            );
            return;
        }
    }

    /// Tests that ask about somebody whom neither settings nor policy know: a slip would make them pass as refused.
    fn tests(&mut self, policy: &Policy) {
        let named = |person: &str| {
            self.dir.knows(person)
                || policy.entries.iter().any(|entry| {
                    let by = entry.lines.iter().flat_map(|line| &line.by);
                    entry.who.iter().chain(by).any(|name| name == person)
                })
        };
        let mut unknown: Vec<(Place, String)> = Vec::new();
        for test in &policy.tests {
            let approvers = test.approvers.iter().flatten();
            for person in std::iter::once(&test.who).chain(approvers) {
                if !named(&person.0) && !unknown.iter().any(|(_, known)| *known == person.0) {
                    unknown.push((test.place, person.0.clone()));
                }
            }
        }
        for test in &policy.tests {
            for column in test.columns.iter().flatten() {
                // MySQL's case is left alone here: the test itself would find that column.
                if !policy
                    .columns
                    .iter()
                    .any(|glob| glob.matches(&column.sample("x"), Case::Ignored))
                {
                    self.problems.push(
                        Problem::warning(
                            &policy.file,
                            test.place,
                            format!(
                                "the test is about {column}, which {:?} does not name",
                                policy.name
                            ),
                        )
                        .cure("check the spelling, or move the test to the policy that does"),
                    );
                }
            }
        }
        // One warning a policy: shipped tests are about people of another house.
        let Some((place, _)) = unknown.first() else {
            return;
        };
        let people: Vec<String> = unknown
            .iter()
            .map(|(place, person)| format!("{person:?} (line {})", place.line))
            .collect();
        self.problems.push(
            Problem::warning(
                &policy.file,
                *place,
                format!(
                    "tests are about {}, whom no group and no entry knows",
                    list(&people)
                ),
            )
            .cure("check the spelling"),
        );
    }
}

fn purposes_meet(a: &Entry, b: &Entry) -> bool {
    match (&a.purposes, &b.purposes) {
        (Some(a), Some(b)) => a.iter().any(|purpose| b.contains(purpose)),
        _ => true,
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let first = names[..names.len().min(SHOWN)].join(", ");
    if more == 0 {
        first
    } else {
        format!("{first} and {more} more")
    }
}
