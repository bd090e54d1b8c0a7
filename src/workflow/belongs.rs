//! Whose a target is. Before anything is given there, or taken that no lease of ours owns: the privileges of another
//! ledger, or of another target that is the same database, look like ours.

use std::collections::BTreeMap;

use crate::access::{ServerIdentity, TargetName};
use crate::engines::Engine;
use crate::stores::{Change, Effect, Fact, StoreError};

use super::Operator;
use super::target::Failing;

/// Makes sure that this target is this ledger's, and no other target of the settings.
///
/// # Errors
/// `Twins`; `OtherLedger` or `NotSetUp` of the engine where the target bears another mark, or none.
pub async fn to_us(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
) -> Result<(), Failing> {
    if let Some(twin) = twin(op, target, engine.server())? {
        return Err(Failing::Twins {
            target: target.clone(),
            twin,
        });
    }
    Ok(engine.claim(op.ledger.id()).await?)
}

/// Another target of the settings that is the same database. Also remembers who answered here: the first to be
/// reached is the one that stays.
fn twin(
    op: &Operator,
    target: &TargetName,
    here: &ServerIdentity,
) -> Result<Option<TargetName>, StoreError> {
    let mut known: BTreeMap<TargetName, ServerIdentity> = op
        .ledger
        .fact(Fact::TargetIdentities)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let twin = known
        .iter()
        .find(|(name, identity)| {
            *name != target && identity.same_database(here) && op.rules.targets.contains_key(*name)
        })
        .map(|(name, _)| name.clone());
    if twin.is_none() && known.get(target) != Some(here) {
        known.insert(target.clone(), here.clone());
        let value = serde_json::to_string(&known).unwrap_or_default();
        op.ledger.commit(
            &op.now(),
            Change {
                effects: vec![Effect::SetFact {
                    fact: Fact::TargetIdentities,
                    value,
                }],
                events: Vec::new(),
            },
        )?;
    }
    Ok(twin)
}
