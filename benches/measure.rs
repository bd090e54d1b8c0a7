//! Running one command and seeing what it cost.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4;

use crate::support::Server;
use crate::support::process::around;

/// What one run cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of the program's own work, in user and kernel mode.
    pub cpu: f64,
    /// Bytes that were resident at most.
    pub peak: u64,
    /// Seconds that a server worked meanwhile; 0 where none was looked at.
    pub server: f64,
}

/// Runs a command to its end. One that fails ends the figures: what failed is not to be measured.
#[track_caller]
pub fn cost(command: &mut Command) -> Cost {
    exits(command, 0)
}

/// The same for a command whose exit code is to be another one.
///
/// A small process of our own runs it: a peak that the kernel tells of a child has that of its parent in it, from
/// before the child's program began, and ours grows while it looks at what was done.
#[track_caller]
pub fn exits(command: &mut Command, code: i32) -> Cost {
    // Not a pipe: nobody reads it while the clock runs.
    let said = tempfile::tempfile().expect("a file for what it says");
    let seen = tempfile::NamedTempFile::new().expect("a file for what it cost");
    let mut small = Command::new(std::env::current_exe().expect("we run"));
    small.arg(SMALL).arg(seen.path());
    let mut small = around(small, command);
    if let Some(folder) = command.get_current_dir() {
        small.current_dir(folder);
    }
    let ended = small
        .stdin(Stdio::null())
        .stdout(said.try_clone().expect("a file"))
        .stderr(said.try_clone().expect("a file"))
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let numbers = fs::read_to_string(seen.path()).expect("our own file");
    let numbers: Vec<f64> = numbers
        .split(' ')
        .map_while(|number| number.parse().ok())
        .collect();
    let [ended_with, wall, cpu, peak] = numbers[..] else {
        panic!("{command:?} was not measured, {ended}: {}", words(said));
    };
    assert_eq!(
        ended_with as i32,
        code,
        "{command:?} ended otherwise: {}",
        words(said)
    );
    Cost {
        wall,
        cpu,
        peak: peak as u64,
        server: 0.0,
    }
}

/// What our own program is called with where it is to be that small process.
const SMALL: &str = "--small";

/// Runs what the arguments of this process say, where it is the small one, and never returns then.
pub fn run_if_small() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != SMALL) {
        return;
    }
    let (seen, program) = (arguments.next(), arguments.next());
    let (Some(seen), Some(program)) = (seen, program) else {
        panic!("{SMALL} FILE PROGRAM ARGUMENTS");
    };
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::null());
    let begun = Instant::now();
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let end = child.wait4().expect("our own child");
    let wall = begun.elapsed().as_secs_f64();
    let code = end.status.code().unwrap_or(-1);
    let cpu = (end.rusage.utime + end.rusage.stime).as_secs_f64();
    // Bytes, whatever the system counts in.
    let peak = end.rusage.maxrss;
    fs::write(seen, format!("{code} {wall} {cpu} {peak}")).expect("the file that was named");
    std::process::exit(0);
}

/// The same, with what the server worked meanwhile.
#[track_caller]
pub fn cost_with(server: &Server, command: &mut Command) -> Cost {
    let before = worked(server.pid());
    let cost = cost(command);
    Cost {
        server: worked(server.pid()) - before,
        ..cost
    }
}

fn words(mut said: fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    let _ = said.rewind();
    let _ = said.read_to_string(&mut text);
    text.lines().take(20).collect::<Vec<_>>().join("\n")
}

/// Seconds that a process and its children, dead ones too, have worked (proc(5), fields 14 to 17 of `stat`).
fn worked(pid: u32) -> f64 {
    let ticks = |pid: u32, last: usize| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            return 0;
        };
        rest.split(' ')
            .skip(11)
            .take(last)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum()
    };
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let living: u64 = children
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .map(|child| ticks(child, 2))
        .sum();
    (ticks(pid, 4) + living) as f64 / 100.0
}

/// The middle one; of an even number the lower of the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}
