//! docs/laws.md: each promise, and the test that holds it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// `outsiders::a_handler_left_open_is_reported`, wherever it stands in backticks.
fn named(text: &str) -> Vec<Vec<&str>> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(|name| name.split("::").collect::<Vec<_>>())
        .filter(|path| path.len() > 1)
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file_of(suite: &Path, rooms: &[&str]) -> PathBuf {
    let path = suite.join(rooms.join("/"));
    let file = path.with_extension("rs");
    if file.exists() {
        file
    } else {
        path.join("mod.rs")
    }
}

/// A function of that name that is run: marked as a test, or in the list of one of the macros.
fn is_a_test(code: &str, name: &str) -> bool {
    let marked = format!("#[test]\nfn {name}(");
    let listed = code.lines().any(|line| {
        let line = line.trim();
        line.trim_end_matches(',') == name
            || (line.starts_with("on_") && line.contains(&format!("({name}")))
    });
    code.contains(&marked) || (listed && code.contains(&format!("fn {name}(")))
}

#[test]
fn every_test_that_holds_a_law_exists() {
    let text = fs::read_to_string(root().join("docs/laws.md")).expect("docs/laws.md");
    let suite = root().join("tests/suite");
    let names = named(&text);
    let missing: Vec<String> = names
        .iter()
        .filter(|path| {
            let (name, rooms) = path.split_last().expect("two parts");
            let code = fs::read_to_string(file_of(&suite, rooms)).unwrap_or_default();
            !is_a_test(&code, name)
        })
        .map(|path| path.join("::"))
        .collect();
    assert!(missing.is_empty(), "docs/laws.md names {missing:#?}");
    let laws: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## ")?.split_once(". "))
        .map(|(number, _)| number)
        .collect();
    let wanted: BTreeSet<&str> = ["1", "2", "3", "4", "5", "6", "7", "8", "9"].into();
    assert_eq!(laws, wanted);
    assert!(names.len() > 80, "{}", names.len());
}
