//! What must be taken away, as a value: the sweep runs it, `--dry-run` prints it.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use serde::Serialize;

use super::ids::RequestId;
use super::key::PrivilegeKey;
use super::lease::{Lease, LeaseId, LeaseState};
use super::names::{ColumnName, Grantee, ShortText, TableName};
use super::privilege::{Named, Privilege, Standing, Thing};
use super::time::Now;

/// REVOKEs of identical column sets: every grantee here loses every column here, and nothing else is touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevokeStep {
    pub on: StepObject,
    pub grantees: Vec<Grantee>,
    /// Grantees × columns, by identity, with the names of today; grantee by grantee.
    pub privileges: Vec<Privilege>,
    /// The most urgent of what it takes.
    pub urgency: Urgency,
}

/// How a due privilege deals with bystanders: sessions of neither its grantee nor the table's owner, whose lock keeps
/// its REVOKE waiting where it waits for locks at all (Postgres 18 and later). The grantee's own are ended in any
/// case, an owner's never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// They may finish what they do; the next sweep comes again.
    Usual,
    /// They are ended.
    Pressing,
}

/// What one step is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepObject {
    Columns {
        table: TableName,
        columns: Vec<ColumnName>,
    },
    Schema(ShortText),
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
/// - `due`: which of those must end now, and how urgently.
/// - `observed`: the catalog's standing of each privilege; a due lease whose privilege is missing here is left
///   for the next sweep.
///
/// The lease that covers another is the live one that is not due and expires last. A lease that is disputed stays so
/// until a person settles it or its privilege is gone, and every due lease of the privilege with it: our own next
/// statement on the account's table wipes the trace by which the dispute was seen.
pub fn plan(
    now: &Now,
    live: &[Lease],
    due: &dyn Fn(&Lease) -> Option<Urgency>,
    observed: &HashMap<PrivilegeKey, Standing>,
) -> Plan {
    let mut plan = Plan::default();
    let mut covering: HashMap<PrivilegeKey, &Lease> = HashMap::new();
    let mut disputes: HashMap<PrivilegeKey, &str> = HashMap::new();
    for lease in live {
        if let LeaseState::Disputed { why } = &lease.state {
            disputes.entry(lease.key()).or_insert(why);
        }
        if lease.state.is_live() && due(lease).is_none() && !lease.is_due(now) {
            let best = covering.entry(lease.key()).or_insert(lease);
            if lease.expires_at > best.expires_at {
                *best = lease;
            }
        }
    }

    // Rows to take: by object, then grantee. A privilege of several due leases is taken once.
    let mut rows = Rows::new();
    for lease in live.iter().filter(|lease| lease.state.is_live()) {
        let Some(urgency) = due(lease) else {
            continue;
        };
        let key = lease.key();
        let is_disputed = matches!(lease.state, LeaseState::Disputed { .. });
        if let Some(other) = covering.get(&key).filter(|_| !is_disputed) {
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
                        _ => "the privilege was not there any more when we came to take it".into(),
                    },
                },
            }),
            // A row that somebody made grantable is ours all the same: where others hold something because of it,
            // the server refuses a REVOKE without CASCADE, and that is told.
            Some(Standing::Held {
                named, contested, ..
            }) => {
                if let Some(why) = disputes.get(&key).copied().or(contested.as_deref()) {
                    plan.settled.push(Settled {
                        lease: lease.id.clone(),
                        how: Settlement::Disputed {
                            why: why.to_owned(),
                        },
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
                    .entry((column_of(named), key))
                    .and_modify(|(_, most)| *most = urgency.max(*most))
                    .or_insert((privilege, urgency));
                plan.revoked.push(lease.id.clone());
            }
        }
    }
    plan.steps = merge(rows);
    plan
}

