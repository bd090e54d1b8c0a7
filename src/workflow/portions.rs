//! Many requests, cut into portions: a step needs room for one of them, however many there are and on however many
//! targets.

use foldhash::HashMap;

use crate::access::waves::{self, HEAVIEST, REQUEST};
use crate::access::{Now, Request, RequestId, State, TableColumns, TargetName};
use crate::stores::{FindRequests, StoreError, Waiting, Work};

use super::Operator;

/// All portions together may weigh so many times what one may: with two, two busy targets are as fast as one.
const ROOM: usize = 2;
/// No target's portions are smaller than one of so many of the largest, however many targets there are: each portion
/// costs some ten milliseconds, most of them for its fsyncs.
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

/// A target's part of the room. One that nobody knew of takes as much as others have on an average.
fn part(work: &HashMap<TargetName, usize>, target: &TargetName, heaviest: usize) -> usize {
    let room = heaviest.saturating_mul(ROOM);
    let all: usize = work.values().sum();
    let part = match work.get(target) {
        Some(own) => room.saturating_mul(*own) / all.max(1),
        None => room / (work.len() + 1),
    };
    part.clamp(heaviest / PARTS, heaviest)
}

/// What one portion may weigh. In a test `JIT_PORTION=N` says it, so that a few leases are many portions.
#[cfg(feature = "failpoints")]
fn heaviest() -> usize {
    let asked = std::env::var("JIT_PORTION").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(HEAVIEST)
}

/// What one portion may weigh.
#[cfg(not(feature = "failpoints"))]
fn heaviest() -> usize {
    HEAVIEST
}

/// The target's requests with leases that are due. Those that share a privilege are in one portion.
pub fn due(
    op: &Operator,
    target: &TargetName,
    now: &Now,
) -> Result<Vec<Vec<RequestId>>, StoreError> {
    let due = op.ledger.due_keys(target, now)?;
    let heaviest = op.shares.borrow().due(target);
    Ok(waves::of(&due, heaviest))
}

/// Requests that nobody granted in time.
pub fn lapsed(op: &Operator, now: &Now) -> Result<Vec<Vec<RequestId>>, StoreError> {
    let mut found = Vec::new();
    let find = FindRequests {
        states: Some(State::WAITING.to_vec()),
        lapsing_by: Some(now.at),
        ..FindRequests::default()
    };
    op.ledger.each_request(&find, &mut |request| {
        let weight = weight(&request.tables);
        found.push((request.id, (), weight));
        Ok(())
    })?;
    Ok(waves::cut(found, heaviest()))
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
            let weight = weight(&request.tables);
            let first = request.tables.into_iter().next();
            let first = first.map(|table| (table.table, table.columns.into_iter().next()));
            found.push((first, request.id, weight));
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

/// What a request of these columns weighs.
fn weight(tables: &[TableColumns]) -> usize {
    let columns: usize = tables.iter().map(|table| table.columns.len()).sum();
    columns + REQUEST
}

/// Those of one portion that are still in one of these states.
pub fn read(
    op: &Operator,
    ids: &[RequestId],
    states: &[State],
) -> Result<Vec<Request>, StoreError> {
    let mut found = op.ledger.requests_of(ids)?;
    Ok(ids
        .iter()
        .filter_map(|id| found.remove(id))
        .filter(|request| states.contains(&request.state))
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
    fn who_has_much_of_the_work_has_the_largest_portions() {
        let of = |work: &[(&str, usize)]| part(&self::work(work), &"a".into(), HEAVIEST);
        assert_eq!(of(&[("a", 3)]), HEAVIEST);
        assert_eq!(of(&[("a", 30_000), ("b", 30_000)]), HEAVIEST);
        assert_eq!(of(&[]), HEAVIEST, "nothing was known of any");
    }

    #[test]
    fn each_has_its_part_of_the_room_but_never_too_little() {
        let work = work(&[("a", 9000), ("b", 1000), ("c", 1), ("d", 0)]);
        let of = |name: &str| part(&work, &name.into(), 4000);
        assert_eq!(["a", "b", "c", "d"].map(of), [4000, 799, 200, 200]);
        assert_eq!(of("came later"), 1600);
        assert_eq!(part(&work, &"c".into(), 1), 0, "each thing alone");
    }
}
