//! Instants and spans. Pure code receives them; `workflow::clock` alone reads the clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::names::SharedText;
use super::text::{one_text, read_from_text};

/// An instant in UTC, in whole milliseconds. Its text is RFC 3339 with exactly three decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(DateTime<Utc>);

impl At {
    pub fn new(instant: DateTime<Utc>) -> Self {
        Self::from_millis(instant.timestamp_millis())
    }

    /// Milliseconds since 1970; out of chrono's range it is the nearest instant that can be told.
    pub fn from_millis(millis: i64) -> Self {
        Self(
            DateTime::from_timestamp_millis(millis).unwrap_or(if millis < 0 {
                DateTime::<Utc>::MIN_UTC
            } else {
                DateTime::<Utc>::MAX_UTC
            }),
        )
    }

    pub fn millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    pub fn utc(self) -> DateTime<Utc> {
        self.0
    }

    /// This instant plus a span.
    pub fn plus(self, ttl: Ttl) -> Self {
        Self::from_millis(self.millis().saturating_add(ttl.millis() as i64))
    }

    /// This instant minus a span.
    pub fn minus(self, ttl: Ttl) -> Self {
        Self::from_millis(self.millis().saturating_sub(ttl.millis() as i64))
    }

    /// From `earlier` to this instant; zero where it is not earlier.
    pub fn since(self, earlier: Self) -> Ttl {
        Ttl::from_millis(u64::try_from(self.millis() - earlier.millis()).unwrap_or(0))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for At {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(
            DateTime::parse_from_rfc3339(text)?.with_timezone(&Utc),
        ))
    }
}

one_text!(At);

/// How long: a span in whole milliseconds. In files and JSON it is a text such as `2h` or `1h 30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Ttl(u64);

/// No span that is typed is longer.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: {why}; write it like 30m, 2h, 1d or 1h30m")]
pub struct NotADuration {
    pub text: String,
    pub why: String,
}

impl Ttl {
    pub const ZERO: Self = Self(0);

    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }

    pub const fn millis(self) -> u64 {
        self.0
    }

    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// Reads `30m`, `2h`, `1d`, `1h30m`, `1h 30m`; units are ms, s, m, h, d and w.
    ///
    /// Months and years are refused (humantime reads `1M` as a month), and so are zero and more than 366 days.
    pub fn parse(text: &str) -> Result<Self, NotADuration> {
        let wrong = |why: &str| NotADuration {
            text: text.chars().take(40).collect(),
            why: why.to_owned(),
        };
        let trimmed = text.trim();
        if trimmed.len() > 40 {
            return Err(wrong("it is too long"));
        }
        if let Some(millis) = plain(trimmed)
            && millis <= LONGEST.as_millis() as u64
        {
            return Ok(Self(millis));
        }
        if trimmed.chars().all(|c| c.is_ascii_digit()) && !trimmed.is_empty() {
            return Err(wrong("the unit is missing"));
        }
        for word in trimmed.split(|c: char| !c.is_alphabetic()) {
            if !matches!(
                word,
                "" | "ms"
                    | "s"
                    | "sec"
                    | "secs"
                    | "second"
                    | "seconds"
                    | "m"
                    | "min"
                    | "mins"
                    | "minute"
                    | "minutes"
                    | "h"
                    | "hr"
                    | "hrs"
                    | "hour"
                    | "hours"
                    | "d"
                    | "day"
                    | "days"
                    | "w"
                    | "week"
                    | "weeks"
            ) {
                return Err(wrong(&format!("{word:?} is not a unit here")));
            }
        }
        let duration =
            humantime::parse_duration(trimmed).map_err(|error| wrong(&error.to_string()))?;
        if duration > LONGEST {
            return Err(wrong("it is longer than 366 days"));
        }
        if duration < Duration::from_millis(1) {
            return Err(wrong("it is nothing"));
        }
        Ok(Self(duration.as_millis() as u64))
    }
}

impl fmt::Display for Ttl {
    /// The two largest units, as people say it: `2h`, `1h 30m`, `45s`, `350ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return f.pad(&format!("{}ms", self.0));
        }
        let secs = self.0 / 1000;
        let parts = [
            (secs / 86_400, "d"),
            (secs / 3600 % 24, "h"),
            (secs / 60 % 60, "m"),
            (secs % 60, "s"),
        ];
        let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
        let mut text = format!("{}{}", parts[first].0, parts[first].1);
        if let Some((n, unit)) = parts.get(first + 1)
            && *n > 0
        {
            text.push_str(&format!(" {n}{unit}"));
        }
        f.pad(&text)
    }
}

impl FromStr for Ttl {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        Self::parse(text)
    }
}

read_from_text!(Ttl);

