//! Whatever comes in as policies, settings, columns, submissions or audit lines: an answer, quickly, and never a
//! panic. Inputs are good ones with pieces taken out, doubled, exchanged and replaced, and pure noise.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jit::access::syntax;
use jit::audit::verify::Verifier;
use jit::policy::{Book, SourceFile};
use jit::settings::{self, Places};
use jit::workflow::submission::Submission;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::torture;

/// No input takes longer, in a program that was built without optimisation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pieces that mean something somewhere.
const PIECES: &[&str] = &[
    "",
    " ",
    "\n",
    "\t",
    "\0",
    "\u{feff}",
    "'",
    "\"",
    "`",
    ":",
    ",",
    ".",
    "*",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: ",
    "- ",
    "? ",
    "|\n",
    "!!binary ",
    "~",
    "null",
    "true",
    "1e999",
    "-1",
    "99999999999999999999",
    "0x7f",
    "9h",
    "1000000d",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "\u{1b}[2J",
    "Größe",
    "((((((((((",
    "a?b?c?",
    "[[[[[[[[[[[[[[[[[[[[",
    "{{{{{{{{{{",
    "%00",
    "--- ",
    "...\n",
    "#",
    "group:",
    "version: 1\n",
    "\"v\":1",
    "\"hash\":\"",
    "\"prev\":\"",
    "\"seq\":",
];

/// Good text, broken.
fn broken(good: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let cut = (
        any::<prop::sample::Index>(),
        0..40_usize,
        0..3_u8,
        prop::sample::select(PIECES),
    );
    let change = proptest::collection::vec(cut, 0..8);
    let mutated = (prop::sample::select(good), change).prop_map(|(text, changes)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, length, how, piece) in changes {
            let from = at.index(bytes.len() + 1);
            let to = (from + length).min(bytes.len());
            let with: Vec<u8> = match how {
                0 => piece.as_bytes().to_vec(),
                1 => [&bytes[from..to], &bytes[from..to]].concat(),
                _ => [piece.as_bytes(), &bytes[from..to]].concat(),
            };
            bytes.splice(from..to, with);
        }
        bytes
    });
    prop_oneof![
        8 => mutated,
        1 => proptest::collection::vec(any::<u8>(), 0..300),
        1 => proptest::collection::vec(prop::sample::select(PIECES), 0..60)
            .prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

fn never_panics(good: &'static [&'static str], takes: impl Fn(&[u8])) {
    let config = Config {
        cases: torture::inputs(),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&broken(good), |bytes| {
            let begun = Instant::now();
            takes(&bytes);
            prop_assert!(begun.elapsed() < PATIENCE, "it took {:?}", begun.elapsed());
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn policies() {
    const GOOD: &[&str] = &[
        include_str!("../../src/commands/templates/policy.yaml"),
        crate::support::shop::POLICY,
    ];
    never_panics(GOOD, |bytes| {
        let file = SourceFile {
            name: "bad.yaml".into(),
            text: bytes.to_vec(),
        };
        if let Err(problems) = Book::load(vec![file]) {
            assert!(!problems.is_empty(), "an error says what is wrong");
        }
    });
}

#[test]
fn settings_files() {
    const GOOD: &[&str] = &[
        include_str!("../../src/commands/templates/config.yaml"),
        "version: 1\nledger: sqlite:/tmp/l.db\ntargets:\n  shop:\n    url: postgres://a@db/shop?sslmode=verify-full\n    \
         password: {file: x}\n    grantee: '{user}'\ngroups:\n  dba: [carol, 'group:x']\npeople:\n  erin: {shop: e}\n\
         admins: [group:dba]\nsweep_within: 5m\n",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    never_panics(GOOD, |bytes| {
        std::fs::write(&path, bytes).expect("our own folder");
        let nowhere = PathBuf::from("/nowhere");
        let places = Places {
            flag: Some(path.clone()),
            env: None,
            user_config: None,
            user_state: None,
            etc: nowhere.clone(),
            var_lib: nowhere.clone(),
            var_log: nowhere,
        };
        if let Err(error) = settings::load(&places) {
            assert!(!error.to_string().is_empty(), "an error says what is wrong");
        }
    });
}

#[test]
fn columns() {
    const GOOD: &[&str] = &[
        "public.customers:email,phone",
        "'\"My Shop\".\"Order\":\"e,mail\"'",
        "`a``b`.c:*",
        "customers:\"we\"\"ird\",x",
    ];
    never_panics(GOOD, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = syntax::parse_columns(&text);
        let _ = syntax::parse_typed_table(&text);
        if let Ok(table) = syntax::parse_table(&text) {
            let again =
                syntax::parse_table(&table.to_string()).expect("what is shown can be typed");
            assert_eq!(again, table);
        }
    });
}

#[test]
fn submissions() {
    const GOOD: &[&str] = &[
        r#"{"v":1,"nonce":"0123456789abcdef0123456789abcdef","act":{"do":"request","target":"shop","tables":[{"table":"public.customers","columns":["email"]}],"ttl":"1h","reason":"x","purpose":"support","extends":"k3fq7m2x"}}"#,
        r#"{"v":1,"nonce":"0123456789abcdef0123456789abcdef","act":{"do":"approve","id":"k3fq7m2x","digest":"00","ttl":"10m"}}"#,
        r#"{"v":1,"nonce":"0123456789abcdef0123456789abcdef","act":{"do":"revoke_all","selector":{"column":{"table":"a.b","columns":["c"]}},"reason":"x"}}"#,
    ];
    never_panics(GOOD, |bytes| {
        if let Ok(submission) = Submission::read(bytes) {
            let again =
                Submission::read(&submission.bytes()).expect("what was read can be written");
            assert_eq!(again, submission);
        }
    });
}

#[test]
fn audit_lines() {
    const GOOD: &[&str] = &[
        "{\"v\":1,\"seq\":1,\"at\":\"2026-11-23T09:15:02.123Z\",\"event\":\"ledger_made\",\"actor\":\"root\",\"via\":\"uid:0\",\"host\":\"h\",\"prev\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"hash\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}\n",
    ];
    never_panics(GOOD, |bytes| {
        let mut verifier = Verifier::anywhere();
        verifier.file("bad.jsonl");
        for line in bytes.split(|byte| *byte == b'\n') {
            verifier.line(line);
        }
        let verdict = verifier.end();
        assert!(
            bytes.iter().all(u8::is_ascii_whitespace) || !verdict.is_sound(),
            "an invented line is not sound"
        );
    });
}
