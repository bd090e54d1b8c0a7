//! Parse, run, report, exit: nothing else.
#![forbid(unsafe_code)]

fn main() {}
