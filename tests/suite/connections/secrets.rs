//! No password shows: not in what a command says, not in a file that it writes, not in the list of processes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::on_every_server;
use crate::support::people::{Person, alice, carol, cron};
use crate::support::server::{SUPERUSER_PASSWORD, Server};
use crate::support::shop::{PASSWORD, Shop};

on_every_server!(no_password_is_ever_shown_or_stored);

const WRONG: &str = "sesame-that-is-wrong";

/// Every file below a folder whose bytes hold one of these.
fn holding(folder: &Path, secrets: &[&str], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            holding(&path, secrets, found);
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        for secret in secrets {
            if bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
            {
                found.push(format!("{secret} in {}", path.display()));
            }
        }
    }
}

/// Reads all command lines until it is told to stop.
fn watch(
    secrets: &'static [&'static str],
) -> (
    Arc<AtomicBool>,
    std::thread::JoinHandle<(usize, Vec<String>)>,
) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let watching = std::thread::spawn(move || {
        let (mut ours, mut found) = (0, Vec::new());
        while !told.load(Ordering::Relaxed) {
            for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
                    continue;
                };
                let text = String::from_utf8_lossy(&line);
                ours += usize::from(text.contains("-bin/jit"));
                if secrets.iter().any(|secret| text.contains(secret)) {
                    found.push(text.into_owned());
                }
            }
        }
        (ours, found)
    });
    (stop, watching)
}

fn no_password_is_ever_shown_or_stored(server: &Server) {
    const SECRETS: &[&str] = &[PASSWORD, SUPERUSER_PASSWORD, WRONG];
    // Other laws' helpers may have these on their own command lines: this one has a password of its own, too.
    const OURS: &[&str] = &[PASSWORD, WRONG];
    let (stop, watching) = watch(OURS);
    let shop = Shop::on(server);
    let mut said = Vec::new();
    let mut step = |person: &Person, arguments: &[&str]| {
        let output = shop.jit(person, arguments);
        said.push(format!("{output}"));
        output
    };
    let columns = format!("{}:email", shop.table("customers"));
    let asked = step(
        &alice(),
        &[
            "-v",
            "request",
            "shop",
            &columns,
            "--for",
            "1h",
            "--reason",
            "a test",
            "--purpose",
            "support",
        ],
    )
    .ok();
    let id = asked.out.lines().next().expect("an id").to_owned();
    step(&cron(), &["-v", "sweep"]).ok();
    assert!(shop.reads("jitalice", "email"), "it was really done");
    for arguments in [
        &["-v", "doctor"][..],
        &["-v", "doctor", "-o", "json"],
        &["settings", "--origin"],
        &["-v", "setup", "shop"],
        &["-v", "show", &id],
        &["-v", "list", "--all", "-o", "json"],
        &["audit", "verify"],
    ] {
        step(&cron(), arguments);
    }
    step(
        &carol(),
        &["-v", "revoke", &id, "--reason", "over", "--yes"],
    )
    .ok();
    assert!(!shop.reads("jitalice", "email"), "and taken back");

    // A password that the server refuses is not repeated either, nor one in a file that is refused.
    let file = shop.jit.path("secrets/shop");
    std::fs::write(&file, WRONG).expect("own file");
    step(&cron(), &["-v", "doctor"]).exit(1);
    step(&cron(), &["-v", "sweep"]).exit(5);
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("own file");
    step(&cron(), &["-v", "sweep"]).exit(5).says("chmod 600");
    std::fs::remove_file(&file).expect("own file");

    stop.store(true, Ordering::Relaxed);
    let (seen, mut found) = watching.join().expect("the watch");
    assert!(seen > 0, "the watch saw no command of jit at all");
    for text in &said {
        for secret in SECRETS {
            if text.contains(secret) {
                found.push(format!("{secret} in {text}"));
            }
        }
    }
    for folder in ["var", "etc"] {
        holding(&shop.jit.path(folder), SECRETS, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}
