//! What must be taken away, as a value: the sweep runs it, `--dry-run` prints it.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::ids::RequestId;
use super::lease::{Lease, LeaseId, LeaseState};
use super::names::{ColumnName, Grantee, TableName};
use super::privilege::{Named, Privilege, PrivilegeKey, Standing, Thing};
use super::time::Now;

/// REVOKEs of identical column sets: every grantee here loses every column here, and nothing else is touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevokeStep {
    pub on: StepObject,
    pub grantees: Vec<Grantee>,
    /// Grantees × columns, by identity, with the names of today; grantee by grantee.
    pub privileges: Vec<Privilege>,
}

/// What one step is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepObject {
    Columns {
        table: TableName,
        columns: Vec<ColumnName>,
    },
    Schema(String),
}

/// A due lease that needs no REVOKE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settled {
    pub lease: LeaseId,
    pub how: Settlement,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Settlement {
    /// Object or account are no more, or the row is not there.
    Gone { why: String },
    /// Another live lease of the same privilege goes on, and now owes the undo.
    Covered { by: RequestId },
    /// A person must decide.
    Disputed { why: String },
}

/// What a sweep does to the due leases of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub steps: Vec<RevokeStep>,
    pub settled: Vec<Settled>,
    /// Leases that end by `steps`, in the order given.
    pub revoked: Vec<LeaseId>,
}

/// Plans the revokes.
///
/// - `live`: the due leases, and every live lease that shares a privilege with one of them.
/// - `due`: which of those must end now.
/// - `observed`: the catalog's standing of each privilege; a due lease whose privilege is missing here is left
///   for the next sweep.
///
/// The lease that covers another is the live one that is not due and expires last.
pub fn plan(
    now: &Now,
    live: &[Lease],
    due: &dyn Fn(&Lease) -> bool,
    observed: &HashMap<PrivilegeKey, Standing>,
) -> Plan {
    let mut plan = Plan::default();
    let mut covering: HashMap<PrivilegeKey, &Lease> = HashMap::new();
    for lease in live {
        if lease.state.is_live() && !due(lease) && !lease.is_due(now) {
            let best = covering.entry(lease.key()).or_insert(lease);
            if lease.expires_at > best.expires_at {
                *best = lease;
            }
        }
    }

    // Rows to take: by object, then grantee. A privilege of several due leases is taken once.
    let mut rows = Rows::new();
    for lease in live
        .iter()
        .filter(|lease| lease.state.is_live() && due(lease))
    {
        let key = lease.key();
        if let Some(other) = covering.get(&key) {
            plan.settled.push(Settled {
                lease: lease.id.clone(),
                how: Settlement::Covered {
                    by: other.id.request.clone(),
                },
            });
            continue;
        }
        match observed.get(&key) {
            None => {}
            Some(Standing::Gone { why }) => plan.settled.push(Settled {
                lease: lease.id.clone(),
                how: Settlement::Gone { why: why.clone() },
            }),
            Some(Standing::Absent { .. }) => plan.settled.push(Settled {
                lease: lease.id.clone(),
                how: Settlement::Gone {
                    why: match lease.state {
                        LeaseState::Owed => "the privilege was never given".into(),
                        _ => "somebody took the privilege away before us".into(),
                    },
                },
            }),
            Some(Standing::Held {
                named,
                grantable,
                contested,
                ..
            }) => {
                if let Some(why) = dispute(*grantable, contested.as_deref()) {
                    plan.settled.push(Settled {
                        lease: lease.id.clone(),
                        how: Settlement::Disputed { why },
                    });
                    continue;
                }
                let privilege = Privilege {
                    identity: lease.privilege.identity.clone(),
                    named: named.clone(),
                    stamp: lease.privilege.stamp.clone(),
                };
                rows.entry((ObjectOf::of(named), named.grantee.clone()))
                    .or_default()
                    .insert((column_of(named), key), privilege);
                plan.revoked.push(lease.id.clone());
            }
        }
    }
    plan.steps = merge(rows);
    plan
}

/// Steps that take just these privileges, by the names in them: for strays.
pub fn steps_for(privileges: Vec<Privilege>) -> Vec<RevokeStep> {
    let mut rows = Rows::new();
    for privilege in privileges {
        let named = privilege.named.clone();
        rows.entry((ObjectOf::of(&named), named.grantee.clone()))
            .or_default()
            .insert((column_of(&named), privilege.key()), privilege);
    }
    merge(rows)
}

fn dispute(grantable: bool, contested: Option<&str>) -> Option<String> {
    match (contested, grantable) {
        (Some(who), _) => Some(who.to_owned()),
        (None, true) => Some(
            "somebody gave the grantee the grant option on it: taking it away would cascade".into(),
        ),
        (None, false) => None,
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ObjectOf {
    Table(TableName),
    Schema(String),
}

impl ObjectOf {
    fn of(named: &Named) -> Self {
        match &named.thing {
            Thing::Column { table, .. } => Self::Table(table.clone()),
            Thing::Schema(schema) => Self::Schema(schema.clone()),
        }
    }
}

fn column_of(named: &Named) -> ColumnName {
    named.column().cloned().unwrap_or_else(|| "".into())
}

type Rows = BTreeMap<(ObjectOf, Grantee), BTreeMap<(ColumnName, PrivilegeKey), Privilege>>;

/// Grantees that lose identical column sets of one table go into one step. Tables come before schemas, so that
/// nobody keeps a column for want of the schema.
fn merge(rows: Rows) -> Vec<RevokeStep> {
    let mut steps: BTreeMap<StepObject, (Vec<Grantee>, Vec<Privilege>)> = BTreeMap::new();
    for ((object, grantee), privileges) in rows {
        let on = match object {
            ObjectOf::Table(table) => StepObject::Columns {
                table,
                columns: privileges
                    .keys()
                    .map(|(column, _)| column.clone())
                    .collect(),
            },
            ObjectOf::Schema(schema) => StepObject::Schema(schema),
        };
        let (grantees, all) = steps.entry(on).or_default();
        grantees.push(grantee);
        all.extend(privileges.into_values());
    }
    steps
        .into_iter()
        .map(|(on, (grantees, privileges))| RevokeStep {
            on,
            grantees,
            privileges,
        })
        .collect()
}
