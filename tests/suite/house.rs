//! The rules of the house, held on the source itself. Each rule is a function from sources to offences, so that the
//! last test can show that it finds what it forbids.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::rust::{Source, macros};

/// No file of `src` is longer than this before its tests.
const LONGEST: usize = 500;

/// What each room may know besides itself and crates. Rooms are the first part of a path, and `audit`'s pure two.
/// `src/lib.rs` tells the same in words.
#[rustfmt::skip]
const ROOMS: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("failpoint", &[]),
    ("yaml", &[]),
    ("policy", &["access", "yaml"]),
    ("audit::event", &["access", "audit::chain"]),
    ("audit::chain", &["access", "audit::event"]),
    ("audit", &["access", "audit::event", "audit::chain", "failpoint"]),
    ("engines", &["access", "failpoint"]),
    ("stores", &["access", "audit::event", "audit::chain", "identity", "failpoint"]),
    ("identity", &["access"]),
    ("workflow", &[
        "access", "policy", "audit", "audit::event", "audit::chain", "engines", "stores", "identity", "failure",
        "failpoint",
    ]),
    ("failure", &[
        "access", "policy", "audit", "engines", "stores", "workflow", "settings", "identity", "yaml",
    ]),
    ("settings", &["access", "policy", "yaml", "engines", "stores", "identity"]),
    ("ui", &["access"]),
    ("commands", &[
        "access", "yaml", "policy", "audit", "audit::event", "audit::chain", "engines", "stores", "identity",
        "workflow", "failure", "settings", "ui", "cli",
    ]),
    ("cli", &["access", "commands", "ui"]),
    ("main", &["cli", "commands", "failure", "ui"]),
    ("lib", &[]),
];

/// Rooms without a clock, a file or a socket.
const PURE: &[&str] = &["access", "yaml", "policy", "audit::event", "audit::chain"];

/// What a pure room may not name: the beginning of a path, spelled out.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::SystemTime",
    "std::time::Instant",
    "chrono::Local",
    "Local",
    "Utc::now",
    "chrono::Utc::now",
    "SystemTime",
    "Instant::now",
    "fs",
    "tokio",
    "rusqlite",
    "tokio_postgres",
    "mysql_async",
    "rustls",
    "rustix",
    "uzers",
    "getrandom",
];

fn read(folder: &Path, ending: &str, found: &mut Vec<(String, String)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            let shown = path
                .strip_prefix(root)
                .expect("inside")
                .to_string_lossy()
                .into_owned();
            found.push((shown, std::fs::read_to_string(&path).expect("text")));
        }
    }
    found.sort();
}

fn texts(ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        ending,
        &mut found,
    );
    assert!(!found.is_empty() || ending != ".rs", "no source was found");
    found
}

fn sources() -> Vec<Source> {
    without_test_files(
        texts(".rs")
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect(),
    )
}

/// Whole files of tests are known by their parents, which declare them under `#[cfg(test)]`.
fn without_test_files(sources: Vec<Source>) -> Vec<Source> {
    let tests: BTreeSet<Vec<String>> = sources
        .iter()
        .flat_map(|source| {
            source.test_files.iter().map(|name| {
                let mut module = source.module();
                module.push(name.clone());
                module
            })
        })
        .collect();
    sources
        .into_iter()
        .map(|source| {
            let module = source.module();
            let is_test = (1..=module.len()).any(|depth| tests.contains(&module[..depth]));
            if is_test { source.into_tests() } else { source }
        })
        .collect()
}

/// The room that a path of modules lies in.
fn room(parts: &[String]) -> String {
    match parts {
        [first, second, ..] if first == "audit" && (second == "event" || second == "chain") => {
            format!("{first}::{second}")
        }
        [first, ..] => first.clone(),
        [] => "lib".to_owned(),
    }
}

fn wrong_imports(sources: &[Source]) -> Vec<String> {
    let rules: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources {
        let mine = room(&source.module());
        let Some(known) = rules.get(mine.as_str()) else {
            wrong.push(format!(
                "{}: the room {mine} has no rule; give it one here and in src/lib.rs",
                source.path
            ));
            continue;
        };
        for (line, path) in source.paths() {
            if path[0] != "crate" || path.len() < 2 {
                continue;
            }
            let theirs = room(&path[1..]);
            // what the root re-exports is no room
            let is_room = rules.contains_key(theirs.as_str());
            if is_room && theirs != mine && !known.contains(&theirs.as_str()) {
                wrong.push(format!(
                    "{}:{line}: {mine} may not know {theirs} ({})",
                    source.path,
                    path.join("::")
                ));
            }
        }
    }
    wrong
}

