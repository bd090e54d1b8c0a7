//! `jit resume`: ends holds.

use crate::access::hold::{Hold, Resumed};
use crate::audit::event::{Draft, EventKind};
use crate::stores::{Effect, StoreError};
use crate::workflow::Operator;

use super::revoke::is_admin;
use super::{Accepted, Incoming, Outcome, Rejection};

pub fn judge(
    op: &Operator,
    incoming: &Incoming<'_>,
    numbers: &[u32],
    reason: &str,
) -> Result<Outcome, StoreError> {
    if !is_admin(op, incoming) {
        return Ok(Err(Rejection::new("only admins may resume")));
    }
    let standing = op.ledger.holds(false)?;
    if let Some(missing) = numbers
        .iter()
        .find(|number| !standing.iter().any(|hold| hold.number == **number))
    {
        return Ok(Err(Rejection::new(format!(
            "there is no hold {missing} now"
        ))));
    }
    if standing.is_empty() {
        return Ok(Err(Rejection::new("nothing is held")));
    }
    let mut accepted = Accepted::default();
    for hold in standing
        .into_iter()
        .filter(|hold| numbers.is_empty() || numbers.contains(&hold.number))
    {
        let mut line = Draft::new(EventKind::Resumed, &incoming.actor());
        line.target = hold.selector.target.clone();
        line.reason = Some(reason.to_owned());
        line.observed = Some(serde_json::json!({
            "hold": hold.number, "scope": hold.selector.to_string()
        }));
        let over = format!("hold {} on {} is over", hold.number, hold.selector);
        accepted.note = Some(match accepted.note.take() {
            Some(before) => format!("{before}; {over}"),
            None => over,
        });
        accepted.change.events.push(line);
        accepted.change.effects.push(Effect::SaveHold(Hold {
            resumed: Some(Resumed {
                by: incoming.person.clone(),
                at: incoming.now.at,
                reason: reason.to_owned(),
            }),
            ..hold
        }));
    }
    Ok(Ok(accepted))
}
