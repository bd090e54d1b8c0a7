//! The judgement: one pure way for `request`, `approve`, `explain`, `--dry-run` and the tests in the files.

use serde::Serialize;

use super::approvals;
use super::book::{Book, Entry, Policy};
use super::glob::Case;
use super::index::Ruling;
use super::refusal;
use super::{Directory, Judgement, Question, Refusal};
use crate::access::{ColumnName, Grouping, TableColumns, TableName, Terms, Ttl};

/// A judgement, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    pub judgement: Judgement,
    /// Which policy rules each asked column, in the order asked.
    pub columns: Vec<RuledColumn>,
    /// Every entry of the ruling policies that was looked at, in order.
    pub tried: Vec<Tried>,
    /// Who can give the approvals, sorted; empty where none is needed or it is refused.
    pub can_approve: Vec<String>,
}

/// Which policy rules a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuledColumn {
    pub table: TableName,
    pub column: ColumnName,
    /// The policy that rules; `None` where none matches, or none beats all others.
    pub policy: Option<String>,
    /// Policies that match too, but are less exact or not more exact than another.
    pub also: Vec<String>,
}

/// An entry that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// `customer-contact, entry 1`
    pub rule: String,
    pub fits: bool,
    /// What failed, or by what it fits.
    pub why: String,
}

/// Why a policy does not give its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No entry is for this person.
    Person,
    /// Entries are, but for other purposes.
    Purpose,
    /// Entries are, but for shorter; the one with the longest.
    TooLong(usize),
    /// This entry decides, and its ticket is not met.
    Ticket(usize),
    /// This entry decides, and the unbroken access would be too long.
    Total(usize),
}

impl Entry {
    /// The entries of `who:` that cover a person.
    pub(super) fn memberships(&self, who: &str, dir: &dyn Directory) -> Vec<&str> {
        let covering = self.who.iter().filter(|entry| dir.covers(entry, who));
        covering.map(String::as_str).collect()
    }

    pub(super) fn takes_purpose(&self, purpose: Option<&str>) -> bool {
        self.purposes
            .as_ref()
            .is_none_or(|known| purpose.is_some_and(|asked| known.iter().any(|p| p == asked)))
    }

    pub(super) fn takes_ticket(&self, ticket: Option<&str>) -> bool {
        self.ticket
            .as_ref()
            .is_none_or(|wanted| ticket.is_some_and(|ticket| wanted.matches(ticket)))
    }
}

/// The part of a question that chooses an entry.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub purpose: Option<&'a str>,
    pub ticket: Option<&'a str>,
    pub ttl: Ttl,
    pub unbroken: Ttl,
}

impl Policy {
    /// The entry that decides: the first that fits person, purpose and duration; then its ticket must match and the
    /// unbroken access must not be too long. `covered` says which entries are for the person.
    pub(super) fn choose(&self, covered: &[bool], asked: &Asked<'_>) -> Result<usize, Failure> {
        let own = || {
            self.entries
                .iter()
                .enumerate()
                .filter(|(at, _)| covered[*at])
        };
        let Some((at, entry)) =
            own().find(|(_, entry)| entry.takes_purpose(asked.purpose) && asked.ttl <= entry.max)
        else {
            let fitting = own().filter(|(_, entry)| entry.takes_purpose(asked.purpose));
            // The first of the longest ones.
            let longest = fitting.rev().max_by_key(|(_, entry)| entry.max);
            return Err(match longest {
                Some((at, _)) => Failure::TooLong(at),
                None if own().next().is_some() => Failure::Purpose,
                None => Failure::Person,
            });
        };
        if !entry.takes_ticket(asked.ticket) {
            return Err(Failure::Ticket(at));
        }
        if asked.unbroken > entry.max_total {
            return Err(Failure::Total(at));
        }
        Ok(at)
    }

    pub(super) fn covered(&self, who: &str, dir: &dyn Directory) -> Vec<bool> {
        let covers = |entry: &Entry| entry.who.iter().any(|name| dir.covers(name, who));
        self.entries.iter().map(covers).collect()
    }
}

/// Asked columns of one table that one policy rules.
struct Group {
    policy: usize,
    columns: TableColumns,
}

