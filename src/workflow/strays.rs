//! Privileges that bear our mark and that no lease owns: reported, and taken away.

use foldhash::{HashMap, HashMapExt};
use serde_json::json;

use crate::access::privilege::Thing;
use crate::access::{
    LeaseState, Privilege, PrivilegeKey, ServerIdentity, Standing, TargetName, Ttl, plan,
};
use crate::audit::event::{Draft, EventKind};
use crate::engines::{Engine, Verb};
use crate::stores::{Change, FindLeases};

use super::look::Observed;
use super::target::{Failing, TargetReport};
use super::{Operator, disputes, look};

/// What ended within this span is looked at again: a statement that was lost on the way may still arrive.
const LATELY: Ttl = Ttl::from_secs(24 * 3600);

/// Finds and takes strays.
pub async fn take(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
) -> Result<(), Failing> {
    let owned = op.ledger.live_keys(target)?;
    let known = match engine.marks_its_rows() {
        true => Vec::new(),
        false => known(op, target, engine.server())?,
    };
    let strays = engine.strays(&owned, &known).await?;
    if strays.is_empty() {
        return Ok(());
    }
    let touched = strays.iter().map(Privilege::key);
    disputes::note(op, target, engine, touched, &[], &Observed::default()).await?;
    let steps = plan::steps_for(strays.clone());
    let answers = engine.revoke(&steps).await;
    report.ended(&answers);
    let after = look::observe(engine, &strays).await?;
    let mut change = Change::default();
    for (step, answer) in steps.iter().zip(answers) {
        for privileges in by_grantee(&step.privileges) {
            let gone = privileges
                .iter()
                .all(|p| !matches!(after.get(&p.key()), Some(Standing::Held { .. })));
            let mut line = Draft::new(EventKind::Stray, &op.itself());
            line.target = Some(target.clone());
            line.server = Some(engine.server().to_string());
            line.engine = Some(engine.flavour().kind.word().to_owned());
            line.grantee = privileges.first().map(|p| p.named.grantee.clone());
            line.table = privileges.first().and_then(|p| p.named.table().cloned());
            line.columns = privileges
                .iter()
                .filter_map(|p| p.named.column().cloned())
                .collect();
            line.sql = vec![engine.sql(Verb::Revoke, &privileges)];
            line.batch = answer.batch.clone();
            line.why = Some("a privilege with our mark that no lease owns".into());
            let mut observed = json!({ "row": if gone { "absent" } else { "present" } });
            if let Some(Thing::Schema(schema)) = privileges.first().map(|p| &p.named.thing) {
                observed["schema"] = json!(schema);
            }
            if let Some(error) = &answer.error {
                observed["error"] = json!(error.to_string());
            }
            if !answer.in_the_way.is_empty() {
                observed["sessions"] = json!(answer.in_the_way);
            }
            line.observed = Some(observed);
            report.strays += privileges.len();
            if !gone {
                report.errors.push(format!(
                    "a stray privilege of {} could not be taken away",
                    privileges
                        .first()
                        .map(|p| p.named.grantee.to_string())
                        .unwrap_or_default()
                ));
            }
            change.events.push(line);
        }
    }
    op.ledger.commit(&op.now(), change)?;
    Ok(())
}

/// What had ended lately: the leases themselves are not kept, for there may be many. Of the same privilege the last one
/// counts, whose stamp is the newest.
fn known(
    op: &Operator,
    target: &TargetName,
    server: &ServerIdentity,
) -> Result<Vec<Privilege>, Failing> {
    let since = op.now().at.minus(LATELY);
    let mut known: HashMap<PrivilegeKey, Privilege> = HashMap::new();
    let find = FindLeases::EndedSince(target.clone(), since);
    op.ledger.each_lease(&find, &mut |lease| {
        // What a person left standing is not ours any more.
        let is_left = matches!(lease.state, LeaseState::Left { .. });
        if lease.server.same_database(server) && !is_left {
            known.insert(lease.key(), lease.privilege);
        }
        Ok(())
    })?;
    Ok(known.into_values().collect())
}

fn by_grantee(privileges: &[Privilege]) -> Vec<Vec<Privilege>> {
    let mut groups: std::collections::BTreeMap<_, Vec<Privilege>> =
        std::collections::BTreeMap::new();
    for privilege in privileges {
        groups
            .entry(privilege.named.grantee.clone())
            .or_default()
            .push(privilege.clone());
    }
    groups.into_values().collect()
}
