//! What a judgement allowed: plain data, recorded with the request and compared before the grant.

use serde::{Deserialize, Serialize};

use super::names::TableColumns;
use super::time::Ttl;

/// One entry of one policy. Shown as `customer-contact, entry 1`; in events as `customer-contact@ab12…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleRef {
    pub policy: String,
    /// SHA-256 (hexadecimal) of the policy file's text; the ledger keeps the text.
    pub hash: String,
    /// Which `allow:` entry decided, counted from 1.
    pub entry: usize,
}

impl RuleRef {
    /// The `policy` key of an event: the name and the beginning of the text's hash.
    pub fn event_text(&self) -> String {
        format!(
            "{}@{}",
            self.policy,
            self.hash.get(..12).unwrap_or(&self.hash)
        )
    }
}

/// At expiry, what happens to sessions that can still read.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Sessions {
    #[default]
    Report,
    End,
}

/// Whether schema USAGE is leased along where it is missing.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Usage {
    #[default]
    Refuse,
    Grant,
}

/// `count` approvals by members of `by`, all of them different people from those who meet other lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApprovalLine {
    /// As the policy writes them, sorted: `group:dba` or a user name.
    pub by: Vec<String>,
    pub count: usize,
}

/// Which columns one rule gave, for display and for events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grouping {
    pub rule: RuleRef,
    pub class: Option<String>,
    pub columns: TableColumns,
}

/// An allowed request: under which rules, and what must still happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The rule for each group of asked columns, in the order asked.
    pub rules: Vec<Grouping>,
    /// `with:` columns of those policies that were not asked for: leased along where not readable already.
    pub along: Vec<TableColumns>,
    /// Approvals needed, pooled over all rules and merged. Empty means approved at once.
    pub lines: Vec<ApprovalLine>,
    /// The shortest maximum of all rules.
    pub max: Ttl,
    /// The shortest bound on what is unbroken.
    pub max_total: Ttl,
    /// From request to grant; later it lapses. The shortest of all rules.
    pub within: Ttl,
    pub sessions: Sessions,
    pub usage: Usage,
    /// Groups and names by which the requester fitted: `group:support`.
    pub memberships: Vec<String>,
}

impl Terms {
    pub fn is_automatic(&self) -> bool {
        self.lines.is_empty()
    }

    /// The distinct rules, in order.
    pub fn distinct_rules(&self) -> Vec<&RuleRef> {
        let mut seen: Vec<&RuleRef> = Vec::new();
        for grouping in &self.rules {
            if !seen.contains(&&grouping.rule) {
                seen.push(&grouping.rule);
            }
        }
        seen
    }
}