/// Steps that take just these privileges, by the names in them: for strays. Nobody is entitled to those, so they are
/// pressing.
pub fn steps_for(privileges: Vec<Privilege>) -> Vec<RevokeStep> {
    let mut rows = Rows::new();
    for privilege in privileges {
        let named = privilege.named.clone();
        rows.entry((ObjectOf::of(&named), named.grantee.clone()))
            .or_default()
            .insert(
                (column_of(&named), privilege.key()),
                (privilege, Urgency::Pressing),
            );
    }
    merge(rows)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ObjectOf {
    Table(TableName),
    Schema(ShortText),
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

type Rows =
    BTreeMap<(ObjectOf, Grantee), BTreeMap<(ColumnName, PrivilegeKey), (Privilege, Urgency)>>;

/// Grantees that lose identical column sets of one table go into one step. Tables come before schemas, so that
/// nobody keeps a column for want of the schema.
fn merge(rows: Rows) -> Vec<RevokeStep> {
    type Members = (Vec<Grantee>, Vec<(Privilege, Urgency)>);
    let mut steps: BTreeMap<StepObject, Members> = BTreeMap::new();
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
        .map(|(on, (grantees, taken))| {
            let (privileges, urgencies): (_, Vec<Urgency>) = taken.into_iter().unzip();
            RevokeStep {
                on,
                grantees,
                privileges,
                urgency: urgencies.into_iter().max().unwrap_or(Urgency::Usual),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{At, BootInstant, Identity, ServerIdentity};

    fn now() -> Now {
        Now {
            at: At::from_millis(1_000_000),
            boot: BootInstant {
                boot: "b".into(),
                millis: 5_000_000,
            },
        }
    }

    fn id(n: u32) -> RequestId {
        RequestId::of_submission(n, b"x")
    }

    /// A lease of one column (`relation`, `attnum`) by role `role`, ending `left` seconds from now.
    fn lease(request: u32, relation: u32, attnum: i16, role: u32, left: i64) -> Lease {
        let table = TableName::new("s", format!("t{relation}"));
        let named = Named {
            grantee: Grantee(format!("r{role}").into()),
            thing: Thing::Column {
                table,
                column: ColumnName(format!("c{attnum}").into()),
            },
        };
        Lease {
            id: LeaseId {
                request: id(request),
                position: u32::from(attnum.unsigned_abs()),
            },
            target: "shop".into(),
            grantee: named.grantee.clone(),
            server: ServerIdentity {
                address: "db:5432".into(),
                database: "shop".into(),
                system: "1".into(),
            },
            privilege: Privilege {
                identity: Identity::PostgresColumn {
                    database: 1,
                    relation,
                    attnum,
                    role,
                    grantor: 9,
                },
                named,
                stamp: None,
            },
            expires_at: At::from_millis(1_000_000 + left * 1000),
            boot_end: BootInstant {
                boot: "other".into(),
                millis: 3_600_000,
            },
            state: LeaseState::Held,
        }
    }

    fn held(lease: &Lease) -> (PrivilegeKey, Standing) {
        (
            lease.key(),
            Standing::Held {
                named: lease.privilege.named.clone(),
                grantable: false,
                stamp: None,
                contested: None,
            },
        )
    }

    fn when_due(lease: &Lease) -> Option<Urgency> {
        lease.is_due(&now()).then_some(Urgency::Usual)
    }

    fn planned(leases: &[Lease]) -> Plan {
        let observed = leases.iter().map(held).collect();
        plan(&now(), leases, &when_due, &observed)
    }

    #[test]
    fn overlapping_lease_keeps_the_column() {
        let leases = [lease(1, 7, 1, 5, -1), lease(2, 7, 1, 5, 60)];
        let plan = planned(&leases);
        assert!(plan.steps.is_empty());
        assert_eq!(
            plan.settled,
            [Settled {
                lease: leases[0].id.clone(),
                how: Settlement::Covered { by: id(2) }
            }]
        );
    }

    #[test]
    fn the_last_of_two_due_leases_takes_the_column_once() {
        let leases = [lease(1, 7, 1, 5, -1), lease(2, 7, 1, 5, -1)];
        let plan = planned(&leases);
        assert_eq!(plan.steps.len(), 1);
        assert_eq!(plan.steps[0].privileges.len(), 1);
        assert_eq!(plan.revoked.len(), 2);
    }

    #[test]
    fn only_identical_column_sets_are_merged() {
        let leases = [
            lease(1, 7, 1, 5, -1),
            lease(1, 7, 2, 5, -1),
            lease(2, 7, 1, 6, -1),
            lease(2, 7, 2, 6, -1),
            lease(3, 7, 1, 8, -1),
        ];
        let plan = planned(&leases);
        assert_eq!(plan.steps.len(), 2);
        for step in &plan.steps {
            let StepObject::Columns { columns, .. } = &step.on else {
                panic!("a schema")
            };
            assert_eq!(step.privileges.len(), columns.len() * step.grantees.len());
        }
        let all: usize = plan.steps.iter().map(|step| step.privileges.len()).sum();
        assert_eq!(all, leases.len());
    }

    #[test]
    fn a_step_is_as_urgent_as_the_most_urgent_of_it() {
        // One column of two requests, and the same column of somebody else.
        let leases = [
            lease(1, 7, 1, 5, -1),
            lease(2, 7, 1, 5, -1),
            lease(3, 7, 1, 6, -1),
            lease(4, 8, 1, 5, -1),
        ];
        for pressing in [1, 2, 3] {
            let due = |lease: &Lease| {
                Some(match lease.id.request == id(pressing) {
                    true => Urgency::Pressing,
                    false => Urgency::Usual,
                })
            };
            let observed = leases.iter().map(held).collect();
            let plan = plan(&now(), &leases, &due, &observed);
            let urgencies: Vec<Urgency> = plan.steps.iter().map(|step| step.urgency).collect();
            assert_eq!(urgencies, [Urgency::Pressing, Urgency::Usual]);
        }
    }

    #[test]
    fn what_is_not_due_is_not_touched() {
        let plan = planned(&[lease(1, 7, 1, 5, 60), lease(2, 7, 2, 5, 60)]);
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn what_was_not_observed_is_left_for_the_next_time() {
        let leases = [lease(1, 7, 1, 5, -1)];
        let plan = plan(&now(), &leases, &|_| Some(Urgency::Usual), &HashMap::new());
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn somebody_elses_grant_is_never_taken() {
        let leases = [lease(1, 7, 1, 5, -1)];
        let observed = HashMap::from_iter([(
            leases[0].key(),
            Standing::Held {
                named: leases[0].privilege.named.clone(),
                grantable: false,
                stamp: None,
                contested: Some("dave granted it".into()),
            },
        )]);
        let plan = plan(&now(), &leases, &|_| Some(Urgency::Usual), &observed);
        assert!(plan.steps.is_empty() && plan.revoked.is_empty());
        assert!(matches!(plan.settled[0].how, Settlement::Disputed { .. }));
    }

    #[test]
    fn a_dispute_lasts_until_it_is_settled_or_its_privilege_is_gone() {
        let disputed = |mut lease: Lease| {
            let why = "dave granted it".into();
            lease.state = LeaseState::Disputed { why };
            lease
        };
        let ends = |plan: &Plan, lease: &Lease| {
            let of = |settled: &&Settled| settled.lease == lease.id;
            plan.settled.iter().find(of).map(|s| s.how.clone())
        };
        let why = || {
            Some(Settlement::Disputed {
                why: "dave granted it".into(),
            })
        };

        // The catalog shows nothing of it any more; another due lease of the same is no way round it.
        let leases = [disputed(lease(1, 7, 1, 5, -1)), lease(2, 7, 1, 5, -1)];
        let plan = planned(&leases);
        assert!(plan.steps.is_empty() && plan.revoked.is_empty());
        assert_eq!(ends(&plan, &leases[0]), why());
        assert_eq!(ends(&plan, &leases[1]), why());

        // One that goes on does not end it, and is disputed when its own time comes.
        let leases = [disputed(lease(1, 7, 1, 5, -1)), lease(2, 7, 1, 5, 60)];
        assert_eq!(ends(&planned(&leases), &leases[0]), why());
        let leases = [lease(1, 7, 1, 5, -1), disputed(lease(2, 7, 1, 5, 60))];
        let covered = Some(Settlement::Covered { by: id(2) });
        assert_eq!(ends(&planned(&leases), &leases[0]), covered);

        let leases = [disputed(lease(1, 7, 1, 5, -1))];
        let named = leases[0].privilege.named.clone();
        let observed =
            HashMap::from_iter([(leases[0].key(), Standing::Absent { named, stamp: None })]);
        let plan = super::plan(&now(), &leases, &when_due, &observed);
        assert!(matches!(
            ends(&plan, &leases[0]),
            Some(Settlement::Gone { .. })
        ));
    }

    #[test]
    fn the_names_of_today_are_taken() {
        let leases = [lease(1, 7, 1, 5, -1)];
        let mut named = leases[0].privilege.named.clone();
        named.thing = Thing::Column {
            table: TableName::new("s", "renamed"),
            column: "also".into(),
        };
        let observed = HashMap::from_iter([(
            leases[0].key(),
            Standing::Held {
                named: named.clone(),
                grantable: false,
                stamp: None,
                contested: None,
            },
        )]);
        let plan = plan(&now(), &leases, &|_| Some(Urgency::Usual), &observed);
        assert_eq!(plan.steps[0].privileges[0].named, named);
    }

    proptest::proptest! {
        /// Whatever is live and due: the steps take exactly the privileges that no live lease goes on with.
        #[test]
        fn steps_take_exactly_what_must_go(
            given in proptest::collection::vec((0u32..6, 1u32..4, 1i16..4, 1u32..4, proptest::bool::ANY), 0..40)
        ) {
            let leases: Vec<Lease> = given.iter().enumerate()
                .map(|(n, (_, relation, attnum, role, due))| {
                    lease(n as u32, *relation, *attnum, *role, if *due { -1 } else { 60 })
                })
                .collect();
            let plan = planned(&leases);
            let mut taken: Vec<PrivilegeKey> = plan.steps.iter()
                .flat_map(|step| step.privileges.iter().map(Privilege::key)).collect();
            taken.sort();
            let mut wanted: Vec<PrivilegeKey> = leases.iter().map(Lease::key)
                .filter(|key| leases.iter().filter(|l| l.key() == *key).all(|l| l.is_due(&now())))
                .collect();
            wanted.sort();
            wanted.dedup();
            proptest::prop_assert_eq!(taken, wanted);
            let due = leases.iter().filter(|l| l.is_due(&now())).count();
            proptest::prop_assert_eq!(plan.revoked.len() + plan.settled.len(), due);
        }
    }
}
