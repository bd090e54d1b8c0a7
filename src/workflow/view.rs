//! What people may see of requests: the objects that `-o json` prints, that tables are made of, and that operators
//! put into mailboxes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::access::privilege::Thing;
use crate::access::{
    ApprovalLine, At, ColumnName, Grantee, Lease, LeaseState, Request, RequestId, State,
    TableColumns, TableName, TargetName, Ttl,
};
use crate::policy::{Offer, approvals};
use crate::stores::{Fact, FindLeases, FindRequests, StoreError};

use super::offered::Offered;
use super::requestable::Columns;
use super::{Operator, Rules};

/// One request, whole. Keys are added, never renamed.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RequestView {
    #[schemars(with = "String")]
    pub id: RequestId,
    #[schemars(with = "String")]
    pub state: State,
    pub requester: String,
    #[schemars(with = "String")]
    pub target: TargetName,
    #[schemars(with = "String")]
    pub grantee: Grantee,
    #[schemars(with = "Vec<serde_json::Value>")]
    pub tables: Vec<TableColumns>,
    /// Columns that are leased along, such as the key.
    #[serde(default)]
    #[schemars(with = "Vec<serde_json::Value>")]
    pub with: Vec<TableColumns>,
    /// As asked: `2h`.
    #[schemars(with = "String")]
    pub ttl: Ttl,
    /// As it will be or is: the shortest that an approver gave.
    #[schemars(with = "String")]
    pub lease_ttl: Ttl,
    pub reason: String,
    pub purpose: Option<String>,
    pub ticket: Option<String>,
    #[schemars(with = "Option<String>")]
    pub extends: Option<RequestId>,
    pub approvals: Vec<ApprovalView>,
    /// What is still needed before it can be granted.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub needs: Vec<ApprovalLine>,
    /// Who could give it.
    pub approvers: Vec<String>,
    #[schemars(with = "String")]
    pub submitted_at: At,
    #[schemars(with = "String")]
    pub lapses_at: At,
    #[schemars(with = "Option<String>")]
    pub granted_at: Option<At>,
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<At>,
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<At>,
    /// `expired`, `returned`, `revoked` or `failed`.
    pub ended: Option<String>,
    /// Why it was refused, denied, cancelled or failed, or what keeps it from ending.
    pub outcome: Option<String>,
    pub leases: Vec<LeaseView>,
    /// `customer-contact, entry 1`.
    pub rules: Vec<String>,
    pub classes: Vec<String>,
    pub caveats: Vec<String>,
    #[schemars(with = "Vec<serde_json::Value>")]
    pub will_read: Vec<TableColumns>,
    /// The GRANTs as surveyed at arrival.
    pub sql: Vec<String>,
    pub server: Option<String>,
    /// Other access that the requester has on this target now.
    pub also_holds: Vec<String>,
    /// Of everything that an approver decides about; an approval names it. Empty where nobody decides any more.
    pub digest: String,
    /// Whether this is all that a mailbox has of it: no reason, rules, approvals, leases or SQL.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
    /// The audit lines about it, oldest first; only in `show`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ApprovalView {
    pub by: String,
    #[schemars(with = "String")]
    pub at: At,
    #[serde(rename = "for")]
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Ttl>,
    pub note: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LeaseView {
    #[schemars(with = "Option<String>")]
    pub table: Option<TableName>,
    #[schemars(with = "Option<String>")]
    pub column: Option<ColumnName>,
    /// The schema whose USAGE is leased along.
    pub schema: Option<String>,
    /// `owed`, `held`, `disputed`, `revoked`, `gone`, `covered` or `left`.
    #[schemars(with = "String")]
    pub state: Cow<'static, str>,
    #[schemars(with = "String")]
    pub expires_at: At,
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<At>,
    pub why: Option<String>,
}

