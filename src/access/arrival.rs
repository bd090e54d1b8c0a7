//! What the operator must know of a target before anybody is asked to approve.

use std::sync::Arc;

use foldhash::HashSet;
use serde::{Deserialize, Serialize};

use super::key::PrivilegeKey;
use super::names::{ColumnName, Grantee, TableColumns, TableName};
use super::privilege::{Privilege, ServerIdentity};

/// A question to a target: may this account be given these columns, and what would that do?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub grantee: Grantee,
    /// What was asked for.
    pub tables: Vec<TableColumns>,
    /// `with:` columns; missing ones and readable ones are left out without a complaint.
    pub along: Vec<TableColumns>,
    /// Privileges of live leases of ours: they do not count as "readable already".
    pub ours: Arc<HashSet<PrivilegeKey>>,
}

/// A way in which the grantee can read a column already, not by a lease of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reading {
    pub table: TableName,
    pub column: ColumnName,
    /// In words: `table grant by owner1`, `role analysts`, `PUBLIC`, `owner`, `superuser`.
    pub how: String,
}

/// Why the ask cannot be met at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum SurveyProblem {
    /// `near` are existing names that look alike, nearest first.
    NoTable {
        table: TableName,
        near: Vec<String>,
    },
    NoColumn {
        table: TableName,
        column: ColumnName,
        near: Vec<String>,
    },
    /// A view, a sequence, a foreign table, a system table: something that we do not lease. `what` says which.
    NotATable {
        table: TableName,
        what: String,
    },
    NoAccount {
        grantee: Grantee,
        near: Vec<String>,
    },
    /// Not a login, a superuser, ours, PUBLIC, has members …; `why` completes "alice …": `is a superuser`.
    Unfit {
        grantee: Grantee,
        why: String,
    },
    /// We ourselves may not give this column; `sql` is what its owner runs.
    NotOurs {
        table: TableName,
        columns: Vec<ColumnName>,
        sql: Vec<String>,
    },
}

/// Something else that reading needs and the grantee lacks: USAGE on the schema, CONNECT on the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prerequisite {
    /// In words: `USAGE on schema app`.
    pub what: String,
    /// What a DBA runs to mend it for good.
    pub sql: String,
    /// The privilege to lease along where the policy says `usage: grant`; `None` where it cannot be leased.
    pub lease: Option<Privilege>,
    /// What else it would open, in words, for the approver.
    pub opens: Vec<String>,
}

/// The answer to an [`Ask`], all from one look at the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    pub server: ServerIdentity,
    /// What is to be leased: each asked column in order, then the `along` columns that need it.
    /// Complete only where `problems` is empty.
    pub privileges: Vec<Privilege>,
    pub problems: Vec<SurveyProblem>,
    /// Asked columns that can be read already.
    pub readable: Vec<Reading>,
    pub prerequisites: Vec<Prerequisite>,
    /// Columns of these tables that the grantee will be able to read once this is granted, by whatever way.
    pub will_read: Vec<TableColumns>,
    /// What this engine cannot keep, in whole sentences, for the approver (facts-mysql, finding 4).
    pub caveats: Vec<String>,
}
