//! What a person hands in: one act, as JSON, authenticated by the inbox and never by its own words.

use serde::{Deserialize, Serialize};

use crate::access::hold::Selector;
use crate::access::{RequestId, TableColumns, TargetName, Ttl};

/// The newest form of a submission that we write and read.
const VERSION: u32 = 1;
/// No reason, note or ticket is longer than this, in characters.
pub const LONGEST_TEXT: usize = 2000;
/// No request names more columns than this.
pub const MOST_COLUMNS: usize = 1000;

/// One act and a number used once, so that two equal acts are two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    pub v: u32,
    pub nonce: String,
    pub act: Act,
}

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    Request(AskAct),
    Approve {
        id: RequestId,
        /// [`super::view::digest`] of what the approver was shown.
        digest: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<Ttl>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    Deny {
        id: RequestId,
        reason: String,
    },
    Cancel {
        id: RequestId,
    },
    Return {
        id: RequestId,
    },
    Revoke {
        ids: Vec<RequestId>,
        reason: String,
    },
    RevokeAll {
        selector: Selector,
        reason: String,
    },
    Resume {
        /// Empty: every hold that stands.
        holds: Vec<u32>,
        reason: String,
    },
    /// Decides about leases of a request that are disputed.
    Settle {
        id: RequestId,
        /// Whether the privilege stays, as a standing one that is not ours any more; otherwise it is taken.
        keep: bool,
        reason: String,
    },
}

/// A request for columns, in full names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskAct {
    pub target: TargetName,
    pub tables: Vec<TableColumns>,
    pub ttl: Ttl,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The request that this one goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<RequestId>,
}

/// The order in which acts are drained: what takes access away goes first, what gives it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    Takes,
    Asks,
    Gives,
}

/// Why a submission's bytes are no submission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub String);

