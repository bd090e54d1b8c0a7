//! `jit cancel` and `jit return`.

use anyhow::Result;

use crate::failure::Exit;
use crate::workflow::submission::Act;

use super::context::Context;
use super::{decide, lookup, submit};

pub async fn cancel(context: &Context, id: &str) -> Result<Exit> {
    let view = lookup::find(context, id, false)?;
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
    submit::hand_in(
        context,
        Act::Return {
            id: view.id.clone(),
        },
    )
    .await?;
    decide::tell(context, &[view.id])
}
