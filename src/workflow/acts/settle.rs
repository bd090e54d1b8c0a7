//! `jit revoke ID --keep-standing | --take`: a person decides about leases that are disputed, because somebody
//! else has granted the same.

use crate::access::{LeaseState, RequestId};
use crate::audit::event::EventKind;
use crate::stores::{Effect, FindLeases, StoreError};
use crate::workflow::{Operator, events};

use super::revoke::is_admin;
use super::{Accepted, Incoming, Outcome, Rejection, or_reject};

pub fn judge(
    op: &Operator,
    incoming: &Incoming<'_>,
    id: &RequestId,
    keep: bool,
    reason: &str,
) -> Result<Outcome, StoreError> {
    if !is_admin(op, incoming) {
        return Ok(Err(Rejection::new(
            "only admins may settle a disputed lease",
        )));
    }
    let request = or_reject!(super::find(op, id)?);
    let disputed: Vec<_> = op
        .ledger
        .leases(&FindLeases::Of(id.clone()))?
        .into_iter()
        .filter(|lease| matches!(lease.state, LeaseState::Disputed { .. }))
        .collect();
    if disputed.is_empty() {
        return Ok(Err(Rejection::new(format!(
            "nothing of request {id} is disputed"
        ))));
    }
    let mut accepted = Accepted {
        request: Some(id.clone()),
        ..Accepted::default()
    };
    for (subject, leases) in events::by_subject(&disputed) {
        let kind = if keep {
            EventKind::Kept
        } else {
            EventKind::Revoking
        };
        let mut line =
            events::of_leases(kind, &incoming.actor(), &request, &subject, &leases, None);
        line.why = Some(reason.to_owned());
        if keep {
            let due = leases.first().map(|lease| lease.expires_at);
            events::set_end(&mut line, incoming.now.at, due);
        }
        accepted.change.events.push(line);
    }
    for mut lease in disputed {
        if keep {
            lease.state = LeaseState::Left {
                ended_at: incoming.now.at,
                by: incoming.person.name.clone(),
            };
        } else {
            // Without a stamp nothing can be contested: the next revoke takes it.
            lease.state = LeaseState::Held;
            lease.privilege.stamp = None;
        }
        accepted
            .change
            .effects
            .push(Effect::SaveLease(Box::new(lease)));
    }
    Ok(Ok(accepted))
}
