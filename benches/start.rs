//! Starting at all.

use std::process::Command;

use crate::measure::cost;
use crate::support::jit::program;
use crate::table::{Goal, Row};

pub fn rows() -> Vec<Row> {
    let version = |program: &std::path::Path| {
        let mut command = Command::new(program);
        command.arg("--version");
        command
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        ours.push(cost(&mut version(program())));
        theirs.push(cost(&mut version("sqlite3".as_ref())));
    }
    vec![Row {
        what: "jit --version".into(),
        against: "sqlite3 --version".into(),
        ours,
        theirs,
        goal: Goal::AtMost(1.5),
    }]
}
