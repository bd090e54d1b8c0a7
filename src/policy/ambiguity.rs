//! Names that several policies match and none rules, found offline by intersecting the patterns.
//!
//! Two patterns of different policies are in conflict where a name exists that both match, neither beats the other
//! for it, and no third pattern that matches it beats one of them. Patterns without any wildcard beat all others, so
//! they are only ever in conflict with their equals.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use foldhash::{HashMap, HashMapExt};

use super::KnownTargets;
use super::book::Book;
use super::glob::{Case, Glob, folded};
use super::index::{Ruling, Specificity, Unit};
use super::overlap::{self, TooTangled};
use crate::access::{ColumnName, ShortText, TableName, TargetName, syntax};
use crate::yaml::Problem;

/// Third patterns that are told apart exactly; more of them are only tried with made-up names.
const MOST_OTHERS: usize = 60;

/// Combinations of kinds of names that are looked at for one pair.
const MOST_KINDS: usize = 200_000;

/// Conflicts of one target that are told: a pattern too many can give millions.
const MOST_CONFLICTS: usize = 100;

/// One error for each pair of policies in conflict, with a name that shows it.
pub(super) fn problems(book: &Book, targets: &KnownTargets) -> Vec<Problem> {
    let mut names: Vec<&TargetName> = book.index.targets().collect();
    names.sort();
    let mut problems = Vec::new();
    for target in names {
        let ignored = targets
            .get(target)
            .is_some_and(|known| known.ignore_column_case);
        let search = Search {
            book,
            target,
            case: Case::ignored_if(ignored),
        };
        for ((a, b), shown) in search.conflicts() {
            problems.push(problem(book, a, b, &shown));
        }
    }
    problems
}

fn problem(book: &Book, a: usize, b: usize, shown: &Shown) -> Problem {
    let (first, second) = (&book.policies[a], &book.policies[b]);
    let what = match shown {
        Shown::Name(table, column) => format!(
            "{:?} and {:?} ({}:{}) both name {table}:{}, and neither is more exact",
            second.name,
            first.name,
            first.file,
            first.place.line,
            syntax::quoted_if_odd(column)
        ),
        Shown::TooTangled => format!(
            "{:?} and {:?} ({}:{}) overlap in too complicated a way to be told apart",
            second.name, first.name, first.file, first.place.line
        ),
    };
    Problem::error(&second.file, second.place, what)
        .cure("make one of them more exact, or take the overlap out of one")
}

enum Shown {
    Name(TableName, ShortText),
    TooTangled,
}

type Conflicts = BTreeMap<(usize, usize), Shown>;

struct Search<'b> {
    book: &'b Book,
    target: &'b TargetName,
    case: Case,
}

