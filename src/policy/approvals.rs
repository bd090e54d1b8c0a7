//! Which approvals are still needed, and who can give them.
//!
//! Every line must be met, by different people: people are matched to places (a line of count two has two places).
//! The people that a matching can use form a matroid, so taking them one after the other by augmenting paths never
//! loses one that was taken before; whoever gave an approval comes first, everybody else after, and what the latter
//! fill is what is still missing. So an approval is always counted where it leaves the rest possible.
//!
//! The requester never counts, whatever the lines say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use super::Directory;
use crate::access::ApprovalLine;

/// Lines of one entry: the same people named twice are needed twice.
pub(super) fn summed(lines: impl IntoIterator<Item = ApprovalLine>) -> Vec<ApprovalLine> {
    gathered(lines, |a, b| a.saturating_add(b))
}

/// Lines of several rules: equal ones are merged by the larger count.
pub fn pooled(lines: impl IntoIterator<Item = ApprovalLine>) -> Vec<ApprovalLine> {
    gathered(lines, usize::max)
}

fn gathered(
    lines: impl IntoIterator<Item = ApprovalLine>,
    count: fn(usize, usize) -> usize,
) -> Vec<ApprovalLine> {
    let mut all: Vec<ApprovalLine> = Vec::new();
    for line in lines {
        match all.iter_mut().find(|known| known.by == line.by) {
            Some(known) => known.count = count(known.count, line.count),
            None => all.push(line),
        }
    }
    all
}

/// What is still needed, line by line, with the counts that are left; empty where nothing is.
///
/// `given` are the names of those who approved; doubles and the requester are left out.
pub fn missing(
    lines: &[ApprovalLine],
    given: &[&str],
    requester: &str,
    dir: &dyn Directory,
) -> Vec<ApprovalLine> {
    let mut seats = Seats::of(lines, requester, dir);
    for person in given {
        seats.seat(person);
    }
    // Others first take what is free as the given ones sit: they move only where the rest needs it.
    seats.fill(&|person| !given.contains(&person));
    seats.fill(&|_| true);
    seats.open(lines, |person| given.contains(&person))
}

/// Whether nothing is missing.
pub fn met(lines: &[ApprovalLine], given: &[&str], requester: &str, dir: &dyn Directory) -> bool {
    missing(lines, given, requester, dir).is_empty()
}

/// Whether different people could meet all lines without the requester.
///
/// # Errors
/// The lines that nobody can meet, with the counts that would be missing for ever.
pub fn possible(
    lines: &[ApprovalLine],
    requester: &str,
    dir: &dyn Directory,
) -> Result<(), Vec<ApprovalLine>> {
    let mut seats = Seats::of(lines, requester, dir);
    seats.fill(&|_| true);
    let open = seats.open(lines, |_| true);
    if open.is_empty() { Ok(()) } else { Err(open) }
}

/// People whose approval would bring it nearer, sorted; without the requester and those who gave theirs.
pub fn who_can(
    lines: &[ApprovalLine],
    given: &[&str],
    requester: &str,
    dir: &dyn Directory,
) -> Vec<String> {
    let mut seats = Seats::of(lines, requester, dir);
    for person in given {
        seats.seat(person);
    }
    if seats.is_full() {
        return Vec::new();
    }
    seats
        .may
        .keys()
        .filter(|person| !given.contains(&person.as_str()) && seats.clone().seat(person))
        .cloned()
        .collect()
}

/// Whether whoever meets `stricter` always meets `looser` too: each place of the looser lines can be given a place
/// of its own in the stricter lines whose people are all among its own.
pub(super) fn implies(
    stricter: &[ApprovalLine],
    looser: &[ApprovalLine],
    dir: &dyn Directory,
) -> bool {
    let have: Vec<BTreeSet<String>> = stricter.iter().map(|line| people(line, dir)).collect();
    if stricter
        .iter()
        .zip(&have)
        .any(|(line, set)| line.count > set.len())
    {
        return true; // it is never met
    }
    // The same matching: here the places of the stricter lines are the people.
    let mut seats = Seats::default();
    for line in looser {
        let theirs = people(line, dir);
        let fitting = stricter.iter().zip(&have).enumerate();
        let names = fitting
            .filter(|(_, (_, set))| set.is_subset(&theirs))
            .flat_map(|(at, (line, _))| {
                (0..line.count).map(move |number| format!("{at}/{number}"))
            });
        seats.line(line.count, names.collect());
    }
    seats.fill(&|_| true);
    seats.is_full()
}

fn people(line: &ApprovalLine, dir: &dyn Directory) -> BTreeSet<String> {
    line.by
        .iter()
        .flat_map(|entry| dir.members(entry))
        .collect()
}

/// People, the lines that each may help to meet, and who sits where.
#[derive(Clone, Default)]
struct Seats {
    /// Which lines a person may sit at.
    may: BTreeMap<String, Vec<usize>>,
    /// The places of each line.
    lines: Vec<Range<usize>>,
    taken: Vec<Option<String>>,
}

