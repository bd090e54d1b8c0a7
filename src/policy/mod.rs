//! PURE. The policy language and its judgement.
//!
//! [`book::Book`] is a set of parsed policies; [`Question`] what is asked; [`Judgement`] the answer, which must be
//! used. Who belongs to which group sits behind [`Directory`], so that tests judge invented people.

mod ambiguity;
pub mod approvals;
pub mod book;
pub mod document;
pub mod glob;
mod index;
mod judge;
mod lint;
mod offers;
pub mod overlap;
mod recorded;
mod refusal;
mod trial;

use std::collections::BTreeMap;

use crate::access::{TableColumns, TargetName, Terms, Ttl};

pub use book::{Book, SourceFile};
pub use document::{Expect, schema};
pub use judge::{Explained, RuledColumn, Tried};
pub use offers::{Gate, Leasable, Offer, ProtectedColumn, Ruled};
pub use recorded::still_allows;
pub use trial::TestResult;

pub use crate::yaml::{Level, Problem};

/// What the lints must know of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownTarget {
    /// MySQL and MariaDB: columns compare without case.
    pub ignore_column_case: bool,
}

/// The targets of the settings.
pub type KnownTargets = BTreeMap<TargetName, KnownTarget>;

/// Who belongs to which group.
pub trait Directory {
    /// The names behind a `who:` or `by:` entry: `group:dba` gives its members (groups in groups resolved),
    /// a bare name gives itself. An unknown group gives nobody.
    fn members(&self, entry: &str) -> Vec<String>;

    /// Whether the entry covers this person.
    fn covers(&self, entry: &str, person: &str) -> bool {
        self.members(entry).iter().any(|member| member == person)
    }

    /// Whether the settings know the entry: a group that is defined, a person whom a group or a pattern names.
    /// Only lints ask; a person whom nobody names can still be an account of the host.
    fn knows(&self, entry: &str) -> bool {
        !entry.starts_with("group:") || !self.members(entry).is_empty()
    }

    /// The groups there are, as `group:NAME`, for "did you mean".
    fn groups(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What is asked. Names are those of the catalog, or of the command line before anything was observed.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub who: &'a str,
    pub target: &'a TargetName,
    /// MySQL and MariaDB: columns compare without case.
    pub ignore_column_case: bool,
    pub tables: &'a [TableColumns],
    pub purpose: Option<&'a str>,
    pub ticket: Option<&'a str>,
    pub ttl: Ttl,
    /// How long the unbroken access would be with this request: leases of this person on any of these columns that
    /// overlap or adjoin, and this one. Equals `ttl` where there are none.
    pub unbroken: Ttl,
}

/// The answer.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    Allowed(Terms),
    Refused(Vec<Refusal>),
}

/// One reason of a refusal: what was not met, what would be accepted, and what to type.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// `support may have public.customers:email for 1h, not 2h`.
    pub why: String,
    /// `customer-contact, entry 1`, where one rule is the reason.
    pub rule: Option<String>,
    /// `--for 1h`: flags that would be accepted.
    pub try_this: Option<String>,
}

impl std::fmt::Display for Refusal {
    /// `support may have … for 1h, not 2h (customer-contact, entry 1); try --for 1h`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)?;
        if let Some(rule) = &self.rule {
            write!(f, " ({rule})")?;
        }
        if let Some(flags) = &self.try_this {
            write!(f, "; try {flags}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