impl<'b> Search<'b> {
    fn conflicts(&self) -> Conflicts {
        let mut conflicts = Conflicts::new();
        self.equal_names(&mut conflicts);
        // Column patterns of one exact table, with each other.
        for (_, units) in self.book.index.patterns(self.target) {
            for (at, a) in units.iter().enumerate() {
                for b in &units[at + 1..] {
                    self.pair(*a, *b, &mut conflicts);
                }
            }
        }
        // Patterns of tables with each other, and with column patterns of exact tables. Nothing is in conflict with
        // what has no wildcard at all.
        let mut meeting = |a: usize, b: usize| {
            let (x, y) = (&self.book.policies[a].table, &self.book.policies[b].table);
            let meet = |x, y| overlap::common_name(x, y, Case::Exact, "").is_some();
            if meet(&x.schema, &y.schema) && meet(&x.table, &y.table) {
                self.policies(a, b, &mut conflicts);
            }
            if is_full(&conflicts) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        // Stopped or not: what was found is told.
        let _ = self
            .book
            .index
            .loose(self.target)
            .map(|loose| loose.pairs(&mut meeting));
        for (table, units) in self.book.index.patterns(self.target) {
            if units.is_empty() {
                continue;
            }
            for policy in self.book.index.candidates(self.target, table) {
                if self.book.policies[policy].table.matches(table) {
                    for a in self.units(policy) {
                        for b in units {
                            self.pair(a, *b, &mut conflicts);
                        }
                    }
                }
            }
        }
        conflicts
    }

    /// All pairs of units of two policies whose tables meet, without looking at each pair of exact columns.
    fn policies(&self, a: usize, b: usize, conflicts: &mut Conflicts) {
        let mut exact: HashMap<String, Vec<Unit>> = HashMap::new();
        let mut patterns: Vec<Unit> = Vec::new();
        for unit in self.units(b) {
            match self.column(unit).as_exact() {
                Some(name) => exact
                    .entry(folded(name).into_owned())
                    .or_default()
                    .push(unit),
                None => patterns.push(unit),
            }
        }
        for unit in self.units(a) {
            match self.column(unit).as_exact() {
                Some(name) => {
                    for other in exact
                        .get(folded(name).as_ref())
                        .into_iter()
                        .flatten()
                        .chain(&patterns)
                    {
                        self.pair(unit, *other, conflicts);
                    }
                }
                None => {
                    for other in self.units(b) {
                        self.pair(unit, other, conflicts);
                    }
                }
            }
        }
    }

    fn units(&self, policy: usize) -> impl Iterator<Item = Unit> + use<> {
        (0..self.book.policies[policy].columns.len()).map(move |column| Unit { policy, column })
    }

    /// Exact columns of exact tables that two policies name.
    fn equal_names(&self, conflicts: &mut Conflicts) {
        for (table, units) in self.book.index.columns(self.target) {
            if units.len() < 2 {
                continue;
            }
            for (at, (_, a)) in units.iter().enumerate() {
                for (_, b) in &units[at + 1..] {
                    let (x, y) = (self.column(*a), self.column(*b));
                    if a.policy != b.policy
                        && !is_full(conflicts)
                        && let Some(name) = overlap::common_name(x, y, self.case, "")
                    {
                        conflicts
                            .entry(in_order(a.policy, b.policy))
                            .or_insert(Shown::Name(table.clone(), name.into()));
                    }
                }
            }
        }
    }

    fn column(&self, unit: Unit) -> &'b Glob {
        &self.book.policies[unit.policy].columns[unit.column]
    }