impl LeaseView {
    fn of(lease: Lease) -> Self {
        let state = lease.state.word().into();
        let (ended_at, why) = match lease.state {
            LeaseState::Owed | LeaseState::Held => (None, None),
            LeaseState::Disputed { why } => (None, Some(why)),
            LeaseState::Revoked { ended_at } => (Some(ended_at), None),
            LeaseState::Gone { ended_at, why } => (Some(ended_at), Some(why)),
            LeaseState::Covered { ended_at, by } => {
                (Some(ended_at), Some(format!("goes on with {by}")))
            }
            LeaseState::Left { ended_at, by } => {
                (Some(ended_at), Some(format!("{by} left it standing")))
            }
        };
        let (table, column, schema) = match lease.privilege.named.thing {
            Thing::Column { table, column } => (Some(table), Some(column), None),
            Thing::Schema(schema) => (None, None, Some(schema.into_string())),
        };
        Self {
            table,
            column,
            schema,
            state,
            expires_at: lease.expires_at,
            ended_at,
            why,
        }
    }
}

/// A digest of everything that an approver decides about. Approvals by others are not part of it: two approvers
/// may read the same request side by side.
pub fn digest(request: &Request) -> String {
    let shown = serde_json::json!([
        request.id,
        request.state == State::Pending,
        request.requester,
        request.target,
        request.grantee,
        request.tables,
        request.ttl,
        request.reason,
        request.purpose,
        request.ticket,
        request.extends,
        request.terms,
        request.privileges,
        request.caveats,
        request.sql,
        request.will_read,
    ]);
    hex::encode(&Sha256::digest(shown.to_string().as_bytes())[..16])
}

/// The view of one request; `with_events` adds its audit lines.
pub fn of_request(
    op: &Operator,
    request: &Request,
    with_events: bool,
) -> Result<RequestView, StoreError> {
    let mut server = None;
    let mut leases = Vec::new();
    if request.expires_at.is_some() {
        let find = FindLeases::Of(request.id.clone());
        op.ledger.each_lease(&find, &mut |lease| {
            server.get_or_insert_with(|| lease.server.to_string());
            leases.push(LeaseView::of(lease));
            Ok(())
        })?;
    }
    let directory = op.rules.people.directory();
    let given: Vec<&str> = request
        .approvals
        .iter()
        .map(|a| a.by.name.as_str())
        .collect();
    let (needs, approvers) = match (&request.terms, request.state) {
        (Some(terms), State::Submitted | State::Pending) => (
            approvals::missing(&terms.lines, &given, &request.requester.name, directory),
            approvals::who_can(&terms.lines, &given, &request.requester.name, directory),
        ),
        _ => (Vec::new(), Vec::new()),
    };
    let also_holds = if matches!(request.state, State::Pending | State::Submitted) {
        also_holds(op, request)?
    } else {
        Vec::new()
    };
    let events = if with_events {
        op.ledger
            .lines_of(&request.id)?
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    } else {
        Vec::new()
    };
    let terms = request.terms.as_ref();
    let mut classes: Vec<String> = terms
        .map(|terms| terms.rules.iter().filter_map(|g| g.class.clone()).collect())
        .unwrap_or_default();
    classes.sort();
    classes.dedup();
    Ok(RequestView {
        id: request.id.clone(),
        state: request.state,
        requester: request.requester.name.clone(),
        target: request.target.clone(),
        grantee: request.grantee.clone(),
        tables: request.tables.clone(),
        with: leased_along(request),
        ttl: request.ttl,
        lease_ttl: request.lease_ttl(),
        reason: request.reason.clone(),
        purpose: request.purpose.clone(),
        ticket: request.ticket.clone(),
        extends: request.extends.clone(),
        approvals: request
            .approvals
            .iter()
            .map(|approval| ApprovalView {
                by: approval.by.name.clone(),
                at: approval.at,
                ttl: approval.ttl,
                note: approval.note.clone(),
            })
            .collect(),
        needs,
        approvers,
        submitted_at: request.submitted_at,
        lapses_at: request.lapses_at,
        granted_at: request.granted_at,
        expires_at: request.expires_at,
        ended_at: request.ended_at,
        ended: request.ended.as_ref().map(|ended| ended.word().to_owned()),
        outcome: request.outcome.clone(),
        server,
        leases,
        rules: terms
            .map(|terms| {
                terms
                    .distinct_rules()
                    .iter()
                    .map(|rule| format!("{}, entry {}", rule.policy, rule.entry))
                    .collect()
            })
            .unwrap_or_default(),
        classes,
        caveats: request.caveats.clone(),
        will_read: request.will_read.clone(),
        sql: request.sql.clone(),
        also_holds,
        digest: match request.state {
            State::Submitted | State::Pending => digest(request),
            // Nobody decides about it any more.
            _ => String::new(),
        },
        shortened: false,
        events,
    })
}

