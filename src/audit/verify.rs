//! PURE. Checks a trail line by line and tells what is wrong with it, where, and what to do.
//!
//! Streaming: it keeps the last hash, the highest number and the gaps, never the lines. What it cannot see: the last
//! lines cut off, and a whole trail written anew by somebody who can compute hashes. Both show only against a head
//! kept elsewhere ([`Verifier::expect`]) or against the ledger.

use std::collections::BTreeMap;
use std::fmt;

use super::chain::{Hash, Link, Malformed};
use crate::access::LedgerId;

/// Findings beyond this are counted, not kept.
const KEPT: usize = 100;

/// A number and the hash of the line that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: Hash,
}

/// Which line: a file's name as the caller gave it, and the line's place in it, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file, self.line)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub place: Place,
    pub what: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not a line of ours at all.
    Malformed(Malformed),
    /// The last line of a file has no newline: it was being written, or was cut.
    Torn,
    /// Its content is not what was hashed.
    Edited { seq: u64 },
    /// Intact in itself, but the line before it is not the one that it followed when it was written.
    Unlinked { seq: u64 },
    /// It begins the trail of another ledger.
    Foreign { seq: u64 },
    /// Numbers that never came.
    Missing { from: u64, to: u64 },
    /// It stands later than it was written.
    Reordered { seq: u64 },
    /// It was there before.
    Duplicated { seq: u64 },
    /// The trail ends before the head that was expected.
    Truncated { last: u64, expected: u64 },
    /// The line with a known head's number has another hash: this trail, or that head, was made up.
    OtherHead { seq: u64 },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.place;
        match &self.what {
            Fault::Malformed(why) => write!(f, "{at}: not an audit line: {why}"),
            Fault::Torn => write!(f, "{at}: the last line is cut off in its middle"),
            Fault::Edited { seq } => write!(f, "{at}: event {seq} was edited"),
            Fault::Unlinked { seq } => write!(
                f,
                "{at}: event {seq} does not follow the line before it: one of the two was written anew"
            ),
            Fault::Foreign { seq } => {
                write!(
                    f,
                    "{at}: event {seq} belongs to the trail of another ledger"
                )
            }
            Fault::Missing { from, to } if from == to => {
                write!(f, "{at}: event {from} is missing before this line")
            }
            Fault::Missing { from, to } => {
                write!(
                    f,
                    "{at}: events {from} to {to} are missing before this line"
                )
            }
            Fault::Reordered { seq } => write!(f, "{at}: event {seq} stands too late"),
            Fault::Duplicated { seq } => write!(f, "{at}: event {seq} was there already"),
            Fault::Truncated { last, expected } => write!(
                f,
                "{at}: the trail ends with event {last}, but event {expected} was written"
            ),
            Fault::OtherHead { seq } => {
                write!(f, "{at}: event {seq} is not the one whose hash was kept")
            }
        }
    }
}

impl Fault {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "name the older files too (rotated ones, .gz ones); if there are none, the lines were taken out: \
                 the ledger still has them"
            }
            Self::Torn | Self::Truncated { .. } => {
                "run jit sweep, which writes what the ledger still owes; if it stays, the end was cut off: \
                 the ledger still has it"
            }
            Self::Foreign { .. } => {
                "move the file of the other ledger away; two ledgers must not share one audit file"
            }
            Self::Reordered { .. } | Self::Duplicated { .. } => {
                "name each file once; if they are, somebody has rearranged the file: keep it as evidence and \
                 compare it with a copy kept elsewhere"
            }
            Self::Malformed(_)
            | Self::Edited { .. }
            | Self::Unlinked { .. }
            | Self::OtherHead { .. } => {
                "somebody has changed the file: keep it as evidence and compare it with the ledger and with a copy \
                 kept elsewhere"
            }
        }
    }
}

/// The outcome.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Lines that were looked at.
    pub lines: u64,
    /// The number of the first line.
    pub first: Option<u64>,
    /// The newest line; `None` where there is none.
    pub head: Option<Head>,
    /// In the order of the lines, at most 100.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
}

