//! Many requests, cut into portions: a step needs room for one of them, however many there are.

use crate::access::waves::{self, HEAVIEST, REQUEST};
use crate::access::{Request, RequestId, State, TargetName};
use crate::stores::{StoreError, Waiting};

use super::Operator;

/// What a portion may weigh. In a test `JIT_PORTION=N` says it, so that a few leases are many portions.
#[cfg(feature = "failpoints")]
pub fn heaviest() -> usize {
    let asked = std::env::var("JIT_PORTION").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(HEAVIEST)
}

/// What a portion may weigh.
#[cfg(not(feature = "failpoints"))]
pub fn heaviest() -> usize {
    HEAVIEST
}

/// The target's requests in this state that fit, neighbours by table so that their statements can be merged.
pub fn of(
    op: &Operator,
    target: &TargetName,
    state: State,
    fits: impl Fn(&Waiting) -> bool,
) -> Result<Vec<Vec<RequestId>>, StoreError> {
    let mut found = Vec::new();
    op.ledger.each_waiting(target, state, &mut |request| {
        if fits(&request) {
            let columns: usize = request.tables.iter().map(|table| table.columns.len()).sum();
            let first = request.tables.into_iter().next();
            let first = first.map(|table| (table.table, table.columns.into_iter().next()));
            found.push((first, request.id, columns + REQUEST));
        }
    })?;
    found.sort();
    let things = found.into_iter().map(|(first, id, weight)| {
        let table = first.map(|(table, _)| table);
        (id, table, weight)
    });
    Ok(waves::cut(things, heaviest()))
}

/// Those of one portion that are still in this state.
pub fn read(op: &Operator, ids: &[RequestId], state: State) -> Result<Vec<Request>, StoreError> {
    let mut found = op.ledger.requests_of(ids)?;
    Ok(ids
        .iter()
        .filter_map(|id| found.remove(id))
        .filter(|request| request.state == state)
        .collect())
}