impl Book {
    /// Judges a question. Pure: the same book, people and question give the same answer.
    pub fn judge(&self, dir: &dyn Directory, question: &Question<'_>) -> Judgement {
        self.explain(dir, question).judgement
    }

    /// The same judgement with its reasons.
    pub fn explain(&self, dir: &dyn Directory, question: &Question<'_>) -> Explained {
        let mut explained = Explained {
            judgement: Judgement::Refused(Vec::new()),
            columns: Vec::new(),
            tried: Vec::new(),
            can_approve: Vec::new(),
        };
        let mut refusals = Vec::new();
        if question.tables.iter().all(|table| table.columns.is_empty()) {
            refusals.push(refusal::plain("no column is asked for"));
        }
        let groups = self.groups(question, &mut explained.columns, &mut refusals);

        let mut policies: Vec<usize> = groups.iter().map(|group| group.policy).collect();
        let mut seen = std::collections::HashSet::new();
        policies.retain(|policy| seen.insert(*policy));
        let mut chosen = Vec::new();
        for at in policies {
            let policy = &self.policies[at];
            let columns: Vec<&TableColumns> = groups
                .iter()
                .filter(|group| group.policy == at)
                .map(|group| &group.columns)
                .collect();
            match decide(policy, dir, question, &columns, &mut explained.tried) {
                Ok(entry) => chosen.push((at, entry)),
                Err(refusal) => refusals.push(refusal),
            }
        }
        if refusals.is_empty() {
            let terms = self.terms(dir, question, groups, &chosen);
            match approvals::possible(&terms.lines, question.who, dir) {
                Ok(()) => {
                    explained.can_approve =
                        approvals::who_can(&terms.lines, &[], question.who, dir);
                    explained.judgement = Judgement::Allowed(terms);
                    return explained;
                }
                Err(open) => refusals.push(refusal::unmeetable(question.who, &open, &terms)),
            }
        }
        explained.judgement = Judgement::Refused(refusals);
        explained
    }

    /// Which policy rules each asked column; a refusal for each that none does.
    fn groups(
        &self,
        question: &Question<'_>,
        ruled: &mut Vec<RuledColumn>,
        refusals: &mut Vec<Refusal>,
    ) -> Vec<Group> {
        let case = Case::ignored_if(question.ignore_column_case);
        let mut groups: Vec<Group> = Vec::new();
        for TableColumns { table, columns } in question.tables {
            let mut unnamed = Vec::new();
            let rulers = self.rulers(question.target, table);
            for column in columns {
                let matching = rulers.matching(column, case);
                let ruling = self.best(&matching);
                let mut also: Vec<String> = matching
                    .iter()
                    .filter(|unit| ruling != Ruling::One(unit.policy))
                    .map(|unit| self.policies[unit.policy].name.clone())
                    .collect();
                also.sort();
                also.dedup();
                let mut policy = None;
                match ruling {
                    Ruling::Nobody => unnamed.push(column.clone()),
                    Ruling::Unclear(policies) => {
                        let names = policies.iter().map(|at| self.policies[*at].name.as_str());
                        refusals.push(refusal::unclear(table, column, &names.collect::<Vec<_>>()));
                    }
                    Ruling::One(at) => {
                        policy = Some(self.policies[at].name.clone());
                        let known = groups
                            .iter_mut()
                            .find(|group| group.policy == at && group.columns.table == *table);
                        match known {
                            Some(group) => group.columns.columns.push(column.clone()),
                            None => groups.push(Group {
                                policy: at,
                                columns: TableColumns {
                                    table: table.clone(),
                                    columns: vec![column.clone()],
                                },
                            }),
                        }
                    }
                }
                ruled.push(RuledColumn {
                    table: table.clone(),
                    column: column.clone(),
                    policy,
                    also,
                });
            }
            if !unnamed.is_empty() {
                refusals.push(self.unnamed(question.target, table, unnamed, case));
            }
        }
        groups
    }