impl Seats {
    fn of(lines: &[ApprovalLine], requester: &str, dir: &dyn Directory) -> Self {
        let mut seats = Self::default();
        for line in lines {
            let mut people = people(line, dir);
            people.remove(requester);
            seats.line(line.count, people);
        }
        seats
    }

    /// One place more than there are people shows already that a line cannot be met, so that a count of a billion
    /// costs no more.
    fn line(&mut self, count: usize, people: BTreeSet<String>) {
        let from = self.taken.len();
        self.taken.resize(from + count.min(people.len() + 1), None);
        for person in people {
            self.may.entry(person).or_default().push(self.lines.len());
        }
        self.lines.push(from..self.taken.len());
    }

    fn is_full(&self) -> bool {
        self.taken.iter().all(Option::is_some)
    }

    fn is_seated(&self, person: &str) -> bool {
        self.taken.iter().flatten().any(|sitting| sitting == person)
    }

    /// Seats everybody for whom there is a place, if those move who may.
    fn fill(&mut self, may_move: &dyn Fn(&str) -> bool) {
        let people: Vec<String> = self.may.keys().cloned().collect();
        for person in people {
            if self.is_full() {
                return;
            }
            self.seat_if(&person, may_move);
        }
    }

    /// Finds a place for a person, moving others if that helps. Whether they sit then.
    fn seat(&mut self, person: &str) -> bool {
        self.seat_if(person, &|_| true)
    }

    fn seat_if(&mut self, person: &str, may_move: &dyn Fn(&str) -> bool) -> bool {
        if self.is_seated(person) {
            return true;
        }
        // Breadth first. Each place is reached once: by whom, and from which place they would come.
        let mut reached: Vec<Option<(String, Option<usize>)>> = vec![None; self.taken.len()];
        let mut queue = VecDeque::from([(person.to_owned(), None)]);
        while let Some((mover, leaves)) = queue.pop_front() {
            let lines = self.may.get(&mover).into_iter().flatten();
            for place in lines.flat_map(|line| self.lines[*line].clone()) {
                if reached[place].is_some() {
                    continue;
                }
                reached[place] = Some((mover.clone(), leaves));
                if let Some(sitting) = &self.taken[place] {
                    if may_move(sitting) {
                        queue.push_back((sitting.clone(), Some(place)));
                    }
                    continue;
                }
                let mut at = Some(place);
                while let Some((place, (mover, leaves))) =
                    at.and_then(|place| Some((place, reached[place].take()?)))
                {
                    self.taken[place] = Some(mover);
                    at = leaves;
                }
                return true;
            }
        }
        false
    }

    /// The lines, with the number of their places that nobody sits at who counts.
    fn open(&self, lines: &[ApprovalLine], counts: impl Fn(&str) -> bool) -> Vec<ApprovalLine> {
        let filled = |places: &Range<usize>| {
            let sitting = self.taken[places.clone()].iter().flatten();
            sitting.filter(|person| counts(person)).count()
        };
        lines
            .iter()
            .zip(&self.lines)
            .filter_map(|(line, places)| {
                let count = line.count.saturating_sub(filled(places));
                (count > 0).then(|| ApprovalLine {
                    by: line.by.clone(),
                    count,
                })
            })
            .collect()
    }
}

