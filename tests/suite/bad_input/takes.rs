//! What takes bytes from outside, and what must be true of each answer. One function a kind of input: the tests call
//! them with inputs of their own and with the kept ones, `cargo fuzz` with whatever it finds. Each tells whether it is
//! taken.

use std::path::PathBuf;

use jit::access::syntax;
use jit::audit::chain::Link;
use jit::audit::verify::Verifier;
use jit::policy::glob::{Case, Glob};
use jit::policy::overlap::common_name;
use jit::policy::{Book, SourceFile};
use jit::settings::{self, Places};
use jit::workflow::submission::Submission;

pub fn policies(bytes: &[u8]) -> bool {
    let file = SourceFile {
        name: "bad.yaml".into(),
        text: bytes.to_vec(),
    };
    let loaded = Book::load(&[file]);
    if let Err(problems) = &loaded {
        assert!(!problems.is_empty(), "an error says what is wrong");
    }
    loaded.is_ok()
}

pub fn settings(bytes: &[u8]) -> bool {
    let folder = std::env::temp_dir().join(format!("jit-bad-input-{}", std::process::id()));
    // The template names it.
    std::fs::create_dir_all(folder.join("policies")).expect("a folder");
    let path = folder.join("config.yaml");
    std::fs::write(&path, bytes).expect("our own folder");
    let nowhere = PathBuf::from("/nowhere");
    let places = Places {
        flag: Some(path),
        env: None,
        user_config: None,
        user_state: None,
        etc: nowhere.clone(),
        var_lib: nowhere.clone(),
        var_log: nowhere,
    };
    let loaded = settings::load(&places);
    let _ = std::fs::remove_dir_all(&folder);
    if let Err(error) = &loaded {
        assert!(!error.to_string().is_empty(), "an error says what is wrong");
    }
    loaded.is_ok()
}

pub fn columns(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let typed = syntax::parse_typed_table(&text).is_ok();
    if let Ok(table) = syntax::parse_table(&text) {
        let again = syntax::parse_table(&table.to_string()).expect("what is shown can be typed");
        assert_eq!(again, table);
    }
    typed || syntax::parse_columns(&text).is_ok()
}

/// Two globs, one a line: where some name fits both, the one that is told does.
pub fn globs(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((a, b)) = text.split_once('\n') else {
        return false;
    };
    let (Ok(a), Ok(b)) = (Glob::parse(a), Glob::parse(b)) else {
        return false;
    };
    for case in [Case::Exact, Case::Ignored] {
        let common = common_name(&a, &b, case, "x");
        assert_eq!(
            common.is_some(),
            common_name(&b, &a, case, "x").is_some(),
            "either way round"
        );
        if let Some(name) = common {
            assert!(a.matches(&name, case) && b.matches(&name, case), "{name:?}");
        }
    }
    true
}

pub fn submissions(bytes: &[u8]) -> bool {
    let Ok(submission) = Submission::read(bytes) else {
        return false;
    };
    let again = Submission::read(&submission.bytes()).expect("what was read can be written");
    assert_eq!(again, submission);
    true
}

pub fn audit_lines(bytes: &[u8]) -> bool {
    let lines: Vec<&[u8]> = bytes
        .strip_suffix(b"\n")
        .unwrap_or(bytes)
        .split(|byte| *byte == b'\n')
        .collect();
    let mut verifier = Verifier::anywhere();
    verifier.file("bad.jsonl");
    for line in &lines {
        verifier.line(line);
    }
    // Nobody finds a hash by chance: what is sound is so line by line, and each follows from the one before.
    let sound = verifier.end().is_sound();
    if sound {
        let links: Vec<Link<'_>> = lines
            .iter()
            .map(|line| Link::of(line).expect("sound, and no line of ours"))
            .collect();
        assert!(links.iter().all(Link::is_intact), "sound, and edited");
        for pair in links.windows(2) {
            assert!(pair[1].prev == pair[0].hash, "sound, and unlinked");
        }
    }
    sound
}
