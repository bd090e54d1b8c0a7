//! `jit cancel` and `jit return`.

use anyhow::Result;

use crate::access::State;
use crate::failure::{Exit, Failure};
use crate::ui;
use crate::workflow::submission::Act;
use crate::workflow::view::RequestView;

use super::context::Context;
use super::{decide, lookup, missing, submit};

/// Requests that can still be withdrawn.
const OPEN: [State; 3] = [State::Submitted, State::Pending, State::Approved];

pub async fn cancel(context: &Context, id: Option<&str>) -> Result<Exit> {
    let view = match id {
        Some(id) => lookup::find(context, id, false)?,
        None if !ui::can_ask() => return Err(missing::flags(&["the request's ID"]).into()),
        None => {
            let open = lookup::mine_in(context, &OPEN)?;
            if open.is_empty() {
                return Err(
                    Failure::new(Exit::NoSuch, "you have no open request to withdraw")
                        .hint("jit list --mine")
                        .into(),
                );
            }
            lookup::pick(context, "Which one to withdraw?", open)?
        }
    };
    if matches!(view.state, State::Granting | State::Active) {
        return Err(Failure::new(
            Exit::NoSuch,
            format!(
                "request {} is {}: it is not withdrawn but given back",
                view.id, view.state
            ),
        )
        .hint(format!("jit return {}", view.id))
        .into());
    }
    if view.state.is_final() {
        return Err(decide::not_open(&view, "cancelled"));
    }
    submit::hand_in(
        context,
        Act::Cancel {
            id: view.id.clone(),
        },
    )
    .await?;
    own(context, &view, "cancel")?;
    decide::tell(context, &[view.id])
}

pub async fn give_back(context: &Context, id: Option<&str>) -> Result<Exit> {
    let view = match id {
        Some(id) => lookup::find(context, id, false)?,
        None => lookup::my_active(context, "return")?,
    };
    if !view.state.may_hold() {
        let failure = Failure::new(
            Exit::NoSuch,
            format!(
                "request {} is {}: there is nothing to give back",
                view.id, view.state
            ),
        );
        let next = if view.state.is_final() {
            "show"
        } else {
            "cancel"
        };
        return Err(failure.hint(format!("jit {next} {}", view.id)).into());
    }
    submit::hand_in(
        context,
        Act::Return {
            id: view.id.clone(),
        },
    )
    .await?;
    own(context, &view, "return")?;
    decide::tell(context, &[view.id])
}

/// Operators will reject it, and that is said at once.
fn own(context: &Context, view: &RequestView, verb: &str) -> Result<()> {
    if view.requester == context.me.name {
        return Ok(());
    }
    Err(submit::foreseen(
        &format!(
            "request {} is {}'s, and only they may {verb} it",
            view.id, view.requester
        ),
        &format!("jit revoke {} --reason …", view.id),
    ))
}