impl Verdict {
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// How many lines had been looked at, for the order of findings, and the place.
type Mark = (u64, Place);

/// Checks a trail that may be spread over several files, oldest first.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// What the first line must have as `prev` if its number is 1.
    start: Option<Hash>,
    from_the_start: bool,
    expected: BTreeMap<u64, Hash>,
    file: String,
    line: u64,
    lines: u64,
    first: Option<u64>,
    head: Option<Head>,
    /// The hash of the line before this one is not known to be true: do not blame this one.
    unsure: bool,
    /// Ranges of numbers not seen yet: first, last, and where they should have come.
    gaps: BTreeMap<u64, (u64, Mark)>,
    findings: Vec<(u64, Finding)>,
    more: u64,
}

impl Verifier {
    /// For files of an unknown ledger, that may begin anywhere (older files may be stored away).
    pub fn anywhere() -> Self {
        Self {
            start: None,
            from_the_start: false,
            expected: BTreeMap::new(),
            file: "-".into(),
            line: 0,
            lines: 0,
            first: None,
            head: None,
            unsure: false,
            gaps: BTreeMap::new(),
            findings: Vec::new(),
            more: 0,
        }
    }

    /// For files of this ledger, that may begin anywhere.
    pub fn of_ledger(ledger: &LedgerId) -> Self {
        Self {
            start: Some(Hash::start(ledger)),
            ..Self::anywhere()
        }
    }

    /// Insists that the trail begins with event 1.
    pub fn from_the_start(self) -> Self {
        Self {
            from_the_start: true,
            ..self
        }
    }

    /// Insists that the line with this number is there and has this hash. Before the first line; any number of them.
    pub fn expect(&mut self, head: &Head) {
        if head.seq > 0 {
            self.expected.insert(head.seq, head.hash);
        }
    }

    /// The lines that follow come from this file.
    pub fn file(&mut self, name: &str) {
        name.clone_into(&mut self.file);
        self.line = 0;
    }

    /// Takes the next line, without its newline.
    pub fn line(&mut self, line: &[u8]) {
        self.line += 1;
        self.lines += 1;
        let link = match Link::of(line) {
            Ok(link) => link,
            Err(why) => {
                self.found(Fault::Malformed(why));
                return;
            }
        };
        let seq = link.seq;
        let intact = link.is_intact();
        if !intact {
            self.found(Fault::Edited { seq });
        }
        self.first.get_or_insert(seq);
        match &self.head {
            None if self.from_the_start && seq > 1 => self.gap(1, seq - 1),
            None if seq == 1 && intact && self.start.is_some_and(|start| start != link.prev) => {
                self.found(Fault::Foreign { seq });
            }
            None => {}
            Some(head) if seq == head.seq + 1 => {
                let linked = link.prev == head.hash;
                if !linked && intact && !self.unsure {
                    self.found(Fault::Unlinked { seq });
                }
            }
            Some(head) if seq > head.seq => self.gap(head.seq + 1, seq - 1),
            Some(_) => return self.late(&link, intact),
        }
        if intact
            && self
                .expected
                .remove(&seq)
                .is_some_and(|known| known != link.hash)
        {
            self.found(Fault::OtherHead { seq });
        }
        self.unsure = !intact;
        self.head = Some(Head {
            seq,
            hash: link.hash,
        });
    }

    /// The last bytes of the file had no newline behind them.
    pub fn torn(&mut self) {
        self.line += 1;
        self.found(Fault::Torn);
    }

    /// No more lines.
    pub fn end(mut self) -> Verdict {
        let last = self.head.as_ref().map_or(0, |head| head.seq);
        if let Some(expected) = self.expected.keys().next_back().copied()
            && expected > last
        {
            self.found(Fault::Truncated { last, expected });
        }
        for (from, (to, mark)) in std::mem::take(&mut self.gaps) {
            self.keep(mark, Fault::Missing { from, to });
        }
        // A gap is known for one only now. Stable, so that the findings of one line stay in their order.
        self.findings.sort_by_key(|(order, _)| *order);
        Verdict {
            lines: self.lines,
            first: self.first,
            head: self.head,
            findings: self.findings.into_iter().map(|(_, f)| f).collect(),
            more: self.more,
        }
    }

