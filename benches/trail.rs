//! Checking an audit file, against hashing it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::Command;

use jit::access::{Actor, LedgerId, Person};
use jit::audit::chain::{Hash, seal};
use jit::audit::event::{Draft, EventKind};

use crate::choice;
use crate::measure::cost;
use crate::support::jit::Install;
use crate::support::people::root;
use crate::table::{Goal, Row};

pub fn rows() -> Vec<Row> {
    let install = Install::new();
    let mut rows = Vec::new();
    for lines in choice::sizes([10_000_u64, 100_000, 1_000_000]) {
        let path = install.path("trail.jsonl");
        write(&path, lines);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..choice::rounds() {
            let mut verify = install.command(&root(), &["audit", "verify"]);
            ours.push(cost(verify.arg(&path)));
            theirs.push(cost(Command::new("sha256sum").arg(&path)));
        }
        rows.push(Row {
            what: format!("jit audit verify, {lines} lines"),
            against: "sha256sum".into(),
            ours,
            theirs,
            goal: if lines == 1_000_000 {
                Goal::AtMost(2.0)
            } else {
                Goal::None
            },
        });
    }
    rows
}

/// A sound trail of so many lines, each as long as a grant's.
fn write(path: &std::path::Path, lines: u64) {
    let mut file = BufWriter::new(File::create(path).expect("our own folder"));
    let carol = Actor::Person(Person {
        uid: 1003,
        name: "carol".into(),
    });
    let mut draft = Draft::new(EventKind::Granted, &carol);
    draft.requester = Some("alice".into());
    draft.target = Some("shop".into());
    draft.server = Some("db1:5432/shop#7312461904231213".into());
    draft.engine = Some("postgres".into());
    draft.columns = vec!["email".into(), "phone".into()];
    draft.reason = Some("a customer calls about an order that did not come".into());
    draft.policy = Some("customer-contact@ab12cd34ef56".into());
    draft.sql = vec!["GRANT SELECT (email, phone) ON public.customers TO alice".into()];
    let now = jit::workflow::clock::now().at;
    let mut prev = Hash::start(&LedgerId("0".repeat(32)));
    for seq in 1..=lines {
        let sealed = seal(&draft, seq, now, "bastion1", &prev).expect("plain data");
        file.write_all(sealed.line.as_bytes()).expect("room");
        file.write_all(b"\n").expect("room");
        prev = sealed.hash;
    }
    file.flush().expect("room");
}
