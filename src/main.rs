//! Parse, run, report, exit: nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = jit::cli::Cli::parse();
    ExitCode::from(jit::commands::main(cli) as u8)
}