    /// A number that is not higher than the highest: it fills a gap, or was there before.
    fn late(&mut self, link: &Link<'_>, intact: bool) {
        let seq = link.seq;
        let gap = self
            .gaps
            .range(..=seq)
            .next_back()
            .map(|(from, (to, mark))| (*from, *to, mark.clone()))
            .filter(|(_, to, _)| *to >= seq);
        if let Some((from, to, mark)) = gap {
            self.gaps.remove(&from);
            if from < seq {
                self.gaps.insert(from, (seq - 1, mark.clone()));
            }
            if seq < to {
                self.gaps.insert(seq + 1, (to, mark));
            }
            self.found(Fault::Reordered { seq });
            if intact
                && self
                    .expected
                    .remove(&seq)
                    .is_some_and(|known| known != link.hash)
            {
                self.found(Fault::OtherHead { seq });
            }
        } else if seq == 1 && intact && self.start.is_some_and(|start| start != link.prev) {
            self.found(Fault::Foreign { seq });
        } else {
            self.found(Fault::Duplicated { seq });
        }
    }

    fn gap(&mut self, from: u64, to: u64) {
        if self.gaps.len() < KEPT {
            self.gaps.insert(from, (to, self.mark()));
        } else {
            self.found(Fault::Missing { from, to });
        }
    }

    fn mark(&self) -> Mark {
        let place = Place {
            file: self.file.clone(),
            line: self.line,
        };
        (self.lines, place)
    }

    fn found(&mut self, what: Fault) {
        self.keep(self.mark(), what);
    }

