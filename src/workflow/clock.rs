//! The one place that reads the clocks.

use chrono::Utc;

use crate::access::{At, BootInstant, Now, Ttl};
use crate::stores::Seen;

/// A wall clock this far behind what the ledger has seen grants nothing.
pub const TOLERANCE: Ttl = Ttl::from_secs(60);

/// Both clocks, now.
pub fn now() -> Now {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Now {
        at: At::new(Utc::now()),
        boot: BootInstant {
            boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|text| text.trim().into())
                .unwrap_or_default(),
            millis: u64::try_from(boot.tv_sec).unwrap_or(0) * 1000
                + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000_000,
        },
    }
}

/// How far the wall clock is behind where it should be by now: the latest instant that the ledger has seen, plus
/// what the boot clock says has passed since. Zero where it is not behind.
pub fn behind(now: &Now, seen: &Seen) -> Ttl {
    let passed = if now.boot.boot == seen.boot.boot {
        now.boot.millis.saturating_sub(seen.boot.millis)
    } else {
        0
    };
    seen.at.plus(Ttl::from_millis(passed)).since(now.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(at: i64, boot: &str, millis: u64) -> (At, BootInstant) {
        (
            At::from_millis(at),
            BootInstant {
                boot: boot.into(),
                millis,
            },
        )
    }

    #[test]
    fn a_clock_set_back_is_noticed_in_one_boot_and_across_boots() {
        let (at, boot) = instant(1_000_000, "a", 50_000);
        let seen = Seen { at, boot };
        let judge = |at, name, millis| {
            let (at, boot) = instant(at, name, millis);
            behind(&Now { at, boot }, &seen)
        };
        assert_eq!(judge(1_010_000, "a", 60_000), Ttl::ZERO);
        assert_eq!(judge(1_000_000, "a", 150_000), Ttl::from_secs(100));
        assert_eq!(judge(900_000, "b", 10), Ttl::from_secs(100));
        assert_eq!(judge(1_000_001, "b", 10), Ttl::ZERO);
    }
}
