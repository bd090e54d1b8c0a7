//! How requests and leases become lines of the audit trail: one line a table.

use std::collections::BTreeMap;

use crate::access::privilege::Thing;
use crate::access::{Actor, At, ColumnName, Lease, Privilege, Request, ShortText, TableName, time};
use crate::audit::event::{Draft, EventKind};

/// Every key that follows from the request, without a table.
pub fn about(kind: EventKind, actor: &Actor, request: &Request) -> Draft {
    let mut draft = Draft::new(kind, actor);
    draft.request = Some(request.id.clone());
    draft.requester = Some(request.requester.name.clone());
    draft.approvers = request
        .approvals
        .iter()
        .map(|a| a.by.name.clone())
        .collect();
    draft.target = Some(request.target.clone());
    draft.grantee = Some(request.grantee.clone());
    draft.ttl_s = Some(time::seconds(request.ttl));
    draft.granted_at = request.granted_at;
    draft.expires_at = request.expires_at;
    draft.reason = Some(request.reason.clone());
    draft.purpose = request.purpose.clone();
    draft.ticket = request.ticket.clone();
    draft
}

/// One line for each table that was asked for.
pub fn of_request(
    kind: EventKind,
    actor: &Actor,
    request: &Request,
    why: Option<&str>,
) -> Vec<Draft> {
    request
        .tables
        .iter()
        .map(|table| {
            let mut draft = about(kind, actor, request);
            draft.table = Some(table.table.clone());
            draft.columns = table.columns.clone();
            draft.policy = policy_of(request, Some(&table.table));
            draft.why = why.map(str::to_owned);
            draft
        })
        .collect()
}

/// The rules that gave columns of this table, as `name@hash`.
fn policy_of(request: &Request, table: Option<&TableName>) -> Option<String> {
    let terms = request.terms.as_ref()?;
    let mut names: Vec<String> = terms
        .rules
        .iter()
        .filter(|grouping| table.is_none_or(|table| grouping.columns.table == *table))
        .map(|grouping| grouping.rule.event_text())
        .collect();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What a line about leases is about: a table, or a schema whose USAGE was leased along.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Table(TableName),
    Schema(ShortText),
}

impl Subject {
    pub fn of(privilege: &Privilege) -> Self {
        match &privilege.named.thing {
            Thing::Column { table, .. } => Self::Table(table.clone()),
            Thing::Schema(schema) => Self::Schema(schema.clone()),
        }
    }
}

/// Leases of one request by table, tables in the order of their names, schemas last.
pub fn by_subject<'l>(
    leases: impl IntoIterator<Item = &'l Lease>,
) -> BTreeMap<Subject, Vec<&'l Lease>> {
    let mut groups: BTreeMap<Subject, Vec<&Lease>> = BTreeMap::new();
    for lease in leases {
        groups
            .entry(Subject::of(&lease.privilege))
            .or_default()
            .push(lease);
    }
    groups
}

/// A line about some leases of one request and one subject.
pub fn of_leases(
    kind: EventKind,
    actor: &Actor,
    request: &Request,
    subject: &Subject,
    leases: &[&Lease],
    engine: Option<&str>,
) -> Draft {
    let mut draft = about(kind, actor, request);
    draft.server = leases.first().map(|lease| lease.server.to_string());
    draft.engine = engine.map(str::to_owned);
    if let Some(lease) = leases.first() {
        draft.expires_at = Some(lease.expires_at);
        draft.grantee = Some(lease.grantee.clone());
    }
    match subject {
        Subject::Table(table) => {
            draft.table = Some(table.clone());
            draft.columns = columns(leases);
            draft.policy = policy_of(request, Some(table));
        }
        Subject::Schema(schema) => {
            draft.observed = Some(serde_json::json!({ "schema": schema, "privilege": "USAGE" }));
            draft.policy = policy_of(request, None);
        }
    }
    draft
}

fn columns(leases: &[&Lease]) -> Vec<ColumnName> {
    leases
        .iter()
        .filter_map(|lease| lease.privilege.named.column().cloned())
        .collect()
}

/// Sets when it ended and how late that was. Early ends are never late.
pub fn set_end(draft: &mut Draft, ended_at: At, due_at: Option<At>) {
    draft.ended_at = Some(ended_at);
    draft.late_s = Some(due_at.map_or(0.0, |due_at| time::seconds(ended_at.since(due_at))));
}

/// Adds to `observed`, keeping what is there.
pub fn observe(draft: &mut Draft, key: &str, value: serde_json::Value) {
    let observed = draft
        .observed
        .get_or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
    if let Some(map) = observed.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}
