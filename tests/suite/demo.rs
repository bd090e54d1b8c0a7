//! `make demo`, played to its end on servers of its own: the first thing that anybody tries.

use std::path::Path;
use std::process::Command;

use crate::support::jit::run;

/// Postgres and MariaDB, as whoever runs the tests: with several Unix users where that is root.
#[test]
fn the_demo_is_refused_works_is_refused_again_and_is_verified() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = format!("demo-of-tests-{}", std::process::id());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("target/tmp lies in target");
    let output = run(
        Command::new(root.join("demo/run"))
            .env("CARGO_TARGET_DIR", target)
            .env("JIT_DEMO_PROGRAM", env!("CARGO_BIN_EXE_jit"))
            .env("JIT_DEMO_FOLDER", &folder)
            .env("DB", "mariadb")
            .env("NO_COLOR", "1")
            .env_remove("KEEP"),
        "",
    )
    .ok();
    let mut rest = output.out.as_str();
    for step in [
        "psql -X shop -c 'SELECT id, email FROM customers LIMIT 3'\nERROR:  permission denied",
        "jit request shop customers:email",
        "psql -X shop -c 'SELECT id, email FROM customers LIMIT 3'\n id |          email",
        "maren.oduya@example.com",
        "revoked 1",
        "psql -X shop -c 'SELECT id, email FROM customers LIMIT 3'\nERROR:  permission denied",
        "SELECT id, address FROM invoices LIMIT 2'\nERROR 1143",
        "SELECT id, address FROM invoices LIMIT 2'\nid\taddress",
        "SELECT id, address FROM invoices LIMIT 2'\nERROR 1143",
        "jit audit verify\nsound: ",
        "== Done: refused, granted, taken back and on record, on Postgres and MariaDB.",
    ] {
        let at = rest
            .find(step)
            .unwrap_or_else(|| panic!("{step:?} does not follow in {output}"));
        rest = &rest[at + step.len()..];
    }
    let servers = target
        .join("servers")
        .canonicalize()
        .expect("the setup made it");
    let place = servers.parent().expect("a parent").join(&folder);
    assert!(!place.exists(), "{} is left behind", place.display());
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!line.contains(&folder), "still running: {line}");
    }
}
