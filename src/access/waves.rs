//! PURE. What is due, cut into portions: a sweep needs room for one of them, however much is due.

use foldhash::{HashMap, HashMapExt};

use super::ids::RequestId;
use super::key::PrivilegeKey;

/// What one portion may weigh. A lease weighs 1, and a request [`REQUEST`] more.
pub const HEAVIEST: usize = 4000;
/// A request in memory is as large as so many leases.
pub const REQUEST: usize = 2;

/// Things in their order, cut into portions that weigh at most `heaviest`: each with its table and its weight.
///
/// What lies at the same table as the last of a portion may make it half as heavy again, so that the statements about
/// that table can be merged. One thing that is heavier is a portion of its own.
pub fn cut<T, P: PartialEq>(
    things: impl IntoIterator<Item = (T, P, usize)>,
    heaviest: usize,
) -> Vec<Vec<T>> {
    let mut portions: Vec<Vec<T>> = Vec::new();
    let mut last: Option<P> = None;
    let mut weight = 0;
    for (thing, table, more) in things {
        let most = match last.as_ref() == Some(&table) {
            true => heaviest + heaviest / 2,
            false => heaviest,
        };
        match portions.last_mut() {
            Some(portion) if weight + more <= most => portion.push(thing),
            _ => {
                weight = 0;
                portions.push(vec![thing]);
            }
        }
        weight += more;
        last = Some(table);
    }
    portions
}

/// Requests that are taken together.
///
/// `due` are the due leases, ordered by key. Requests that share a privilege are never torn apart: who takes it for
/// one of them takes it for all. Neighbours by key stay neighbours, so that the REVOKEs of one table can be merged;
/// the portions are those of [`cut`].
pub fn of(due: &[(RequestId, PrivilegeKey)], heaviest: usize) -> Vec<Vec<RequestId>> {
    let mut places: HashMap<&RequestId, usize> = HashMap::new();
    let mut leases: Vec<usize> = Vec::new();
    // Each request with its first key.
    let mut requests: Vec<(&RequestId, &PrivilegeKey)> = Vec::new();
    // Each request points to an earlier one that it shares a privilege with, or to itself.
    let mut first: Vec<usize> = Vec::new();
    let mut last: Option<(&PrivilegeKey, usize)> = None;
    for (request, key) in due {
        let place = *places.entry(request).or_insert_with(|| {
            requests.push((request, key));
            leases.push(0);
            first.push(first.len());
            first.len() - 1
        });
        leases[place] += 1;
        if let Some((before, other)) = last
            && before == key
        {
            let (a, b) = (root(&mut first, other), root(&mut first, place));
            first[a.max(b)] = a.min(b);
        }
        last = Some((key, place));
    }
    let mut together: Vec<(Vec<RequestId>, PrivilegeKey, usize)> = Vec::new();
    let mut group_of: HashMap<usize, usize> = HashMap::new();
    for (place, (request, key)) in requests.into_iter().enumerate() {
        let group = *group_of.entry(root(&mut first, place)).or_insert_with(|| {
            together.push((Vec::new(), key.table(), 0));
            together.len() - 1
        });
        together[group].0.push(request.clone());
        together[group].2 += leases[place] + REQUEST;
    }
    let portions = cut(together, heaviest).into_iter();
    portions.map(|groups| groups.concat()).collect()
}

fn root(first: &mut [usize], mut place: usize) -> usize {
    while first[place] != place {
        first[place] = first[first[place]];
        place = first[place];
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> RequestId {
        RequestId::of_submission(7, n.to_string().as_bytes())
    }

    /// Of an account, on a column of a table.
    fn key_of(table: usize, column: usize, account: usize) -> PrivilegeKey {
        format!("pg:1/{table}.{column}>{account}<1")
            .parse()
            .unwrap()
    }

    fn due(pairs: &[(usize, usize)]) -> Vec<(RequestId, PrivilegeKey)> {
        let mut pairs: Vec<_> = pairs
            .iter()
            .map(|(request, key)| (id(*request), key_of(*key, 1, 1)))
            .collect();
        pairs.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
        pairs
    }

    #[test]
    fn nothing_due_is_no_wave() {
        assert!(of(&[], HEAVIEST).is_empty());
    }

    #[test]
    fn a_few_go_at_once() {
        let waves = of(&due(&[(1, 1), (2, 2), (3, 3)]), HEAVIEST);
        assert_eq!(waves.len(), 1);
        assert_eq!(waves[0].len(), 3);
    }

    #[test]
    fn many_go_in_portions_and_each_once() {
        let pairs: Vec<_> = (0..10_000).map(|n| (n, n)).collect();
        let waves = of(&due(&pairs), HEAVIEST);
        assert_eq!(waves.len(), 8);
        let mut all: Vec<RequestId> = waves.concat();
        assert_eq!(all.len(), 10_000);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 10_000);
    }

    #[test]
    fn what_lies_at_one_table_is_cut_late() {
        let of_tables = |tables: &[char]| {
            let things = tables.iter().enumerate().map(|(n, table)| (n, *table, 4));
            cut(things, 10)
        };
        // Two fit; a third of the second's table may come too, no fourth.
        assert_eq!(of_tables(&['a', 'b', 'c']), [vec![0, 1], vec![2]]);
        assert_eq!(of_tables(&['a', 'b', 'b', 'b']), [vec![0, 1, 2], vec![3]]);
        assert_eq!(of_tables(&['a', 'a', 'a', 'b']), [vec![0, 1, 2], vec![3]]);
        // Too heavy alone.
        assert_eq!(
            cut([(0, 'a', 1), (1, 'a', 99), (2, 'a', 1)], 10),
            [[0], [1], [2]]
        );
    }

    #[test]
    fn who_reads_the_same_tables_is_taken_together() {
        // Five accounts, a thousand leases each of the same fifty tables.
        let mut due: Vec<_> = (0..5)
            .flat_map(|request| (0..1000).map(move |n| (id(request), key_of(n / 20, n, request))))
            .collect();
        due.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(of(&due, HEAVIEST).len(), 1);
    }

    #[test]
    fn requests_that_share_a_privilege_stay_together() {
        // A chain from end to end: each shares one key with the next.
        let chain: Vec<_> = (0..10_000).flat_map(|n| [(n, n), (n, n + 1)]).collect();
        assert_eq!(of(&due(&chain), HEAVIEST).len(), 1);
        // The first and the last of many.
        let mut pairs: Vec<_> = (0..10_000).map(|n| (n, n)).collect();
        pairs.push((0, 9_999));
        let waves = of(&due(&pairs), HEAVIEST);
        let with = |n: usize| waves.iter().position(|wave| wave.contains(&id(n)));
        assert_eq!(with(0), with(9_999));
        assert!(waves.len() > 1);
    }
}