/// Lines in words: `1 of group:dba and 2 of group:privacy or frank`.
pub fn in_words(lines: &[ApprovalLine]) -> String {
    if lines.is_empty() {
        return "no approval".into();
    }
    let words: Vec<String> = lines
        .iter()
        .map(|line| format!("{} of {}", line.count, line.by.join(" or ")))
        .collect();
    words.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::People;
    use proptest::prelude::*;

    fn line(by: &str, count: usize) -> ApprovalLine {
        ApprovalLine {
            by: by.split(',').map(str::to_owned).collect(),
            count,
        }
    }

    fn people() -> People {
        People::new(&[
            ("dba", "carol dave"),
            ("privacy", "paula carol"),
            ("empty", ""),
        ])
    }

    #[test]
    fn one_person_never_meets_two_lines() {
        let lines = [line("group:dba", 1), line("group:privacy", 1)];
        assert!(!met(&lines, &["carol"], "alice", &people()));
        assert!(met(&lines, &["carol", "dave"], "alice", &people()));
        assert!(met(&lines, &["carol", "paula"], "alice", &people()));
        assert!(!met(&lines, &["carol", "carol"], "alice", &people()));
    }

    #[test]
    fn an_approval_counts_where_it_leaves_the_rest_possible() {
        // Only carol can meet the second line; counted for the first, the second could never be met.
        let lines = [line("group:dba", 1), line("carol", 1)];
        assert_eq!(
            missing(&lines, &["carol"], "alice", &people()),
            [line("group:dba", 1)]
        );
        assert_eq!(who_can(&lines, &["carol"], "alice", &people()), ["dave"]);
    }

    #[test]
    fn the_requester_never_counts() {
        let lines = [line("group:dba", 1)];
        assert!(!met(&lines, &["carol"], "carol", &people()));
        assert_eq!(who_can(&lines, &[], "carol", &people()), ["dave"]);
        assert_eq!(
            possible(&[line("group:dba", 2)], "carol", &people()),
            Err(vec![line("group:dba", 1)])
        );
        assert_eq!(
            possible(&[line("group:dba", 2)], "alice", &people()),
            Ok(())
        );
    }

    #[test]
    fn nobody_meets_an_empty_or_unknown_group() {
        for group in ["group:empty", "group:nobody"] {
            assert!(possible(&[line(group, 1)], "alice", &people()).is_err());
            assert!(who_can(&[line(group, 1)], &[], "alice", &people()).is_empty());
        }
    }

    #[test]
    fn a_count_of_a_billion_ends_at_once() {
        let lines = [line("group:dba", 1_000_000_000)];
        assert_eq!(
            missing(&lines, &["dave"], "alice", &people()),
            [line("group:dba", 999_999_999)]
        );
    }

    #[test]
    fn equal_lines_add_up_in_one_entry_and_merge_between_rules() {
        let lines = [line("group:dba", 1), line("group:dba", 2), line("frank", 1)];
        assert_eq!(
            summed(lines.clone()),
            [line("group:dba", 3), line("frank", 1)]
        );
        assert_eq!(pooled(lines), [line("group:dba", 2), line("frank", 1)]);
    }

    #[test]
    fn what_needs_less_is_recognised() {
        let dir = people();
        let dba = [line("group:dba", 1)];
        assert!(implies(&dba, &[], &dir) && !implies(&[], &dba, &dir));
        assert!(
            implies(&[line("carol", 1)], &dba, &dir) && !implies(&dba, &[line("carol", 1)], &dir)
        );
        assert!(
            implies(&[line("group:dba", 2)], &dba, &dir)
                && !implies(&dba, &[line("group:dba", 2)], &dir)
        );
        assert!(!implies(&dba, &[line("group:privacy", 1)], &dir));
        assert!(!implies(
            &dba,
            &[line("group:dba", 1), line("carol", 1)],
            &dir
        ));
    }

    /// Tries every way to seat people.
    fn brute(lines: &[ApprovalLine], given: &[String], dir: &People) -> usize {
        fn go(places: &[&ApprovalLine], left: &[String], dir: &People) -> usize {
            let Some((first, rest)) = places.split_first() else {
                return 0;
            };
            let mut best = go(rest, left, dir);
            for (at, person) in left.iter().enumerate() {
                if first.by.iter().any(|entry| dir.covers(entry, person)) {
                    let mut others = left.to_vec();
                    others.remove(at);
                    best = best.max(1 + go(rest, &others, dir));
                }
            }
            best
        }
        let places: Vec<&ApprovalLine> = lines
            .iter()
            .flat_map(|line| std::iter::repeat_n(line, line.count))
            .collect();
        go(&places, given, dir)
    }

    proptest! {
        #[test]
        fn matching_equals_brute_force(
            lines in prop::collection::vec((prop::collection::vec(0usize..5, 1..3), 1usize..3), 0..4),
            given in prop::collection::btree_set(0usize..5, 0..5),
        ) {
            let dir = People::new(&[]);
            let lines: Vec<ApprovalLine> = lines
                .iter()
                .map(|(by, count)| ApprovalLine { by: by.iter().map(|p| format!("p{p}")).collect(), count: *count })
                .collect();
            let all: Vec<String> = (0..5).map(|p| format!("p{p}")).collect();
            let given: Vec<String> = given.iter().map(|p| format!("p{p}")).collect();
            let names: Vec<&str> = given.iter().map(String::as_str).collect();
            let places: usize = lines.iter().map(|line| line.count).sum();
            let left: usize = missing(&lines, &names, "x", &dir).iter().map(|line| line.count).sum();
            prop_assert_eq!(places - left, brute(&lines, &given, &dir));
            prop_assert_eq!(possible(&lines, "x", &dir).is_ok(), brute(&lines, &all, &dir) == places);
            // Whoever can, brings it nearer; and nobody else does.
            let can = who_can(&lines, &names, "x", &dir);
            for person in all.iter().filter(|p| !given.contains(p)) {
                let mut more = given.clone();
                more.push(person.clone());
                let nearer = brute(&lines, &more, &dir) > brute(&lines, &given, &dir);
                prop_assert_eq!(can.contains(person), nearer, "{}", person);
            }
            // What is missing can still be met by the others, where it could be met at all with these.
            if brute(&lines, &all, &dir) == places {
                let rest: Vec<String> = all.iter().filter(|p| !given.contains(p)).cloned().collect();
                let open = missing(&lines, &names, "x", &dir);
                let open_places: usize = open.iter().map(|line| line.count).sum();
                prop_assert_eq!(brute(&open, &rest, &dir), open_places);
            }
        }
    }
}