    /// Schema, table and column of a unit, each with how its names compare.
    fn parts(&self, unit: Unit) -> [(&'b Glob, Case); 3] {
        let policy = &self.book.policies[unit.policy];
        [
            (&policy.table.schema, Case::Exact),
            (&policy.table.table, Case::Exact),
            (&policy.columns[unit.column], self.case),
        ]
    }

    fn pair(&self, a: Unit, b: Unit, conflicts: &mut Conflicts) {
        let key = in_order(a.policy, b.policy);
        if a.policy == b.policy || conflicts.contains_key(&key) || is_full(conflicts) {
            return;
        }
        let (mine, theirs) = (self.book.specificity(a), self.book.specificity(b));
        if mine.beats(&theirs) || theirs.beats(&mine) {
            return;
        }
        if let Some(shown) = self.conflict(a, b, &mine, &theirs) {
            conflicts.insert(key, shown);
        }
    }

    /// A name that shows the conflict of two patterns that do not beat each other.
    fn conflict(
        &self,
        a: Unit,
        b: Unit,
        mine: &Specificity,
        theirs: &Specificity,
    ) -> Option<Shown> {
        // Made-up names first: nearly always one of them shows it, and looking one up is cheap.
        for filler in ["", "x", "zq7_", "x9k_wv"] {
            let [schema, table, column] = self.common(a, b, filler)?;
            let table = TableName::new(schema, table);
            let name = ColumnName(column.into());
            if let Ruling::Unclear(policies) =
                self.book.ruling(self.target, &table, &name, self.case)
                && policies.contains(&a.policy)
                && policies.contains(&b.policy)
            {
                return Some(Shown::Name(table, name.0));
            }
        }
        // All made-up names have a third policy that rules. Is that so of every name?
        let others = self.others(a, b, mine, theirs);
        if others.len() > MOST_OTHERS {
            return Some(Shown::TooTangled);
        }
        self.uncovered(a, b, &others)
            .unwrap_or(Some(Shown::TooTangled))
    }

    fn common(&self, a: Unit, b: Unit, filler: &str) -> Option<[String; 3]> {
        let (a, b) = (self.parts(a), self.parts(b));
        let one = |at: usize| overlap::common_name(a[at].0, b[at].0, a[at].1, filler);
        Some([one(0)?, one(1)?, one(2)?])
    }

    /// Patterns that beat one of the two and share a name with both.
    fn others(&self, a: Unit, b: Unit, mine: &Specificity, theirs: &Specificity) -> Vec<Unit> {
        let (x, y) = (self.parts(a), self.parts(b));
        let touches = |unit: &Unit| {
            let parts = self.parts(*unit);
            (0..3).all(|at| {
                overlap::common_name(parts[at].0, x[at].0, x[at].1, "").is_some()
                    && overlap::common_name(parts[at].0, y[at].0, y[at].1, "").is_some()
            })
        };
        let beats = |unit: &Unit| {
            let specificity = self.book.specificity(*unit);
            specificity.beats(mine) || specificity.beats(theirs)
        };
        // The exact tables that both match: where their patterns meet in one table only, it alone is looked at.
        let (p, q) = (
            &self.book.policies[a.policy].table,
            &self.book.policies[b.policy].table,
        );
        let one = |x: &Glob, y: &Glob| x.as_exact().or(y.as_exact()).map(str::to_owned);
        let tables: Vec<TableName> = match (one(&p.schema, &q.schema), one(&p.table, &q.table)) {
            (Some(schema), Some(table)) => vec![TableName::new(schema, table)],
            _ => {
                let all = self.book.index.tables(self.target);
                all.filter(|table| p.matches(table) && q.matches(table))
                    .cloned()
                    .collect()
            }
        };
        let exact = tables
            .iter()
            .flat_map(|table| self.book.index.units_of(self.target, table));
        let loose = self
            .book
            .index
            .loose_policies(self.target)
            .flat_map(|policy| self.units(policy));
        exact
            .chain(loose)
            .filter(|unit| beats(unit) && touches(unit))
            .take(MOST_OTHERS + 1)
            .collect()
    }

    /// A name of both that none of the others matches.
    fn uncovered(&self, a: Unit, b: Unit, others: &[Unit]) -> Result<Option<Shown>, TooTangled> {
        let (x, y) = (self.parts(a), self.parts(b));
        let kinds = |at: usize| {
            let globs: Vec<&Glob> = others.iter().map(|unit| self.parts(*unit)[at].0).collect();
            overlap::kinds(x[at].0, y[at].0, &globs, x[at].1)
        };
        let (schemas, tables, columns) = (kinds(0)?, kinds(1)?, kinds(2)?);
        if schemas.len() * tables.len() * columns.len() > MOST_KINDS {
            return Err(TooTangled);
        }
        for (schema, in_schema) in &schemas {
            for (table, in_table) in &tables {
                let here: BTreeSet<&usize> = in_schema
                    .iter()
                    .filter(|other| in_table.contains(other))
                    .collect();
                for (column, in_column) in &columns {
                    if !in_column.iter().any(|other| here.contains(other)) {
                        let table = TableName::new(schema.clone(), table.clone());
                        return Ok(Some(Shown::Name(table, column.clone().into())));
                    }
                }
            }
        }
        Ok(None)
    }
}

fn is_full(conflicts: &Conflicts) -> bool {
    conflicts.len() >= MOST_CONFLICTS
}

fn in_order(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// Columns that are leased along although another policy protects them: for a warning.
pub(super) fn protected_along(book: &Book, targets: &KnownTargets) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: HashMap<(usize, usize), ()> = HashMap::new();
    for (at, policy) in book.policies.iter().enumerate() {
        let (Some(schema), Some(table)) = (
            policy.table.schema.as_exact(),
            policy.table.table.as_exact(),
        ) else {
            continue;
        };
        let ignored = targets
            .get(&policy.target)
            .is_some_and(|known| known.ignore_column_case);
        let table = TableName::new(schema, table);
        for column in &policy.along {
            let ruling = book.ruling(&policy.target, &table, column, Case::ignored_if(ignored));
            if let Ruling::One(other) = ruling
                && other != at
                && seen.insert((at, other), ()).is_none()
            {
                problems.push(
                    Problem::warning(
                        &policy.file,
                        policy.place,
                        format!(
                            "{:?} leases {table}:{} along, which {:?} protects",
                            policy.name,
                            syntax::quoted_if_odd(&column.0),
                            book.policies[other].name
                        ),
                    )
                    .cure("take it out of `with:` unless that is meant"),
                );
            }
        }
    }
    problems
}