impl Act {
    /// The word that events and the ledger use for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Approve { .. } => "approve",
            Self::Deny { .. } => "deny",
            Self::Cancel { .. } => "cancel",
            Self::Return { .. } => "return",
            Self::Revoke { .. } | Self::RevokeAll { .. } => "revoke",
            Self::Resume { .. } => "resume",
            Self::Settle { .. } => "settle",
        }
    }

    pub fn urgency(&self) -> Urgency {
        match self {
            Self::Deny { .. }
            | Self::Cancel { .. }
            | Self::Return { .. }
            | Self::Revoke { .. }
            | Self::RevokeAll { .. }
            | Self::Settle { .. } => Urgency::Takes,
            Self::Request(_) | Self::Resume { .. } => Urgency::Asks,
            Self::Approve { .. } => Urgency::Gives,
        }
    }

    /// The requests that it names.
    pub fn requests(&self) -> Vec<&RequestId> {
        match self {
            Self::Request(_) | Self::RevokeAll { .. } | Self::Resume { .. } => Vec::new(),
            Self::Approve { id, .. }
            | Self::Deny { id, .. }
            | Self::Cancel { id }
            | Self::Return { id }
            | Self::Settle { id, .. } => vec![id],
            Self::Revoke { ids, .. } => ids.iter().collect(),
        }
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Request(ask) => {
                let mut texts = vec![("reason", ask.reason.as_str())];
                texts.extend(ask.purpose.as_deref().map(|t| ("purpose", t)));
                texts.extend(ask.ticket.as_deref().map(|t| ("ticket", t)));
                texts
            }
            Self::Approve { note, .. } => {
                note.as_deref().map(|t| ("note", t)).into_iter().collect()
            }
            Self::Deny { reason, .. }
            | Self::Revoke { reason, .. }
            | Self::RevokeAll { reason, .. }
            | Self::Resume { reason, .. }
            | Self::Settle { reason, .. } => vec![("reason", reason)],
            Self::Cancel { .. } | Self::Return { .. } => Vec::new(),
        }
    }

    /// Checks what types cannot say: texts that are there and not endless, columns named once.
    pub fn check(&self) -> Result<(), Malformed> {
        for (name, text) in self.texts() {
            if text.trim().is_empty() {
                return Err(Malformed(format!("the {name} is empty")));
            }
            if text.chars().count() > LONGEST_TEXT {
                return Err(Malformed(format!(
                    "the {name} has more than {LONGEST_TEXT} characters"
                )));
            }
        }
        if let Self::Request(ask) = self {
            let columns: usize = ask.tables.iter().map(|t| t.columns.len()).sum();
            if columns == 0 || ask.tables.iter().any(|t| t.columns.is_empty()) {
                return Err(Malformed("it names no column".into()));
            }
            if columns > MOST_COLUMNS {
                return Err(Malformed(format!(
                    "it names more than {MOST_COLUMNS} columns"
                )));
            }
            let mut tables: Vec<_> = ask.tables.iter().map(|t| &t.table).collect();
            tables.sort();
            tables.dedup();
            if tables.len() != ask.tables.len() {
                return Err(Malformed("a table is named twice".into()));
            }
            for table in &ask.tables {
                let mut names: Vec<_> = table.columns.iter().map(|c| &c.0).collect();
                names.sort();
                names.dedup();
                if names.len() != table.columns.len() {
                    return Err(Malformed(format!(
                        "a column of {} is named twice",
                        table.table
                    )));
                }
                let hostile =
                    |name: &str| name.is_empty() || name.contains('\0') || name.len() > 256;
                if names.iter().any(|n| hostile(n))
                    || hostile(&table.table.schema)
                    || hostile(&table.table.table)
                {
                    return Err(Malformed(
                        "a name is empty, too long or holds a zero byte".into(),
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Submission {
    /// A submission of this act; `nonce` is 16 random bytes.
    pub fn new(act: Act, nonce: [u8; 16]) -> Self {
        Self {
            v: VERSION,
            nonce: hex::encode(nonce),
            act,
        }
    }

    /// The bytes that are hashed and handed in.
    pub fn bytes(&self) -> Vec<u8> {
        // A struct of texts and numbers always serializes.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what somebody handed in.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let Version { v } =
            serde_json::from_slice(bytes).map_err(|error| Malformed(error.to_string()))?;
        if v != VERSION {
            return Err(Malformed(format!(
                "it has version {v}; this operator reads version {VERSION}"
            )));
        }
        let submission: Self =
            serde_json::from_slice(bytes).map_err(|error| Malformed(error.to_string()))?;
        if submission.nonce.len() != 32 || !submission.nonce.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Err(Malformed("its nonce is not 32 hexadecimal digits".into()));
        }
        submission.act.check()?;
        Ok(submission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask() -> Act {
        Act::Request(AskAct {
            target: "shop".into(),
            tables: vec![TableColumns {
                table: "public.customers".parse().unwrap(),
                columns: vec!["email".into()],
            }],
            ttl: Ttl::from_secs(60),
            reason: "because".into(),
            purpose: None,
            ticket: None,
            extends: None,
        })
    }

    #[test]
    fn reads_back_what_it_writes() {
        let submission = Submission::new(ask(), [7; 16]);
        assert_eq!(Submission::read(&submission.bytes()).unwrap(), submission);
    }

    #[test]
    fn half_written_and_forged_ones_are_malformed() {
        let whole = Submission::new(ask(), [7; 16]).bytes();
        for cut in 0..whole.len() {
            assert!(Submission::read(&whole[..cut]).is_err(), "cut at {cut}");
        }
        let text = String::from_utf8(whole).unwrap();
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\":1,\"actor\":\"root\""),
            ("\"reason\":\"because\"", "\"reason\":\" \""),
            ("\"reason\":", "\"uid\":0,\"reason\":"),
            ("[\"email\"]", "[]"),
            ("[\"email\"]", "[\"email\",\"email\"]"),
            ("0707", "xx07"),
        ] {
            let forged = text.replacen(from, to, 1);
            assert_ne!(forged, text);
            assert!(Submission::read(forged.as_bytes()).is_err(), "{forged}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Submission::read(&bytes);
        }
    }
}
