//! What could be had: columns that policies protect, and what a person may ask for.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Directory;
use super::approvals;
use super::book::{Book, Entry, Policy};
use super::glob::Case;
use super::index::Ruling;
use crate::access::{
    ApprovalLine, ColumnName, Sessions, ShortText, TableName, TablePattern, TargetName, Ttl, Usage,
};

/// A column of a catalog, and the policy that rules it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ProtectedColumn {
    pub table: TableName,
    pub column: ColumnName,
    pub policy: String,
    pub class: Option<String>,
}

/// The same, as they stand in the catalog and in the book.
#[derive(Clone, Copy, Debug)]
pub struct Ruled<'b, 'c> {
    pub table: &'c TableName,
    pub column: &'c ColumnName,
    pub policy: &'b Policy,
}

/// What a target must let `jit` lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leasable {
    /// Protected columns and `with:` columns that exist, in catalog order.
    pub tables: Vec<(TableName, Vec<ColumnName>)>,
    /// Schemas of these tables whose USAGE may be leased along.
    pub usage: Vec<ShortText>,
    /// Whether an entry of these policies ends sessions.
    pub end_sessions: bool,
}

/// One way in which a person may ask for a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    #[schemars(with = "String")]
    pub max: Ttl,
    /// Empty: any purpose, or none.
    pub purposes: Vec<String>,
    /// The regular expression that the whole ticket must match.
    pub ticket: Option<String>,
    /// In words: `no approval`, `1 of group:dba and 1 of group:privacy`.
    pub approval: String,
}

impl Book {
    /// The columns of a catalog that a policy rules, in catalog order. Columns that are unclear are left out:
    /// nobody can ask for them, and `check` says so.
    pub fn protected(
        &self,
        target: &TargetName,
        ignore_column_case: bool,
        catalog: &[(TableName, Vec<ColumnName>)],
    ) -> Vec<ProtectedColumn> {
        let mut protected = Vec::new();
        for of in self.ruled(target, ignore_column_case, catalog) {
            protected.push(ProtectedColumn {
                table: of.table.clone(),
                column: of.column.clone(),
                policy: of.policy.name.clone(),
                class: of.policy.class.clone(),
            });
        }
        protected
    }

    /// The tables that a target's policies may be about, for asking its catalog.
    pub fn tables(&self, target: &TargetName) -> Vec<TablePattern> {
        let of_target = self
            .policies()
            .iter()
            .filter(|policy| policy.target == *target);
        let patterns: BTreeSet<TablePattern> =
            of_target.map(|policy| policy.table.for_catalog()).collect();
        patterns.into_iter().collect()
    }

    /// What `setup` and `doctor` must provide for on a target.
    pub fn leasable(
        &self,
        target: &TargetName,
        ignore_column_case: bool,
        catalog: &[(TableName, Vec<ColumnName>)],
    ) -> Leasable {
        let case = Case::ignored_if(ignore_column_case);
        let mut leasable = Leasable::default();
        for (table, columns) in catalog {
            let here = [(table.clone(), columns.clone())];
            let ruled: Vec<Ruled<'_, '_>> = self.ruled(target, ignore_column_case, &here).collect();
            if ruled.is_empty() {
                continue;
            }
            let along = |column: &ColumnName| {
                let named = ruled.iter().flat_map(|of| &of.policy.along);
                named
                    .into_iter()
                    .any(|name| super::glob::Glob::exact(name.as_str()).matches(&column.0, case))
            };
            let wanted = columns
                .iter()
                .filter(|column| ruled.iter().any(|of| *of.column == **column) || along(column));
            leasable
                .tables
                .push((table.clone(), wanted.cloned().collect()));
            leasable.end_sessions |= ruled
                .iter()
                .flat_map(|of| &of.policy.entries)
                .any(|entry| entry.sessions == Sessions::End);
            let usage = ruled
                .iter()
                .flat_map(|of| &of.policy.entries)
                .any(|entry| entry.usage == Usage::Grant);
            if usage && !leasable.usage.contains(&table.schema) {
                leasable.usage.push(table.schema.clone());
            }
        }
        leasable
    }

    /// As [`Book::protected`], with the policies themselves, one after the other.
    pub fn ruled<'b, 'c>(
        &'b self,
        target: &'b TargetName,
        ignore_column_case: bool,
        catalog: &'c [(TableName, Vec<ColumnName>)],
    ) -> impl Iterator<Item = Ruled<'b, 'c>> {
        let case = Case::ignored_if(ignore_column_case);
        catalog.iter().flat_map(move |(table, columns)| {
            let rulers = self.rulers(target, table);
            columns.iter().filter_map(move |column| {
                let Ruling::One(policy) = rulers.ruling(column, case) else {
                    return None;
                };
                Some(Ruled {
                    table,
                    column,
                    policy: &self.policies[policy],
                })
            })
        })
    }
}

/// Who may ask by an entry: whom it names, as far as somebody could approve it for them. A company's entries are many,
/// and their gates few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gate<'b> {
    who: &'b [String],
    lines: &'b [ApprovalLine],
}

impl Gate<'_> {
    pub fn opens(&self, dir: &dyn Directory, who: &str) -> bool {
        self.who.iter().any(|name| dir.covers(name, who))
            && approvals::possible(self.lines, who, dir).is_ok()
    }
}

impl Entry {
    pub fn gate(&self) -> Gate<'_> {
        Gate {
            who: &self.who,
            lines: &self.lines,
        }
    }

    /// What whoever may ask by it can have.
    pub fn offer(&self) -> Offer {
        Offer {
            max: self.max,
            purposes: self.purposes.clone().unwrap_or_default(),
            ticket: self.ticket.as_ref().map(|ticket| ticket.text.to_string()),
            approval: approvals::in_words(&self.lines),
        }
    }
}
