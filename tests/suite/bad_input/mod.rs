//! Whatever comes in as policies, settings, columns, submissions or audit lines: an answer, quickly, and never a
//! panic. Inputs are good ones with pieces taken out, doubled, exchanged and replaced, and pure noise.

mod takes;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::process::must;
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
fn broken(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let cut = (
        any::<prop::sample::Index>(),
        0..40_usize,
        0..3_u8,
        prop::sample::select(PIECES),
    );
    let change = proptest::collection::vec(cut, 0..8);
    let mutated =
        (prop::sample::select(good), change).prop_map(|(text, changes): (Vec<u8>, Vec<_>)| {
            let mut bytes = text;
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

/// The inputs that are kept for one kind: good ones, what once failed, and what a fuzzer found worth keeping.
fn kept(kind: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let found = tempfile::tempdir().expect("a folder in /tmp");
    let mut unpack = Command::new("tar");
    let archive = fuzz.join("corpus/found.tar.gz");
    must(
        unpack
            .arg("-xzf")
            .arg(archive)
            .arg("-C")
            .arg(found.path())
            .arg(kind),
    );
    [fuzz.join("corpus").join(kind), found.path().join(kind)]
        .iter()
        .flat_map(|folder| {
            std::fs::read_dir(folder)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        })
        .map(|entry| {
            let path = entry.expect("our own folder").path();
            let bytes = std::fs::read(&path).expect("our own file");
            (path, bytes)
        })
        .collect()
}

/// Every kept input, and as many broken ones as the run wants: in `make test` for about half a minute at most.
fn never_panics(kind: &str, takes: fn(&[u8]) -> bool, short: u32) {
    let kept = kept(kind);
    let mut good = Vec::new();
    for (path, bytes) in kept {
        let begun = Instant::now();
        let taken = std::panic::catch_unwind(|| takes(&bytes))
            .unwrap_or_else(|_| panic!("{}", path.display()));
        assert!(begun.elapsed() < PATIENCE, "{}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("good") {
            assert!(taken, "{} is good", path.display());
            good.push(bytes);
        }
    }
    assert!(!good.is_empty(), "nothing good is kept of {kind}");
    let config = Config {
        cases: torture::inputs(short),
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&torture::seed().to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    TestRunner::new_with_rng(config, rng)
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
    never_panics("policies", takes::policies, 30_000);
}

#[test]
fn settings() {
    never_panics("settings", takes::settings, 8_000);
}

#[test]
fn columns() {
    never_panics("columns", takes::columns, 60_000);
}

#[test]
fn globs() {
    never_panics("globs", takes::globs, 60_000);
}

#[test]
fn submissions() {
    never_panics("submissions", takes::submissions, 60_000);
}

#[test]
fn audit_lines() {
    never_panics("audit_lines", takes::audit_lines, 60_000);
}

/// Each kind has a fuzz target of its name.
#[test]
fn every_kind_is_fuzzed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let takes = include_str!("takes.rs");
    let kinds: Vec<&str> = takes
        .split("\npub fn ")
        .skip(1)
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert!(kinds.len() >= 6, "{kinds:?}");
    let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).expect("a manifest");
    for kind in kinds {
        let path = format!("fuzz_targets/{kind}.rs");
        let code = std::fs::read_to_string(root.join("fuzz").join(&path)).unwrap_or_default();
        assert!(code.contains(&format!("takes::{kind}(")), "fuzz/{path}");
        assert!(
            manifest.contains(&format!("\"{path}\"")),
            "fuzz/Cargo.toml names {path}"
        );
        assert!(!kept(kind).is_empty(), "{kind}");
    }
}
