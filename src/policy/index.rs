//! Which policy rules a column.
//!
//! Of the policies that match, A beats B only if A is at least as exact in schema, table and column, and more exact
//! in one. One rules if it beats all others; in a finite partial order that is the same as being the only one that
//! nobody beats.

use std::ops::ControlFlow;

use foldhash::{HashMap, HashMapExt};

use super::book::{Book, Policy};
use super::glob::{Case, Exactness, Glob, folded};
use crate::access::{ColumnName, ShortText, TableName, TargetName};

/// One pattern of one policy's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Unit {
    pub policy: usize,
    pub column: usize,
}

/// How exact a unit is in schema, table and column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Specificity([Exactness; 3]);

impl Specificity {
    pub fn of(schema: &Glob, table: &Glob, column: &Glob) -> Self {
        Self([schema.exactness(), table.exactness(), column.exactness()])
    }

    /// A strict partial order: at least as exact everywhere, and more exact somewhere.
    pub fn beats(&self, other: &Self) -> bool {
        self.0 != other.0
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(mine, theirs)| mine >= theirs)
    }
}

/// Lookup by exact table first, so that ten thousand policies cost one column no more than a few.
#[derive(Debug, Default)]
pub(super) struct Index {
    targets: HashMap<TargetName, Target>,
}

#[derive(Debug, Default)]
struct Target {
    tables: HashMap<TableName, Table>,
    loose: Loose,
}

/// Policies with a wildcard in schema or table, by what all their tables begin with.
#[derive(Debug, Default)]
pub(super) struct Loose {
    by_start: HashMap<String, Vec<usize>>,
}

impl Loose {
    /// A table's name as one text; names hold no zero byte. The key of a policy is the beginning of this text that
    /// all its tables share, so a policy can match a table only if its key is a beginning of the table's text, and
    /// two policies can share a table only if the key of one is a beginning of the key of the other.
    fn text(schema: &str, table: &str) -> String {
        format!("{schema}\0{table}")
    }

    fn insert(&mut self, at: usize, policy: &Policy) {
        let schema = &policy.table.schema;
        let key = match schema.as_exact() {
            Some(exact) => Self::text(exact, policy.table.table.literal_start()),
            None => schema.literal_start().to_owned(),
        };
        self.by_start.entry(key).or_default().push(at);
    }

    /// Policies that may match a table.
    fn candidates(&self, table: &TableName) -> impl Iterator<Item = usize> {
        let text = (!self.by_start.is_empty()).then(|| Self::text(&table.schema, &table.table));
        text.into_iter().flat_map(move |text| {
            (0..=text.len())
                .filter_map(move |end| self.by_start.get(text.get(..end)?))
                .flatten()
                .copied()
        })
    }

