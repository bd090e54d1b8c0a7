//! Places where a test may kill or hold the program: one behind every effect, where the lower rooms have it, and some
//! more between the steps of a story. A test finds every effect in the source and wants its place beside it.
//! Compiled only with the feature `failpoints`, which only the tests use; without it a place is nothing at all.
//!
//! `JIT_FAILPOINT=place=kill` ends the process there as SIGKILL does, `place=kill:N` where it comes there for the Nth
//! time; `any=kill:N` counts all places; `place=wait:FILE` holds it until FILE is there, `place=slow:MILLISECONDS`
//! makes it take that long each time, and `any=note:FILE` writes down the places it comes to.

/// Every place, for the test that goes through them all.
pub const PLACES: &[&str] = &[
    "drain-recorded",
    "intent-recorded",
    "intent-audited",
    "grant-sent",
    "grant-recorded",
    "revoke-announced",
    "revoke-sent",
    "revoke-recorded",
    "journal-written",
    "ledger-committed",
    "lines-written",
    "lines-synced",
    "tail-cut",
    "deposit-discarded",
    "set-aside",
    "view-written",
    "view-published",
    "postgres-uncommitted",
    "postgres-committed",
    "postgres-session-ended",
    "mysql-sent",
];

/// Marks a place. The name must stand in [`PLACES`].
#[cfg(feature = "failpoints")]
pub fn reach(place: &str) {
    debug_assert!(PLACES.contains(&place), "{place} is not in the list");
    let Ok(wanted) = std::env::var("JIT_FAILPOINT") else {
        return;
    };
    let Some((name, what)) = wanted.split_once('=') else {
        return;
    };
    if name != place && name != "any" {
        return;
    }
    if let Some(nth) = what.strip_prefix("kill") {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static REACHED: AtomicUsize = AtomicUsize::new(0);
        let times = REACHED.fetch_add(1, Ordering::Relaxed) + 1;
        if nth.is_empty() || nth == format!(":{times}") {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    } else if let Some(file) = what.strip_prefix("wait:") {
        while !std::path::Path::new(file).exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    } else if let Some(file) = what.strip_prefix("note:") {
        use std::io::Write;
        let noted = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file);
        let _ = noted.and_then(|mut file| writeln!(file, "{place}"));
    } else if let Some(Ok(time)) = what.strip_prefix("slow:").map(str::parse) {
        std::thread::sleep(std::time::Duration::from_millis(time));
    }
}

/// Marks a place: nothing, in the program that people use.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn reach(_place: &str) {}