/// The view of one request as lists show it, from the request alone.
pub fn in_short(request: &Request) -> RequestView {
    RequestView {
        id: request.id.clone(),
        state: request.state,
        requester: request.requester.name.clone(),
        target: request.target.clone(),
        grantee: request.grantee.clone(),
        tables: request.tables.clone(),
        with: Vec::new(),
        ttl: request.ttl,
        lease_ttl: request.lease_ttl(),
        reason: String::new(),
        purpose: request.purpose.clone(),
        ticket: request.ticket.clone(),
        extends: request.extends.clone(),
        approvals: Vec::new(),
        needs: Vec::new(),
        approvers: Vec::new(),
        submitted_at: request.submitted_at,
        lapses_at: request.lapses_at,
        granted_at: request.granted_at,
        expires_at: request.expires_at,
        ended_at: request.ended_at,
        ended: request.ended.as_ref().map(|ended| ended.word().to_owned()),
        outcome: request.outcome.clone(),
        server: None,
        leases: Vec::new(),
        rules: Vec::new(),
        classes: Vec::new(),
        caveats: Vec::new(),
        will_read: Vec::new(),
        sql: Vec::new(),
        also_holds: Vec::new(),
        digest: String::new(),
        shortened: true,
        events: Vec::new(),
    }
}

/// What comes along with what was asked for: as the target was surveyed, and until then as the rules say.
fn leased_along(request: &Request) -> Vec<TableColumns> {
    if request.privileges.is_empty() {
        return (request.terms.as_ref()).map_or(Vec::new(), |terms| terms.along.clone());
    }
    let mut along: Vec<TableColumns> = Vec::new();
    for privilege in &request.privileges {
        let (Some(table), Some(column)) = (privilege.named.table(), privilege.named.column())
        else {
            continue;
        };
        let asked = request
            .tables
            .iter()
            .any(|of| of.table == *table && of.columns.contains(column));
        if asked {
            continue;
        }
        match along.iter_mut().find(|of| of.table == *table) {
            Some(of) => of.columns.push(column.clone()),
            None => along.push(TableColumns {
                table: table.clone(),
                columns: vec![column.clone()],
            }),
        }
    }
    along
}

/// The requester's other live access on the same target, in words.
fn also_holds(op: &Operator, request: &Request) -> Result<Vec<String>, StoreError> {
    Ok(op
        .ledger
        .requests(&FindRequests {
            states: Some(vec![State::Granting, State::Active, State::Revoking]),
            requester: Some(request.requester.uid),
            target: Some(request.target.clone()),
            ..FindRequests::default()
        })?
        .iter()
        .filter(|other| other.id != request.id)
        .flat_map(|other| {
            let until = other
                .expires_at
                .map_or(String::new(), |at| format!(" until {at}"));
            other
                .tables
                .iter()
                .map(move |t| format!("{t}{until} ({})", other.id))
        })
        .collect())
}

/// A protected column as `jit columns -o json` shows it, with what one person may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ColumnView {
    #[schemars(with = "String")]
    pub target: TargetName,
    #[schemars(with = "String")]
    pub table: TableName,
    #[schemars(with = "String")]
    pub column: ColumnName,
    pub policy: String,
    pub class: Option<String>,
    /// The longest that may be asked for, over all entries that fit this person.
    #[schemars(with = "String")]
    pub max: Ttl,
    /// In words, an entry each: `1h, support-ticket, automatic`.
    pub offers: Vec<Offer>,
}

/// The protected columns of each target as the catalogs last showed them; what globs stand for.
pub type Protected = BTreeMap<TargetName, Vec<(TableName, Vec<ColumnName>)>>;

/// The protected columns as the last sweeps saw them.
pub fn known_columns(op: &Operator) -> Result<Protected, StoreError> {
    Ok(op
        .ledger
        .fact(Fact::Protected)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}

/// What this person may ask for.
pub fn columns(rules: &Rules, known: &Protected, user: &str) -> Columns {
    let offered = Offered::among(rules, known);
    let mut columns = Columns::default();
    offered.columns(&offered.offers(user), &mut columns);
    columns
}
