//! Looking at privileges in the catalog.

use foldhash::{HashMap, HashSet, HashSetExt};

use crate::access::{Lease, Privilege, PrivilegeKey, Standing, TargetName};
use crate::engines::{Engine, EngineError, StillReads};

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
    beside(engine, privileges, &HashSet::new()).await
}

async fn beside(
    engine: &mut dyn Engine,
    privileges: &[Privilege],
    owned: &HashSet<PrivilegeKey>,
) -> Result<Observed, EngineError> {
    let standings = engine.privileges(privileges, owned).await?;
    Ok(by_key(privileges, standings))
}

fn by_key(privileges: &[Privilege], standings: Vec<Standing>) -> Observed {
    privileges
        .iter()
        .map(Privilege::key)
        .zip(standings)
        .collect()
}

/// The same, where what looks like somebody else's hand may be our own: another live lease of the same column, given
/// in the very second, looks on MySQL like a renamed account that took the privilege along. So what is contested is
/// looked at again, beside all live leases.
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
        return Ok(Observed::default());
    }
    let seen = observe(engine, privileges).await?;
    beside_live_leases(op, target, engine, privileges, seen).await
}

/// The same behind REVOKEs, and how their grantees can read on.
///
/// # Errors
/// Those of [`explained`]; those of what reads on are in its place.
pub async fn aftermath(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    privileges: &[Privilege],
) -> Result<(Observed, Result<Vec<StillReads>, EngineError>), Failing> {
    if privileges.is_empty() {
        return Ok((Observed::default(), Ok(Vec::new())));
    }
    let after = engine.aftermath(privileges).await?;
    let seen = by_key(privileges, after.standings);
    let seen = beside_live_leases(op, target, engine, privileges, seen).await?;
    Ok((seen, after.still_reads))
}

async fn beside_live_leases(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    privileges: &[Privilege],
    mut seen: Observed,
) -> Result<Observed, Failing> {
    let contested: Vec<Privilege> = privileges
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
        .cloned()
        .collect();
    if !contested.is_empty() {
        let owned = op.ledger.live_keys(target)?;
        seen.extend(beside(engine, &contested, &owned).await?);
    }
    Ok(seen)
}