    /// Shows each pair of policies that may share a table, once, until `each` has enough.
    pub fn pairs(&self, mut each: impl FnMut(usize, usize) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut sorted: Vec<(&str, usize)> = self
            .by_start
            .iter()
            .flat_map(|(key, policies)| policies.iter().map(move |at| (key.as_str(), *at)))
            .collect();
        sorted.sort_unstable();
        for (at, (key, policy)) in sorted.iter().enumerate() {
            // Whatever begins with a key follows it directly.
            let following = sorted[at + 1..]
                .iter()
                .take_while(|(other, _)| other.starts_with(key));
            for (_, other) in following {
                each(*policy, *other)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn all(&self) -> impl Iterator<Item = usize> {
        self.by_start.values().flatten().copied()
    }
}

#[derive(Debug, Default)]
struct Table {
    policies: Vec<usize>,
    /// By the column's name without case, for targets of either kind. Sorted: it takes a third of a map's room.
    columns: Vec<(ShortText, Unit)>,
    /// Column patterns.
    patterns: Vec<Unit>,
}

impl Table {
    /// Those that name a column so.
    fn named(&self, folded: &str) -> impl Iterator<Item = &Unit> {
        let from = self
            .columns
            .partition_point(|(name, _)| name.as_str() < folded);
        self.columns[from..]
            .iter()
            .take_while(move |(name, _)| name == folded)
            .map(|(_, unit)| unit)
    }
}

impl Index {
    pub fn new(policies: &[Policy]) -> Self {
        let mut targets: HashMap<TargetName, Target> = HashMap::new();
        for (at, policy) in policies.iter().enumerate() {
            let target = match targets.get_mut(&policy.target) {
                Some(target) => target,
                None => targets.entry(policy.target.clone()).or_default(),
            };
            let (Some(schema), Some(table)) = (
                policy.table.schema.as_exact(),
                policy.table.table.as_exact(),
            ) else {
                target.loose.insert(at, policy);
                continue;
            };
            let table = target
                .tables
                .entry(TableName::new(schema, table))
                .or_default();
            table.policies.push(at);
            table.columns.reserve_exact(policy.columns.len());
            for (column, glob) in policy.columns.iter().enumerate() {
                let unit = Unit { policy: at, column };
                match glob.as_exact() {
                    Some(name) => table.columns.push((folded(name).into(), unit)),
                    None => table.patterns.push(unit),
                }
            }
        }
        for table in targets.values_mut().flat_map(|of| of.tables.values_mut()) {
            table.columns.sort();
        }
        Self { targets }
    }

    /// Policies with a wildcard in schema or table.
    pub fn loose(&self, target: &TargetName) -> Option<&Loose> {
        self.targets.get(target).map(|target| &target.loose)
    }

    /// Those of them that may match a table.
    pub fn candidates(
        &self,
        target: &TargetName,
        table: &TableName,
    ) -> impl Iterator<Item = usize> {
        self.loose(target)
            .into_iter()
            .flat_map(|loose| loose.candidates(table))
    }

    /// All of them, in no order.
    pub fn loose_policies(&self, target: &TargetName) -> impl Iterator<Item = usize> {
        self.loose(target).into_iter().flat_map(Loose::all)
    }

    /// Exact tables that are named, in no order.
    pub fn tables(&self, target: &TargetName) -> impl Iterator<Item = &TableName> {
        self.targets
            .get(target)
            .into_iter()
            .flat_map(|target| target.tables.keys())
    }

    /// Units of one exact table that name the same column without case.
    pub fn columns(
        &self,
        target: &TargetName,
    ) -> impl Iterator<Item = (&TableName, &[(ShortText, Unit)])> {
        self.targets
            .get(target)
            .into_iter()
            .flat_map(|target| &target.tables)
            .flat_map(|(table, of)| {
                let same = of.columns.chunk_by(|(one, _), (other, _)| one == other);
                same.map(move |units| (table, units))
            })
    }

    /// Column patterns of one exact table.
    pub fn patterns(&self, target: &TargetName) -> impl Iterator<Item = (&TableName, &[Unit])> {
        self.targets
            .get(target)
            .into_iter()
            .flat_map(|target| &target.tables)
            .map(|(table, of)| (table, of.patterns.as_slice()))
    }

    pub fn targets(&self) -> impl Iterator<Item = &TargetName> {
        self.targets.keys()
    }

    /// All units of one exact table.
    pub fn units_of(&self, target: &TargetName, table: &TableName) -> impl Iterator<Item = Unit> {
        self.table(target, table).into_iter().flat_map(|of| {
            let named = of.columns.iter().map(|(_, unit)| unit);
            named.chain(&of.patterns).copied()
        })
    }

    fn table(&self, target: &TargetName, table: &TableName) -> Option<&Table> {
        self.targets.get(target)?.tables.get(table)
    }
}

/// Which policy rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// No policy names the column: it cannot be requested.
    Nobody,
    One(usize),
    /// These match, and none beats all others. In order, at least two.
    Unclear(Vec<usize>),
}

impl Book {
    pub(super) fn specificity(&self, unit: Unit) -> Specificity {
        let policy = &self.policies[unit.policy];
        Specificity::of(
            &policy.table.schema,
            &policy.table.table,
            &policy.columns[unit.column],
        )
    }

    /// What may match the columns of one table.
    pub(super) fn rulers(&self, target: &TargetName, table: &TableName) -> Rulers<'_> {
        let loose = self.index.candidates(target, table);
        Rulers {
            book: self,
            exact: self.index.table(target, table),
            loose: loose
                .filter(|at| self.policies[*at].table.matches(table))
                .collect(),
        }
    }

    pub(super) fn ruling(
        &self,
        target: &TargetName,
        table: &TableName,
        column: &ColumnName,
        case: Case,
    ) -> Ruling {
        self.rulers(target, table).ruling(column, case)
    }

    /// Policies that name this table exactly.
    pub(super) fn policies_of(&self, target: &TargetName, table: &TableName) -> &[usize] {
        self.index
            .table(target, table)
            .map_or(&[], |table| &table.policies)
    }
}

/// What may match the columns of one table, found once for all of them.
pub(super) struct Rulers<'b> {
    book: &'b Book,
    exact: Option<&'b Table>,
    /// Policies with a wildcard that match the table.
    loose: Vec<usize>,
}

impl Rulers<'_> {
    /// Every pattern that matches the column.
    pub fn matching(&self, column: &ColumnName, case: Case) -> Vec<Unit> {
        let policies = &self.book.policies;
        let fits =
            |unit: &Unit| policies[unit.policy].columns[unit.column].matches(&column.0, case);
        let mut units = Vec::new();
        if let Some(exact) = self.exact {
            let name = folded(&column.0);
            let named = exact.named(&name).chain(&exact.patterns);
            units.extend(named.filter(|unit| fits(unit)));
        }
        for policy in self.loose.iter().copied() {
            let columns = 0..policies[policy].columns.len();
            units.extend(columns.map(|column| Unit { policy, column }).filter(fits));
        }
        units
    }

    pub fn ruling(&self, column: &ColumnName, case: Case) -> Ruling {
        self.book.best(&self.matching(column, case))
    }
}

impl Book {
    /// Which of the patterns that match a column rules it.
    pub(super) fn best(&self, units: &[Unit]) -> Ruling {
        if let [only] = units {
            return Ruling::One(only.policy);
        }
        // Few patterns differ in how exact they are, however many match.
        let mut best: Vec<(Specificity, Vec<usize>)> = Vec::new();
        for unit in units {
            let mine = self.specificity(*unit);
            if best.iter().any(|(other, _)| other.beats(&mine)) {
                continue;
            }
            best.retain(|(other, _)| !mine.beats(other));
            match best.iter_mut().find(|(other, _)| *other == mine) {
                Some((_, policies)) => policies.push(unit.policy),
                None => best.push((mine, vec![unit.policy])),
            }
        }
        let mut unbeaten: Vec<usize> = best
            .into_iter()
            .flat_map(|(_, policies)| policies)
            .collect();
        unbeaten.sort_unstable();
        unbeaten.dedup();
        match unbeaten.as_slice() {
            [] => Ruling::Nobody,
            [one] => Ruling::One(*one),
            _ => Ruling::Unclear(unbeaten),
        }
    }
}