    /// Pools what the chosen entries say.
    fn terms(
        &self,
        dir: &dyn Directory,
        question: &Question<'_>,
        groups: Vec<Group>,
        chosen: &[(usize, usize)],
    ) -> Terms {
        let entries = || {
            chosen
                .iter()
                .map(|(policy, entry)| &self.policies[*policy].entries[*entry])
        };
        let shortest = |of: fn(&Entry) -> Ttl| entries().map(of).min().unwrap_or(Ttl::ZERO);
        let mut memberships: Vec<String> = entries()
            .flat_map(|entry| entry.memberships(question.who, dir))
            .map(str::to_owned)
            .collect();
        memberships.sort();
        memberships.dedup();
        let along = self.along(question, &groups);
        let rules = groups
            .into_iter()
            .filter_map(|group| {
                let (_, entry) = chosen.iter().find(|(policy, _)| *policy == group.policy)?;
                let policy = &self.policies[group.policy];
                Some(Grouping {
                    rule: policy.rule(*entry),
                    class: policy.class.clone(),
                    columns: group.columns,
                })
            })
            .collect();
        Terms {
            rules,
            along,
            lines: approvals::pooled(entries().flat_map(|entry| entry.lines.iter().cloned())),
            max: shortest(|entry| entry.max),
            max_total: shortest(|entry| entry.max_total),
            within: shortest(|entry| entry.within),
            // Sessions are ended where any rule says so; USAGE is leased along only where every rule says so.
            sessions: entries()
                .map(|entry| entry.sessions)
                .max()
                .unwrap_or_default(),
            usage: entries().map(|entry| entry.usage).min().unwrap_or_default(),
            memberships,
        }
    }

    /// The `with:` columns of the ruling policies that were not asked for, a table at a time.
    fn along(&self, question: &Question<'_>, groups: &[Group]) -> Vec<TableColumns> {
        let same = |a: &ColumnName, b: &ColumnName| {
            a == b
                || (question.ignore_column_case
                    && super::glob::folded(&a.0) == super::glob::folded(&b.0))
        };
        let mut along: Vec<TableColumns> = Vec::new();
        for group in groups {
            let table = &group.columns.table;
            let asked = question
                .tables
                .iter()
                .filter(|tables| tables.table == *table)
                .flat_map(|tables| &tables.columns);
            let asked: Vec<&ColumnName> = asked.collect();
            for column in &self.policies[group.policy].along {
                if asked.iter().any(|name| same(name, column)) {
                    continue;
                }
                match along.iter_mut().find(|tables| tables.table == *table) {
                    Some(tables) if tables.columns.iter().any(|name| same(name, column)) => {}
                    Some(tables) => tables.columns.push(column.clone()),
                    None => along.push(TableColumns {
                        table: table.clone(),
                        columns: vec![column.clone()],
                    }),
                }
            }
        }
        along
    }
}

/// The entry of one policy that decides, or why it refuses; and what was tried.
fn decide(
    policy: &Policy,
    dir: &dyn Directory,
    question: &Question<'_>,
    columns: &[&TableColumns],
    tried: &mut Vec<Tried>,
) -> Result<usize, Refusal> {
    let covered = policy.covered(question.who, dir);
    let asked = Asked {
        purpose: question.purpose,
        ticket: question.ticket,
        ttl: question.ttl,
        unbroken: question.unbroken.max(question.ttl),
    };
    let choice = policy.choose(&covered, &asked);
    let decided = match choice {
        Ok(at) | Err(Failure::Ticket(at) | Failure::Total(at)) => Some(at),
        Err(_) => None,
    };
    for (at, entry) in policy.entries.iter().enumerate() {
        let failed = if decided == Some(at) {
            refusal::failed(entry, choice.err(), &asked)
        } else if !covered[at] {
            Some(format!(
                "it is for {}, not for {}",
                entry.who.join(", "),
                question.who
            ))
        } else if !entry.takes_purpose(asked.purpose) {
            Some(refusal::purpose_failed(entry, asked.purpose))
        } else {
            Some(format!("it gives at most {}, not {}", entry.max, asked.ttl))
        };
        tried.push(Tried {
            rule: policy.shown(at),
            fits: failed.is_none(),
            why: failed.unwrap_or_else(|| {
                let by = entry.memberships(question.who, dir).join(", ");
                format!("fits by {by}; {}", approvals::in_words(&entry.lines))
            }),
        });
        if decided == Some(at) {
            break;
        }
    }
    choice.map_err(|failure| {
        refusal::of(
            policy,
            failure,
            &covered,
            &asked,
            columns,
            question.who,
            dir,
        )
    })
}
