//! How long and from which seed: a short version of everything in `make test`, the long one in `make torture`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The seed where none is given: a run of `make test` does the same each time.
pub const SEED: u64 = 5;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

pub fn seed() -> u64 {
    number("JIT_TORTURE_SEED").unwrap_or(SEED)
}

/// Whether this is the long version.
pub fn is_long() -> bool {
    number("JIT_TORTURE_MINUTES").is_some()
}

/// Rounds of a law with random faults: so many in `make test`, in `make torture` for as long as it was told.
/// Each gets a number of its own to choose from.
pub fn rounds(short: u64) -> impl Iterator<Item = Chance> {
    let until = number("JIT_TORTURE_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let begun = Instant::now();
    let seed = seed();
    (0..u64::MAX)
        .take_while(move |nth| match until {
            None => *nth < short,
            Some(until) => *nth < short || begun.elapsed() < until,
        })
        .map(move |nth| Chance::new(seed, nth))
}

/// How many bad inputs of one kind: so many in `make test`, in `make torture` as many as it was told.
pub fn inputs(short: u32) -> u32 {
    number("JIT_TORTURE_INPUTS")
        .and_then(|inputs| u32::try_from(inputs).ok())
        .unwrap_or(short)
}

/// How often something happened, over all rounds of this program.
#[derive(Debug)]
pub struct Figure(AtomicUsize);

impl Figure {
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    pub fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.load(Ordering::Relaxed).fmt(f)
    }
}

/// The figures of one kind of test, as `FIGURES`.
macro_rules! figures {
    ($($name:ident),+ $(,)?) => {
        #[derive(Debug)]
        pub struct Figures {
            $(pub $name: $crate::support::torture::Figure,)+
        }

        pub static FIGURES: Figures = Figures {
            $($name: $crate::support::torture::Figure::new(),)+
        };
    };
}
pub(crate) use figures;

/// Random numbers that a seed and a round make: the same each time (splitmix64).
#[derive(Debug)]
pub struct Chance {
    pub round: u64,
    state: u64,
}

impl Chance {
    pub fn new(seed: u64, round: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round.rotate_left(32);
        Self { round, state }
    }

    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("less than a usize")
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.number() % (to - from))
    }
}
