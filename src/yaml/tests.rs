use std::time::{Duration, Instant};

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Doc {
    #[allow(dead_code)]
    version: u32,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    entries: Vec<Placed<Entry>>,
    #[serde(default)]
    #[allow(dead_code)]
    flag: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    description: Placed<String>,
}

fn said(text: &[u8]) -> String {
    read::<Doc>("f.yaml", text).unwrap_err().to_string()
}

#[test]
fn problems_say_place_what_and_cure() {
    for (text, expected) in [
        (
            "version: 1\ncolums: [a]\n",
            r#"f.yaml:2:1: unknown key "colums"; did you mean "columns"?"#,
        ),
        (
            "version: 1\nzzz: [a]\n",
            r#"f.yaml:2:1: unknown key "zzz"; known here: version, columns, entries, flag"#,
        ),
        (
            "version: 1\nentries:\n  - desc: x\n",
            r#"f.yaml:3:5: unknown key "desc"; did you mean "description"?"#,
        ),
        (
            "version: 1\nversion: 2\n",
            r#"f.yaml:2:1: the key "version" is there twice"#,
        ),
        (
            "columns: []\n",
            r#"f.yaml:1:1: the key "version" is missing"#,
        ),
        (
            "version: x\n",
            "f.yaml:1:10: a whole number was expected here",
        ),
        (
            "version: 1\ncolumns: a\n",
            "f.yaml:2:10: a list was expected here",
        ),
        (
            "version: 1\ncolumns: [a, {b: c}]\n",
            "f.yaml:2:14: a text was expected here",
        ),
        (
            "version: 1\ncolumns: [a, null]\n",
            "f.yaml:2:14: a text was expected here, not nothing; write it in quotes if the word itself is meant",
        ),
        (
            "version: 1\nflag: yes\n",
            "f.yaml:2:7: true or false was expected here",
        ),
        ("", "f.yaml:1:1: the text ends too early"),
        (
            "- a\n",
            "f.yaml:1:1: a mapping (key: value) was expected here",
        ),
        (
            "version: 1\n---\nversion: 2\n",
            "f.yaml:2:1: a second document begins here; put it into a file of its own",
        ),
        (
            "version: 1\ncolumns:\n\t- a\n",
            "f.yaml:3:2: this is not YAML: tabs disallowed within this context (block indentation); indent by \
             spaces: YAML allows no tabs there",
        ),
        (
            "version: 1\ncolumns: [a\n",
            "f.yaml:2:10: this is not YAML: unclosed bracket '['",
        ),
        (
            "version: 1\ncolumns: *x\n",
            "f.yaml:2:10: this alias has no anchor before it",
        ),
        (
            "version: 1\ncolumns: !foo [a]\n",
            "f.yaml:2:15: the tag !foo is not known here; take it out",
        ),
    ] {
        assert_eq!(said(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn words_that_other_readers_take_for_booleans_stay_texts() {
    let doc: Doc = read(
        "f",
        b"version: 1\ncolumns: [yes, no, on, 1.0, 0x1F, true]\n",
    )
    .unwrap();
    assert_eq!(doc.columns, ["yes", "no", "on", "1.0", "0x1F", "true"]);
}

#[test]
fn a_value_at_an_alias_has_the_place_of_the_alias() {
    let doc: Doc = read("f", b"version: 1\nentries: [&e {description: x},\n  *e]\n").unwrap();
    assert_eq!(doc.entries[1].place, Place { line: 3, column: 3 });
    assert_eq!(doc.entries[1].description.value, "x");
}

#[test]
fn a_secret_in_a_wrong_place_is_not_repeated() {
    for text in [
        "version: hunter2",
        "version: [hunter2]",
        "version: 1\nflag: hunter2",
        "version: 1\ncolumns: hunter2",
        "version: 1\nentries: [hunter2]",
        "version: 1\nentries: [{description: [hunter2]}]",
        "hunter2",
        "version: 1\npassword: hunter2",
        "version: 1\npassword: \"hunter2",
        "version: 1\npassword: {hunter2",
        "version: 1\n\thunter2",
        "version: 1\nflag: !!int hunter2",
    ] {
        let said = said(text.as_bytes());
        assert!(!said.contains("hunter2"), "{text:?} gave {said}");
    }
}

#[test]
fn what_is_not_utf_8_has_a_place() {
    assert_eq!(
        said(
            "version: 1\ncolumns: [ä"
                .as_bytes()
                .iter()
                .chain(b"\xff]")
                .copied()
                .collect::<Vec<_>>()
                .as_slice()
        ),
        "f.yaml:2:12: this is not UTF-8 text; save the file as UTF-8"
    );
    assert!(said(b"v\0e\0r\0").starts_with("f.yaml:1:2: this is not YAML"));
    assert!(
        read::<Doc>("f", b"\xef\xbb\xbfversion: 1\n").is_ok(),
        "a byte order mark"
    );
}

/// Every bomb ends in a problem, and soon: these bounds are wide for an unoptimised build on a busy machine.
#[test]
fn bombs_end_soon_in_a_problem() {
    let deep = "[".repeat(200_000);
    let block: String = (0..5_000)
        .map(|n| format!("{}- \n", " ".repeat(n)))
        .collect();
    let mapping = "{a: ".repeat(100_000);
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..30 {
        let list = vec![format!("*a{}", n - 1); 9].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    let columns = format!(
        "version: 1\ncolumns: &a [{}]\nentries: [*a]\n",
        "x, ".repeat(100_000)
    );
    let mut typed = String::from("version: 1\nentries:\n  - &e {description: x}\n");
    typed.push_str(&"  - *e\n".repeat(MOST_ALIASES + 1));
    let merges = format!(
        "version: 1\nentries:\n  - &e {{description: x}}\n{}",
        "  - <<: *e\n".repeat(MOST_MERGES + 1)
    );
    let huge = vec![b'#'; 100 * 1024 * 1024];
    let nodes = format!("version: 1\ncolumns: [{}]", "a,".repeat(MOST_NODES + 1));
    let key = format!("{}: 1", "k".repeat(1_000_000));
    let quote = format!("version: \"{}", "x".repeat(5_000_000));
    for (name, text) in [
        ("brackets", deep.as_bytes()),
        ("block lists", block.as_bytes()),
        ("mappings", mapping.as_bytes()),
        ("laughs", laughs.as_bytes()),
        ("an alias of another type", columns.as_bytes()),
        ("many aliases", typed.as_bytes()),
        ("many merges", merges.as_bytes()),
        ("100 MB", huge.as_slice()),
        ("nodes", nodes.as_bytes()),
        ("a long key", key.as_bytes()),
        ("an open quote", quote.as_bytes()),
    ] {
        let start = Instant::now();
        let said = said(text);
        let took = start.elapsed();
        println!("{name}: {took:?}: {said}");
        assert!(said.len() < 400, "{name}: {said}");
        assert!(took < Duration::from_secs(60), "{name} took {took:?}");
    }
}

#[test]
fn near_names_are_found() {
    let known = ["email", "phone", "name"];
    assert_eq!(nearest("emial", known), Some("email"));
    assert_eq!(nearest("EMAIL", known), Some("email"));
    assert_eq!(nearest("pho", known), Some("phone"));
    assert_eq!(nearest("zzz", known), None);
    assert_eq!(nearest("", known), None);
}
