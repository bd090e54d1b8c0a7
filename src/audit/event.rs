//! PURE. One event, flat, with stable keys in a stable order.

use serde::{Deserialize, Serialize};

use crate::access::{At, ColumnName, Grantee, RequestId, TableName, TargetName};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    Requested,
    Refused,
    /// A submission that cannot be accepted.
    Rejected,
    Approved,
    Denied,
    Cancelled,
    Lapsed,
    /// The intent, before the GRANT is sent.
    Granting,
    Granted,
    GrantFailed,
    Returned,
    Revoking,
    /// Our row is observed gone.
    Revoked,
    RevokeFailed,
    /// Covered by another lease, or there without us: it stays.
    Kept,
    /// It, or what it was about, was not there any more.
    Gone,
    /// A privilege of ours that no lease owned.
    Stray,
    Held,
    Resumed,
    SettingsChanged,
    /// The ledger was made.
    LedgerMade,
    /// The ledger took another settings file for its own.
    LedgerAdopted,
    /// A clock set back was accepted.
    ClockAccepted,
}

impl EventKind {
    pub fn word(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// What an event says, but for its number, time, host and place in the chain: those are given when it is sealed.
///
/// The fields are in the order of the keys in the line. Absent ones are left out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Draft {
    pub event: EventKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub request: Option<RequestId>,
    /// Who did it: a user name, or `jit`.
    pub actor: String,
    /// How the actor was recognised: `uid:1003`, or `sweep:uid:0`.
    pub via: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub target: Option<TargetName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub grantee: Option<Grantee>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub table: Option<TableName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub columns: Vec<ColumnName>,
    /// As requested, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub granted_at: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<At>,
    /// Seconds from expiry to the observed end; 0 where it ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// What the catalog showed, or what was shown to be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<serde_json::Value>,
    /// Why it was refused, denied, rejected, failed, kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Draft {
    /// An event about nothing in particular yet.
    pub fn new(event: EventKind, actor: &crate::access::Actor) -> Self {
        Self {
            event,
            request: None,
            actor: actor.name().to_owned(),
            via: actor.via(),
            requester: None,
            approvers: Vec::new(),
            target: None,
            server: None,
            engine: None,
            grantee: None,
            table: None,
            columns: Vec::new(),
            ttl_s: None,
            granted_at: None,
            expires_at: None,
            ended_at: None,
            late_s: None,
            reason: None,
            purpose: None,
            ticket: None,
            policy: None,
            sql: Vec::new(),
            batch: None,
            observed: None,
            why: None,
        }
    }
}