fn impurities(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources
        .iter()
        .filter(|source| PURE.contains(&room(&source.module()).as_str()))
    {
        for (line, path) in source.paths() {
            let path = path.join("::");
            if IMPURE
                .iter()
                .any(|bad| path == *bad || path.starts_with(&format!("{bad}::")))
            {
                wrong.push(format!("{}:{line}: a pure room names {path}", source.path));
            }
        }
        for (line, name) in source.macros() {
            if ["print", "println", "eprint", "eprintln"].contains(&name.as_str()) {
                wrong.push(format!("{}:{line}: a pure room prints", source.path));
            }
        }
    }
    wrong
}

fn too_long(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.lines > LONGEST)
        .map(|source| {
            format!(
                "{}: {} lines before its tests, of {LONGEST}",
                source.path, source.lines
            )
        })
        .collect()
}

fn unfinished(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        for (line, name) in source.macros().into_iter().chain(macros(&source.tests)) {
            if ["todo", "unimplemented", "dbg"].contains(&name.as_str()) {
                wrong.push(format!("{}:{line}: {name}!", source.path));
            }
        }
        for (line, name) in source.macros() {
            if name == "panic" {
                wrong.push(format!("{}:{line}: panic! outside tests", source.path));
            }
        }
        for (number, line) in source.code.lines().enumerate() {
            if line.contains(".unwrap()") {
                wrong.push(format!(
                    "{}:{}: unwrap outside tests",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    wrong
}

/// Whether a literal is a statement that belongs in an .sql file.
fn is_static_sql(literal: &str) -> bool {
    let words: Vec<String> = literal
        .split_whitespace()
        .map(str::to_ascii_uppercase)
        .collect();
    let has = |word: &str| words.iter().any(|one| one == word);
    match words.first().map(String::as_str) {
        Some("SELECT" | "DELETE") => has("FROM"),
        Some("WITH") => has("SELECT"),
        Some("INSERT" | "REPLACE") => has("INTO"),
        Some("UPDATE") => has("SET"),
        Some("CREATE") => has("TABLE") || has("INDEX"),
        _ => false,
    }
}

/// Whether a literal is a statement about columns that a request leases.
fn is_privilege_sql(literal: &str) -> bool {
    let words = literal.trim_start();
    (words.starts_with("GRANT ") || words.starts_with("REVOKE ")) && words.contains("SELECT (")
}

/// SQL in Rust: static statements belong in .sql files; GRANT and REVOKE of columns are rendered in one file an engine.
/// Not counted is `setup.rs`, which renders the rights of jit's own account.
fn misplaced_sql(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut renderers: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        let module = source.module();
        if !["engines", "stores"].contains(&room(&module).as_str()) {
            continue;
        }
        for (line, literal) in &source.literals {
            if is_static_sql(literal) && !literal.contains('{') {
                wrong.push(format!(
                    "{}:{line}: this belongs in an .sql file: {literal}",
                    source.path
                ));
            }
            if is_privilege_sql(literal) && !source.path.ends_with("/setup.rs") {
                let engine = module.iter().take(2).cloned().collect::<Vec<_>>().join("/");
                renderers.entry(engine).or_default().insert(&source.path);
            }
        }
    }
    for (engine, files) in renderers.into_iter().filter(|(_, files)| files.len() > 1) {
        wrong.push(format!(
            "{engine} renders GRANT or REVOKE in more than one file: {files:?}"
        ));
    }
    wrong
}

/// Files of SQL that no code reads.
fn unread_sql(sources: &[Source], files: &[String]) -> Vec<String> {
    files
        .iter()
        .filter(|file| {
            let name = file.rsplit('/').next().unwrap_or(file);
            // by its path, or by its stem where a macro makes the path
            let stem = name.trim_end_matches(".sql");
            let path = format!("sql/{name}");
            let room = file.rsplit_once("/sql/").map_or("", |(room, _)| room);
            !sources.iter().any(|source| {
                source.path.starts_with(room)
                    && source
                        .literals
                        .iter()
                        .any(|(_, text)| text.ends_with(&path) || text == stem)
            })
        })
        .map(|file| format!("{file}: nothing includes it"))
        .collect()
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn imports_run_one_way() {
    none(&wrong_imports(&sources()));
}

#[test]
fn pure_rooms_have_no_clock_no_file_and_no_socket() {
    none(&impurities(&sources()));
}

#[test]
fn no_file_is_longer_than_500_lines_before_its_tests() {
    none(&too_long(&sources()));
}

#[test]
fn nothing_is_left_unfinished() {
    none(&unfinished(&sources()));
}

#[test]
fn static_sql_lies_in_sql_files_and_privileges_are_rendered_in_one_file_an_engine() {
    none(&misplaced_sql(&sources()));
}

#[test]
fn every_sql_file_is_read_by_its_room() {
    let files: Vec<String> = texts(".sql").into_iter().map(|(path, _)| path).collect();
    none(&unread_sql(&sources(), &files));
}

#[test]
fn the_library_forbids_unsafe_code() {
    let lib = &texts("src/lib.rs")[0].1;
    assert!(lib.contains("#![forbid(unsafe_code)]"));
}

/// What each rule finds in a source that breaks it, so that none of the tests above passes for want of sight.
#[test]
fn the_rules_find_what_they_forbid() {
    type Rule = fn(&[Source]) -> Vec<String>;
    let long = "fn f() {}\n".repeat(LONGEST + 1);
    let cases: &[(&str, Rule, &str, &str)] = &[
        (
            "a store that knows engines",
            wrong_imports,
            "src/stores/sqlite/mod.rs",
            "use crate::engines::Kind;",
        ),
        (
            "a tree of use",
            wrong_imports,
            "src/engines/mod.rs",
            "use crate::{access::At, stores::{Store, X as Y}};",
        ),
        (
            "a path in an expression",
            wrong_imports,
            "src/workflow/drain.rs",
            "fn f() { crate::ui::say() }",
        ),
        (
            "super that climbs out",
            wrong_imports,
            "src/engines/mysql/mod.rs",
            "use super::super::stores::Store;",
        ),
        (
            "an import on two lines",
            wrong_imports,
            "src/access/plan.rs",
            "use crate::\n    policy::Rule;",
        ),
        (
            "audit's journal in a store",
            wrong_imports,
            "src/stores/mod.rs",
            "use crate::audit::journal::Journal;",
        ),
        (
            "a room that nobody knows",
            wrong_imports,
            "src/attic.rs",
            "",
        ),
        (
            "main that skips commands",
            wrong_imports,
            "src/main.rs",
            "use jit::workflow::sweep;",
        ),
        (
            "a clock",
            impurities,
            "src/access/time.rs",
            "fn f() { chrono::Utc::now(); }",
        ),
        (
            "an imported clock",
            impurities,
            "src/access/time.rs",
            "use chrono::Utc; fn f() { Utc::now(); }",
        ),
        (
            "a file in a tree",
            impurities,
            "src/policy/mod.rs",
            "use std::{collections::BTreeMap, fs};",
        ),
        (
            "a print",
            impurities,
            "src/audit/event.rs",
            "fn f() { println!(\"\") }",
        ),
        ("a long file", too_long, "src/ui.rs", &long),
        ("a todo", unfinished, "src/ui.rs", "fn f() { todo!() }"),
        (
            "a dbg in tests",
            unfinished,
            "src/ui.rs",
            "#[cfg(test)]\nmod tests { fn f() { dbg!(1); } }",
        ),
        (
            "an unwrap",
            unfinished,
            "src/ui.rs",
            "fn f() { g().unwrap(); }",
        ),
        (
            "SQL in code",
            misplaced_sql,
            "src/stores/x.rs",
            "const A: &str = \"SELECT a\\n FROM t\";",
        ),
        (
            "SQL in a raw literal",
            misplaced_sql,
            "src/stores/x.rs",
            "const A: &str = r#\"\n insert into t\"#;",
        ),
    ];
    for (what, rule, path, text) in cases {
        assert!(
            !rule(&[Source::new(path, text)]).is_empty(),
            "not found: {what}"
        );
    }
    let grant = "fn f() -> String { format!(\"GRANT SELECT ({c}) ON {t}\") }";
    let two = [
        Source::new("src/engines/mysql/render.rs", grant),
        Source::new("src/engines/mysql/apply.rs", grant),
    ];
    assert_eq!(misplaced_sql(&two).len(), 1);
    assert!(misplaced_sql(&two[..1]).is_empty());
    assert_eq!(
        unread_sql(&two, &["src/engines/mysql/sql/a.sql".to_owned()]).len(),
        1
    );

    let parent = Source::new(
        "src/stores/sqlite/mod.rs",
        "#[cfg(test)]\nmod laws;\nfn f() { todo!() }",
    );
    assert_eq!(
        unfinished(std::slice::from_ref(&parent)).len(),
        1,
        "code after a module of tests is code"
    );
    let laws = || Source::new("src/stores/sqlite/laws.rs", "fn f() { g().unwrap(); }");
    assert!(unfinished(&without_test_files(vec![laws()])).len() == 1);
    assert!(unfinished(&without_test_files(vec![parent, laws()])).len() == 1);

    let innocent = "//! crate::ui is not known here.\n/* fn f() { todo!() } */\n\
        use super::names::Grantee;\nuse crate::access::At;\n\
        /// println!(\"SELECT a FROM t\")\npub(crate) fn f<'a>(x: &'a str) -> char { '\"' }\n\
        const S: &str = \"crate::stores::x todo!() \\\" .unwrap()\";\n\
        #[cfg(test)]\nmod tests { use crate::stores::X; fn f() { g().unwrap(); panic!() } }\n";
    let innocent = [Source::new("src/access/plan.rs", innocent)];
    let rules: [Rule; 5] = [
        wrong_imports,
        impurities,
        too_long,
        unfinished,
        misplaced_sql,
    ];
    for rule in rules {
        none(&rule(&innocent));
    }
}
