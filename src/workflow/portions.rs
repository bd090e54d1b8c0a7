//! Many requests, cut into portions: a step needs room for one of them, however many there are and on however many
//! targets.

use foldhash::HashMap;

use crate::access::waves::{self, HEAVIEST, REQUEST};
use crate::access::{Request, RequestId, State, TargetName};
use crate::stores::{StoreError, Waiting, Work};

use super::Operator;

/// No target's part of the room is smaller than one of so many, however many targets there are: smaller portions would
/// cost more statements than they save room.
const PARTS: usize = 20;

/// How the room for portions is shared among targets that are worked on side by side: each has as much of it as it
/// has of the work, so that one with nearly all of it is hardly held up by the others. Nobody waits for room: a target
/// that does not answer keeps no other one from its work.
#[derive(Debug, Default)]
pub struct Shares(Work);

/// Shares it anew, by what there is to do at this moment. Where the ledger cannot be read nothing is shared: whoever
/// needs it for more than this tells of it.
pub fn share(op: &Operator) {
    op.shares
        .replace(Shares(op.ledger.work(&op.now()).unwrap_or_default()));
}

impl Shares {
    /// What a portion of what is due on a target may weigh.
    pub fn due(&self, target: &TargetName) -> usize {
        part(&self.0.due, target, heaviest())
    }

    /// What a portion of what is to be judged or granted on a target may weigh.
    pub fn waiting(&self, target: &TargetName) -> usize {
        part(&self.0.waiting, target, heaviest())
    }
}

/// A target's part of `room`. One that nobody knew of takes as much as others have on an average.
fn part(work: &HashMap<TargetName, usize>, target: &TargetName, room: usize) -> usize {
    let all: usize = work.values().sum();
    let part = match work.get(target) {
        Some(own) => room.saturating_mul(*own) / all.max(1),
        None => room / (work.len() + 1),
    };
    part.max(room / PARTS)
}

/// What all portions together may weigh. In a test `JIT_PORTION=N` says it, so that a few leases are many portions.
#[cfg(feature = "failpoints")]
fn heaviest() -> usize {
    let asked = std::env::var("JIT_PORTION").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(HEAVIEST)
}

/// What all portions together may weigh.
#[cfg(not(feature = "failpoints"))]
fn heaviest() -> usize {
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
    let heaviest = op.shares.borrow().waiting(target);
    Ok(waves::cut(things, heaviest))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn work(of: &[(&str, usize)]) -> HashMap<TargetName, usize> {
        of.iter()
            .map(|(name, weight)| (TargetName::from(*name), *weight))
            .collect()
    }

    #[test]
    fn who_has_all_the_work_has_all_the_room() {
        assert_eq!(part(&work(&[("a", 3)]), &"a".into(), HEAVIEST), HEAVIEST);
        // Nothing was known of it, and nothing of any other.
        assert_eq!(part(&work(&[]), &"a".into(), HEAVIEST), HEAVIEST);
    }

    #[test]
    fn each_has_its_part_of_the_room_but_never_too_little() {
        let work = work(&[("a", 9000), ("b", 1000), ("c", 1), ("d", 0)]);
        let of = |name: &str| part(&work, &name.into(), 4000);
        assert_eq!(["a", "b", "c", "d"].map(of), [3599, 399, 200, 200]);
        assert_eq!(of("came later"), 800);
        assert_eq!(part(&work, &"c".into(), 1), 0, "each thing alone");
    }
}