/// Milliseconds of a text in the form that files nearly always have, and that a ledger has a few of for each request:
/// numbers with one of five units, and nothing between. `None`: it is to be read otherwise.
fn plain(text: &str) -> Option<u64> {
    let mut millis = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at(unit_at);
        let end = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, next) = behind.split_at(end);
        let unit = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = next;
    }
    (millis > 0).then_some(millis)
}

impl From<Ttl> for String {
    /// Exact, and one word: every unit that is not zero (`1h30m`), so that it reads back as the same span and can
    /// be typed as a flag. Days are the largest unit: humantime would say `1month`, which is no duration here.
    fn from(ttl: Ttl) -> Self {
        let (secs, millis) = (ttl.0 / 1000, ttl.0 % 1000);
        let parts = [
            (secs / 86_400, "d"),
            (secs / 3600 % 24, "h"),
            (secs / 60 % 60, "m"),
            (secs % 60, "s"),
            (millis, "ms"),
        ];
        let text: String = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, unit)| format!("{n}{unit}"))
            .collect();
        if text.is_empty() { "0s".into() } else { text }
    }
}

/// An instant of the boot clock: it goes on through sleep and cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootInstant {
    /// `/proc/sys/kernel/random/boot_id`: instants of different boots cannot be compared.
    pub boot: SharedText,
    /// Milliseconds of `CLOCK_BOOTTIME`.
    pub millis: u64,
}

/// Both clocks, read at the same moment. Whatever judges or plans receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    pub at: At,
    pub boot: BootInstant,
}

impl BootInstant {
    /// So much later on the same boot's clock.
    pub fn plus(&self, span: Ttl) -> Self {
        Self {
            boot: self.boot.clone(),
            millis: self.millis.saturating_add(span.millis()),
        }
    }
}

impl Now {
    /// How far the wall clock stands behind what it showed before, by the larger of the two witnesses:
    /// the latest instant that the ledger has seen, and the elapsed boot time since then.
    pub fn behind(&self, latest_seen: At) -> Ttl {
        latest_seen.since(self.at)
    }

    /// Both clocks so much earlier.
    pub fn earlier(&self, span: Ttl) -> Self {
        Self {
            at: self.at.minus(span),
            boot: BootInstant {
                boot: self.boot.boot.clone(),
                millis: self.boot.millis.saturating_sub(span.millis()),
            },
        }
    }

    pub fn chrono(&self) -> DateTime<Utc> {
        self.at.utc()
    }
}

/// Seconds with three decimals between two instants, for `late_s`; negative never.
pub fn seconds(span: Ttl) -> f64 {
    TimeDelta::milliseconds(span.millis() as i64).num_milliseconds() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_is_the_next_minutes_first() {
        let leap = "2016-12-31T23:59:60.250Z".parse::<At>().unwrap();
        assert_eq!(leap.to_string(), "2017-01-01T00:00:00.250Z");
        let before = "2016-12-31T23:59:59.999Z".parse::<At>().unwrap();
        assert!(leap > before);
        assert_eq!(At::from_millis(leap.millis()), leap);
    }

    #[test]
    fn durations_read_and_print() {
        for (text, shown) in [
            ("30m", "30m"),
            ("2h", "2h"),
            ("1d", "1d"),
            ("90m", "1h 30m"),
            ("1h30m", "1h 30m"),
            ("1500ms", "1s"),
            ("350ms", "350ms"),
        ] {
            let ttl = Ttl::parse(text).unwrap();
            assert_eq!(ttl.to_string(), shown);
            assert_eq!(Ttl::parse(&String::from(ttl)).unwrap(), ttl);
        }
    }

    #[test]
    fn bad_durations_are_refused() {
        for text in [
            "",
            "2",
            "1M",
            "1y",
            "1month",
            "-1h",
            "0s",
            "2 hours ago",
            "1e9h",
            "9999999999999999999999h",
            "∞",
            "400d",
            "1us",
        ] {
            assert!(Ttl::parse(text).is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn instants_have_three_decimals() {
        let at = At::from_millis(1_774_000_000_120);
        assert_eq!(at.to_string(), "2026-03-20T09:46:40.120Z");
        assert_eq!(at.to_string().parse::<At>().unwrap(), at);
        assert_eq!(At::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    proptest::proptest! {
        #[test]
        fn what_is_plain_is_read_as_humantime_reads_it(text in "([0-9]{0,4}(d|h|m|s|ms|w|M|x| |)){0,4}") {
            if let Some(millis) = plain(&text) {
                let theirs = humantime::parse_duration(&text).expect("a duration");
                proptest::prop_assert_eq!(u128::from(millis), theirs.as_millis(), "{}", text);
            }
        }

        #[test]
        fn any_span_reads_back(millis in 1u64..366 * 24 * 3_600_000) {
            let ttl = Ttl::from_millis(millis);
            proptest::prop_assert_eq!(Ttl::parse(&String::from(ttl)).unwrap(), ttl);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,50}") {
            let _ = Ttl::parse(&text);
        }
    }
}