    fn keep(&mut self, (order, place): Mark, what: Fault) {
        if self.findings.len() < KEPT {
            self.findings.push((order, Finding { place, what }));
        } else {
            self.more += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Actor, At, Person};
    use crate::audit::chain::seal;
    use crate::audit::event::{Draft, EventKind};

    const LEDGER: &str = "0123456789abcdef0123456789abcdef";

    fn trail_of(ledger: &str, length: u64) -> Vec<String> {
        let actor = Actor::Person(Person {
            uid: 1,
            name: "a".into(),
        });
        let mut prev = Hash::start(&LedgerId(ledger.into()));
        (1..=length)
            .map(|seq| {
                let draft = Draft::new(EventKind::Requested, &actor);
                let sealed = seal(&draft, seq, At::from_millis(0), "h", &prev).unwrap();
                prev = sealed.hash;
                sealed.line
            })
            .collect()
    }

    fn verdict(mut verifier: Verifier, lines: &[String]) -> Verdict {
        verifier.file("audit.jsonl");
        for line in lines {
            verifier.line(line.as_bytes());
        }
        verifier.end()
    }

    fn faults(lines: &[String]) -> Vec<(u64, Fault)> {
        let verifier = Verifier::of_ledger(&LedgerId(LEDGER.into())).from_the_start();
        let found = verdict(verifier, lines).findings;
        found.into_iter().map(|f| (f.place.line, f.what)).collect()
    }

    #[test]
    fn a_whole_trail_is_sound() {
        let trail = trail_of(LEDGER, 9);
        assert_eq!(faults(&trail), []);
        assert!(verdict(Verifier::anywhere(), &trail[4..]).is_sound());
    }

    #[test]
    fn an_edited_line_is_named_and_its_successor_is_not_blamed() {
        let mut trail = trail_of(LEDGER, 9);
        trail[3] = trail[3].replace("\"actor\":\"a\"", "\"actor\":\"b\"");
        assert_eq!(faults(&trail), [(4, Fault::Edited { seq: 4 })]);
    }

    #[test]
    fn a_line_edited_and_hashed_again_breaks_the_chain_behind_it() {
        let mut trail = trail_of(LEDGER, 9);
        let edited = trail[3].replace("\"actor\":\"a\"", "\"actor\":\"b\"");
        let (body, _) = edited.rsplit_once(",\"hash\"").unwrap();
        trail[3] = format!("{body},\"hash\":\"{}\"}}", Hash::of(body.as_bytes()));
        assert_eq!(faults(&trail), [(5, Fault::Unlinked { seq: 5 })]);
    }

    #[test]
    fn dropped_lines_are_missing_and_moved_ones_stand_too_late() {
        let trail = trail_of(LEDGER, 9);
        let mut dropped = trail.clone();
        dropped.drain(3..5);
        assert_eq!(faults(&dropped), [(4, Fault::Missing { from: 4, to: 5 })]);
        let mut moved = trail.clone();
        moved.swap(3, 4);
        assert_eq!(faults(&moved), [(5, Fault::Reordered { seq: 4 })]);
        let mut behind = trail.clone();
        let line = behind.remove(1);
        behind.push(line);
        assert_eq!(faults(&behind), [(9, Fault::Reordered { seq: 2 })]);
        assert_eq!(
            faults(&trail[2..]),
            [(1, Fault::Missing { from: 1, to: 2 })]
        );
    }

    #[test]
    fn a_line_twice_is_duplicated() {
        let mut trail = trail_of(LEDGER, 9);
        trail.insert(4, trail[3].clone());
        assert_eq!(faults(&trail), [(5, Fault::Duplicated { seq: 4 })]);
    }

    #[test]
    fn another_ledgers_lines_are_foreign() {
        let other = trail_of("ffffffffffffffffffffffffffffffff", 3);
        assert_eq!(faults(&other), [(1, Fault::Foreign { seq: 1 })]);
        let mut mixed = trail_of(LEDGER, 2);
        mixed.push(other[0].clone());
        assert_eq!(faults(&mixed), [(3, Fault::Foreign { seq: 1 })]);
        let mut mixed = trail_of(LEDGER, 2);
        mixed.push(other[2].clone());
        assert_eq!(faults(&mixed), [(3, Fault::Unlinked { seq: 3 })]);
    }

    #[test]
    fn a_cut_end_shows_against_a_head_kept_elsewhere() {
        let trail = trail_of(LEDGER, 9);
        let head = |line: &String| Head {
            seq: Link::of(line.as_bytes()).unwrap().seq,
            hash: Link::of(line.as_bytes()).unwrap().hash,
        };
        let with = |heads: &[Head], lines: &[String]| {
            let mut verifier = Verifier::anywhere();
            heads.iter().for_each(|h| verifier.expect(h));
            let found = verdict(verifier, lines).findings;
            found.into_iter().map(|f| f.what).collect::<Vec<_>>()
        };
        assert_eq!(with(&[head(&trail[8]), head(&trail[3])], &trail), []);
        assert_eq!(
            with(&[head(&trail[8])], &trail[..7]),
            [Fault::Truncated {
                last: 7,
                expected: 9
            }]
        );
        let other = trail_of("ffffffffffffffffffffffffffffffff", 9);
        assert_eq!(
            with(&[head(&other[3])], &trail),
            [Fault::OtherHead { seq: 4 }]
        );
    }

    #[test]
    fn garbage_and_empty_lines_are_malformed() {
        let mut trail = trail_of(LEDGER, 3);
        trail.insert(1, String::new());
        trail.insert(2, "{}".into());
        assert_eq!(
            faults(&trail),
            [
                (2, Fault::Malformed(Malformed::Empty)),
                (3, Fault::Malformed(Malformed::Head))
            ]
        );
    }

    proptest::proptest! {
        /// Whatever is done to one line, the trail is not sound any more, and nothing panics.
        #[test]
        fn no_change_goes_unseen(at in 0usize..12, kind in 0u8..5, to in 0usize..12) {
            let trail = trail_of(LEDGER, 12);
            let mut changed = trail.clone();
            match kind {
                0 => { changed.remove(at); }
                1 => { let line = changed[at].clone(); changed.insert(to, line); }
                2 => changed.swap(at, to),
                3 => changed[at] = changed[at].replacen("requested", "granted", 1),
                _ => changed[at].truncate(to),
            }
            let mut verifier = Verifier::of_ledger(&LedgerId(LEDGER.into())).from_the_start();
            let last = Link::of(trail[11].as_bytes()).unwrap();
            verifier.expect(&Head { seq: 12, hash: last.hash });
            proptest::prop_assert_eq!(verdict(verifier, &changed).is_sound(), changed == trail);
        }
    }
}
