//! Somebody else's GRANT or REVOKE, written down before a statement of our own wipes its trace.
//!
//! On MySQL and MariaDB one row of the catalog says whose hand was last on an account's table, and the next statement
//! there overwrites it (facts-mysql, "Storage"). A lease that looks contested until then would look like ours alone
//! afterwards, and a standing privilege would be taken with it.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt, HashSet};

use crate::access::{Lease, LeaseId, LeaseState, PrivilegeKey, RequestId, Standing, TargetName};
use crate::audit::event::EventKind;
use crate::engines::Engine;
use crate::stores::{Change, Effect, FindLeases};

use super::look::{Observed, distinct, explained};
use super::target::Failing;
use super::{Operator, commit_each, events};

/// What was found beside a statement.
#[derive(Debug, Default)]
pub struct Noted {
    /// Leases that were recorded as disputed.
    pub states: HashMap<LeaseId, LeaseState>,
    /// Privileges whose trace it wipes, as far as other live leases have them than those that owe their first GRANT
    /// among the caller's.
    pub shared: HashSet<PrivilegeKey>,
}

/// Looks at every lease whose trace a statement about `touched` would wipe, also at those that go on, and records
/// as disputed those that somebody else has granted too. To be called before each GRANT and REVOKE; what was recorded
/// is given back. On Postgres, where nothing is wiped, it does nothing.
///
/// `leases` and `seen` are what the caller has read and observed by now: that is not looked at again. While the caller
/// keeps the target's lock, none of them begins or ends that owes its first GRANT.
///
/// # Errors
/// Those of the ledger and of the target.
pub async fn note(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    touched: impl IntoIterator<Item = PrivilegeKey>,
    leases: &[&Lease],
    seen: &Observed,
) -> Result<Noted, Failing> {
    let hands: HashSet<_> = touched.into_iter().filter_map(|key| key.hand()).collect();
    if hands.is_empty() {
        return Ok(Noted::default());
    }
    let mut live = op.ledger.live_counts(target)?;
    // They left no trace yet.
    for lease in leases.iter().filter(|l| l.state == LeaseState::Owed) {
        if let Some(count) = live.get_mut(&lease.key()) {
            *count = count.saturating_sub(1);
        }
    }
    let shared: HashSet<PrivilegeKey> = live
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(key, _)| key)
        .filter(|key| key.hand().is_some_and(|hand| hands.contains(&hand)))
        .collect();
    let keys = shared.iter().filter(|key| !seen.contains_key(*key));
    let find = FindLeases::GivenWithKeys(target.clone(), keys.cloned().collect());
    let mut others = op.ledger.leases(&find)?;
    others.retain(|lease| lease.server.same_database(engine.server()));
    let more = explained(op, target, engine, &distinct(&others)).await?;
    let mut contested: BTreeMap<RequestId, Vec<(&Lease, &String)>> = BTreeMap::new();
    for lease in leases.iter().copied().chain(&others) {
        let key = lease.key();
        if lease.state == LeaseState::Held
            && let Some(Standing::Held {
                contested: Some(why),
                ..
            }) = seen.get(&key).or_else(|| more.get(&key))
        {
            let of_request = contested.entry(lease.id.request.clone()).or_default();
            of_request.push((lease, why));
        }
    }
    Ok(Noted {
        states: record(op, engine, contested)?,
        shared,
    })
}

/// One change a request: its leases' new state, and a line for each table and cause.
fn record(
    op: &Operator,
    engine: &dyn Engine,
    contested: BTreeMap<RequestId, Vec<(&Lease, &String)>>,
) -> Result<HashMap<LeaseId, LeaseState>, Failing> {
    let mut changes = Vec::new();
    let mut states = HashMap::new();
    for (id, leases) in contested {
        let Some(request) = op.ledger.request(&id)? else {
            continue;
        };
        let mut change = Change::default();
        let mut lines: BTreeMap<_, Vec<&Lease>> = BTreeMap::new();
        for (lease, why) in leases {
            let subject = events::Subject::of(&lease.privilege);
            lines.entry((subject, why)).or_default().push(lease);
            let state = LeaseState::Disputed { why: why.clone() };
            states.insert(lease.id.clone(), state.clone());
            let id = lease.id.clone();
            change.effects.push(Effect::MoveLease { id, state });
        }
        for ((subject, why), leases) in lines {
            let word = Some(engine.flavour().kind.word());
            let mut line = events::of_leases(
                EventKind::Kept,
                &op.itself(),
                &request,
                &subject,
                &leases,
                word,
            );
            line.why = Some(why.clone());
            change.events.push(line);
        }
        changes.push(change);
    }
    commit_each(op, &op.now(), &changes)?;
    Ok(states)
}
