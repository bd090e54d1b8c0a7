//! Looking at privileges in the catalog.

use std::collections::{HashMap, HashSet};

use crate::access::{Lease, Privilege, PrivilegeKey, Standing, TargetName};
use crate::engines::{Engine, EngineError};
use crate::stores::FindLeases;

use super::Operator;
use super::target::Failing;

/// The standing of each privilege, by its key.
pub type Observed = HashMap<PrivilegeKey, Standing>;

/// One of each privilege.
pub fn distinct<'l>(leases: impl IntoIterator<Item = &'l Lease>) -> Vec<Privilege> {
    let mut seen = HashSet::new();
    leases
        .into_iter()
        .filter(|lease| seen.insert(lease.key()))
        .map(|lease| lease.privilege.clone())
        .collect()
}

/// The standing of each, by key.
pub async fn observe(
    engine: &mut dyn Engine,
    privileges: &[Privilege],
) -> Result<Observed, EngineError> {
    let standings = engine.privileges(privileges).await?;
    Ok(privileges
        .iter()
        .map(Privilege::key)
        .zip(standings)
        .collect())
}

/// The same, where what looks like somebody else's hand may be our own: another live lease of the same column, given
/// in the very second, looks on MySQL like a renamed account that took the privilege along. So what is contested is
/// looked at again, together with the leases that may explain it.
///
/// # Errors
/// Those of the ledger's reading and of the target.
pub async fn explained(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    privileges: &[Privilege],
) -> Result<Observed, Failing> {
    if privileges.is_empty() {
        return Ok(Observed::new());
    }
    let seen = observe(engine, privileges).await?;
    let contested: HashSet<_> = privileges
        .iter()
        .filter(|privilege| {
            matches!(
                seen.get(&privilege.key()),
                Some(Standing::Held {
                    contested: Some(_),
                    ..
                })
            )
        })
        .filter_map(place)
        .collect();
    if contested.is_empty() {
        return Ok(seen);
    }
    let live = op.ledger.leases(&FindLeases::Live(Some(target.clone())))?;
    let others = distinct(live.iter().filter(|lease| {
        place(&lease.privilege).is_some_and(|at| contested.contains(&at))
            && !seen.contains_key(&lease.key())
    }));
    if others.is_empty() {
        return Ok(seen);
    }
    let all: Vec<Privilege> = privileges.iter().cloned().chain(others).collect();
    Ok(observe(engine, &all).await?)
}

/// Table and column, the column as MySQL compares it.
fn place(privilege: &Privilege) -> Option<(String, String)> {
    let table = privilege.named.table()?.to_string();
    let column = privilege.named.column()?.as_str().to_lowercase();
    Some((table, column))
}
