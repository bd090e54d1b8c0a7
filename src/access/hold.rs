//! A hold: no new requests in its scope until an admin resumes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::names::{Grantee, TableColumns, TargetName, same_but_for_case};
use super::person::Person;
use super::request::Request;
use super::time::At;

/// Whom or what a kill switch is about. What is set must fit all at once (AND); with nothing set it fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grantee: Option<Grantee>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// Fits a request that has any of these columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<TableColumns>,
}

impl Selector {
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a request is in scope: by what was asked and by what is leased along. Columns compare without
    /// case, so that a kill switch never misses one on MySQL.
    pub fn fits(&self, request: &Request) -> bool {
        let column_fits = |wanted: &TableColumns| {
            let same = |table: &super::TableName, column: &str| {
                *table == wanted.table
                    && wanted
                        .columns
                        .iter()
                        .any(|c| same_but_for_case(&c.0, column))
            };
            request
                .tables
                .iter()
                .any(|t| t.columns.iter().any(|c| same(&t.table, &c.0)))
                || request.privileges.iter().any(|p| {
                    matches!((p.named.table(), p.named.column()), (Some(t), Some(c)) if same(t, &c.0))
                })
        };
        self.requester
            .as_ref()
            .is_none_or(|r| *r == request.requester.name)
            && self.grantee.as_ref().is_none_or(|g| *g == request.grantee)
            && self.target.as_ref().is_none_or(|t| *t == request.target)
            && self.column.as_ref().is_none_or(column_fits)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("everything");
        }
        let mut parts = Vec::new();
        parts.extend(self.requester.as_ref().map(|r| format!("requester {r}")));
        parts.extend(self.grantee.as_ref().map(|g| format!("grantee {g}")));
        parts.extend(self.target.as_ref().map(|t| format!("target {t}")));
        parts.extend(self.column.as_ref().map(|c| format!("column {c}")));
        f.write_str(&parts.join(", "))
    }
}

/// A hold as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Counted up by whoever makes it, unique in the ledger.
    pub number: u32,
    pub selector: Selector,
    pub reason: String,
    pub by: Person,
    pub at: At,
    pub resumed: Option<Resumed>,
}

/// How a hold ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    pub by: Person,
    pub at: At,
    pub reason: String,
}
