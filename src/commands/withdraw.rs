//! `jit cancel` and `jit return`.

use anyhow::Result;

use crate::access::State;
use crate::failure::{Exit, Failure};
use crate::workflow::submission::Act;
use crate::workflow::view::RequestView;

use super::context::Context;
use super::{decide, lookup, submit};

pub async fn cancel(context: &Context, id: &str) -> Result<Exit> {
    let view = lookup::find(context, id, false)?;
    own(context, &view, "cancel")?;
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
    decide::tell(context, &[view.id])
}

pub async fn give_back(context: &Context, id: Option<&str>) -> Result<Exit> {
    let view = match id {
        Some(id) => lookup::find(context, id, false)?,
        None => lookup::my_only_active(context, "return")?,
    };
    own(context, &view, "return")?;
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
    decide::tell(context, &[view.id])
}

/// What operators would reject is said at once.
fn own(context: &Context, view: &RequestView, verb: &str) -> Result<()> {
    if view.requester == context.me.name {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        format!(
            "request {} is {}'s, and only they may {verb} it",
            view.id, view.requester
        ),
    )
    .hint(format!("jit revoke {} --reason …", view.id))
    .into())
}
