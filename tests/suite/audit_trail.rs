//! The audit file as evidence: torn, rotated, emptied, and edited by hand; checked with and without a ledger.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::audit_first::every_line_once;
use crate::support::jit::{Output, run};
use crate::support::on_postgres;
use crate::support::people::{alice, bob, cron};
use crate::support::process::must;
use crate::support::server::Server;
use crate::support::shop::Shop;

on_postgres!(
    an_edited_dropped_reordered_or_cut_line_is_found_and_named,
    a_trail_is_checked_packed_from_standard_input_and_against_heads,
    search_finds_by_every_filter,
    a_torn_tail_is_mended_and_a_cut_line_written_again_loudly,
    a_file_renamed_while_sweeping_loses_and_doubles_nothing,
    an_emptied_file_goes_on_with_the_next_line,
);

/// A shop with a trail of some requests.
fn with_trail(server: &Server) -> (Shop<'_>, String, String) {
    let shop = Shop::on(server);
    let first = shop.lease(&alice(), "email", "1h");
    let second = shop.lease(&bob(), "phone", "1h");
    shop.jit(&alice(), &["return", &first]).ok();
    shop.sweep().ok();
    (shop, first, second)
}

/// Checks files as somebody without settings, ledger or any right.
fn verify(shop: &Shop<'_>, files: &[&str], input: &[u8]) -> Output {
    let mut arguments = vec!["audit", "verify"];
    arguments.extend(files);
    let mut command: Command = shop.jit.command(&bob(), &arguments);
    command.env("JIT_CONFIG", "/nonexistent/config.yaml");
    run(&mut command, &String::from_utf8_lossy(input))
}

/// A file of this content that everybody may read.
fn file(shop: &Shop<'_>, name: &str, lines: &[String]) -> PathBuf {
    let path = shop.jit.path(name);
    fs::write(&path, lines.concat()).expect("root may");
    path
}

fn lines(shop: &Shop<'_>) -> Vec<String> {
    fs::read_to_string(shop.jit.audit())
        .expect("the audit file")
        .split_inclusive('\n')
        .map(str::to_owned)
        .collect()
}

fn an_edited_dropped_reordered_or_cut_line_is_found_and_named(server: &Server) {
    let (shop, ..) = with_trail(server);
    let right = lines(&shop);
    let path = file(&shop, "sound.jsonl", &right);
    verify(&shop, &[&path.display().to_string()], b"")
        .ok()
        .says("sound");
    let middle = right.len() / 2;
    let mut spoilt: Vec<(&str, usize, Vec<String>)> = Vec::new();
    for at in [0, middle, right.len() - 1] {
        let mut edited = right.clone();
        edited[at] = edited[at].replacen("\"event\":\"", "\"event\":\"x", 1);
        spoilt.push(("edited", at + 1, edited));
        let mut forged = right.clone();
        forged[at] = forged[at].replacen("\"host\":\"", "\"host\":\"evil-", 1);
        spoilt.push(("host", at + 1, forged));
    }
    // By somebody who can count: its own hash is right, and the next line's `prev` is not.
    let mut resealed = right.clone();
    let text = resealed[middle].replacen("\"host\":\"", "\"host\":\"evil-", 1);
    let (body, _) = text.rsplit_once(",\"hash\"").expect("a hash");
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(body.as_bytes()));
    resealed[middle] = format!("{body},\"hash\":\"{hash}\"}}\n");
    spoilt.push(("resealed", middle + 2, resealed));
    let mut dropped = right.clone();
    dropped.remove(middle);
    spoilt.push(("dropped", middle + 1, dropped));
    let mut swapped = right.clone();
    swapped.swap(middle, middle + 1);
    spoilt.push(("swapped", middle + 2, swapped));
    let mut doubled = right.clone();
    doubled.insert(middle, right[middle].clone());
    spoilt.push(("doubled", middle + 2, doubled));
    let mut added = right.clone();
    added.push("{\"v\":1,\"seq\":999}\n".to_owned());
    spoilt.push(("added", right.len() + 1, added));
    for (what, line, content) in spoilt {
        let path = file(&shop, "spoilt.jsonl", &content);
        let shown = path.display().to_string();
        let output = verify(&shop, &[&shown], b"");
        assert_eq!(output.code, 7, "{what}: {output}");
        let named = format!("{shown}:{line}");
        let worded = format!("line {line}");
        assert!(
            output.out.contains(&named) || output.out.contains(&worded),
            "{what} must name line {line}: {output}"
        );
        // As the settings' own file, with the ledger, too.
        fs::write(shop.jit.audit(), content.concat()).expect("root may");
        shop.jit(&cron(), &["audit", "verify"]).exit(7);
        shop.jit(&cron(), &["doctor"])
            .exit(1)
            .says("FAIL audit chain");
    }
    // The last line cut off: only a ledger or a head kept elsewhere knows.
    let cut = &right[..right.len() - 1];
    fs::write(shop.jit.audit(), cut.concat()).expect("root may");
    shop.jit(&cron(), &["audit", "verify"]).exit(7);
    fs::write(shop.jit.audit(), right.concat()).expect("root may");
    every_line_once(&shop);
}

fn a_trail_is_checked_packed_from_standard_input_and_against_heads(server: &Server) {
    let (shop, ..) = with_trail(server);
    let right = lines(&shop);
    let head = shop
        .jit(&cron(), &["audit", "head"])
        .ok()
        .out
        .trim()
        .to_owned();
    verify(&shop, &["-"], right.concat().as_bytes()).ok();
    verify(&shop, &["-", "--head", &head], right.concat().as_bytes()).ok();
    let cut = right[..right.len() - 1].concat();
    verify(&shop, &["-"], cut.as_bytes()).ok();
    verify(&shop, &["-", "--head", &head], cut.as_bytes()).exit(7);
    verify(&shop, &["-", "--head", "rubbish"], cut.as_bytes()).exit(2);
    // Rotated, packed, and the rest: one chain over several files.
    let (old, new) = right.split_at(right.len() / 2);
    let packed = file(&shop, "audit.jsonl.1", old);
    must(Command::new("gzip").arg("-f").arg(&packed));
    let packed = format!("{}.gz", packed.display());
    let rest = file(&shop, "audit.jsonl.2", new).display().to_string();
    verify(&shop, &[&packed, &rest, "--head", &head], b"").ok();
    verify(&shop, &[&rest, &packed], b"").exit(7);
    verify(&shop, &[&packed, "--head", &head], b"").exit(7);
    verify(&shop, &["/nonexistent/audit.jsonl"], b"").exit(7);
    // Without settings and without a file there is nothing to check.
    verify(&shop, &[], b"").exit(8);
}

fn search_finds_by_every_filter(server: &Server) {
    let (shop, first, second) = with_trail(server);
    let all = lines(&shop).len();
    let count = |filters: &[&str]| {
        let mut arguments = vec!["audit", "search"];
        arguments.extend(filters);
        let found = shop.jit(&cron(), &arguments).ok().out;
        for line in found.lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            assert!(event["seq"].is_u64());
        }
        found.lines().count()
    };
    let of_first = [
        "requested",
        "approved",
        "granting",
        "granted",
        "returned",
        "revoked",
    ]
    .len();
    assert_eq!(count(&[]), all);
    assert_eq!(count(&["--request", &first]), of_first);
    assert_eq!(count(&["--request", &first[..6]]), of_first);
    assert_eq!(count(&["--request", &second]), 4);
    assert_eq!(count(&["--requester", "jitbob"]), 4);
    assert_eq!(count(&["--user", "jitalice"]), of_first);
    assert_eq!(count(&["--grantee", &shop.login("jitbob")]), 4);
    assert_eq!(count(&["--target", "shop"]), of_first + 4);
    assert_eq!(count(&["--target", "nowhere"]), 0);
    assert_eq!(count(&["--event", "granted", "--event", "revoked"]), 3);
    assert_eq!(count(&["--column", "public.customers:phone"]), 4);
    assert_eq!(
        count(&["--column", "customers:email", "--event", "granting"]),
        1
    );
    assert_eq!(count(&["--since", "1h"]), all);
    assert_eq!(count(&["--until", "1h"]), 0);
    shop.jit(&cron(), &["audit", "search", "--since", "rubbish"])
        .exit(2);
}

fn a_torn_tail_is_mended_and_a_cut_line_written_again_loudly(server: &Server) {
    // Torn by a crash: the lines were going out, and the mark did not move.
    for keep in [0.1_f64, 0.5, 0.99] {
        let shop = Shop::on(server);
        let before = fs::metadata(shop.jit.audit()).expect("it").len();
        let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
        let killed = run(&mut shop.sweep_at("journal-written=kill"), "");
        assert_eq!(killed.code, 137, "{killed}");
        let after = fs::metadata(shop.jit.audit()).expect("it").len();
        assert!(after > before);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let torn = before + ((after - before) as f64 * keep) as u64;
        let open = fs::OpenOptions::new()
            .write(true)
            .open(shop.jit.audit())
            .expect("it");
        open.set_len(torn).expect("root may");
        shop.sweep().ok();
        assert_eq!(shop.state(&id), "active");
        every_line_once(&shop);
    }
    // Cut by somebody: it had been there. Written again, and said.
    let (shop, ..) = with_trail(server);
    let right = lines(&shop);
    let open = fs::OpenOptions::new()
        .write(true)
        .open(shop.jit.audit())
        .expect("it");
    let whole = open.metadata().expect("it").len();
    open.set_len(whole - right[right.len() - 1].len() as u64 / 2)
        .expect("root may");
    shop.jit(&cron(), &["audit", "verify"]).exit(7);
    let id = shop.ask(&alice(), "phone", "1h", &["--purpose", "support"]);
    shop.sweep().exit(7).says("cut off");
    shop.sweep();
    shop.sweep().ok();
    assert!(["active", "failed"].contains(&shop.state(&id).as_str()));
    every_line_once(&shop);
}

fn a_file_renamed_while_sweeping_loses_and_doubles_nothing(server: &Server) {
    let shop = Shop::on(server);
    let stop = Arc::new(AtomicBool::new(false));
    let rotating = {
        let (stop, audit) = (stop.clone(), shop.jit.audit());
        std::thread::spawn(move || {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let to = audit.with_file_name(format!("audit.jsonl.{count:04}"));
                if fs::metadata(&audit).is_ok_and(|file| file.len() > 0)
                    && fs::rename(&audit, to).is_ok()
                {
                    count += 1;
                }
                std::thread::sleep(Duration::from_millis(37));
            }
            count
        })
    };
    for _ in 0..8 {
        let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
        shop.sweep().ok();
        shop.jit(&alice(), &["return", &id]).ok();
        shop.sweep().ok();
    }
    stop.store(true, Ordering::Relaxed);
    let count = rotating.join().expect("the rotation");
    assert!(count > 5, "{count} rotations");
    let mut files: Vec<PathBuf> = (0..count)
        .map(|n| {
            shop.jit
                .audit()
                .with_file_name(format!("audit.jsonl.{n:04}"))
        })
        .collect();
    if shop.jit.audit().exists() {
        files.push(shop.jit.audit());
    }
    let mut numbers = Vec::new();
    for file in &files {
        for line in fs::read_to_string(file).expect("it").lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("a whole line");
            numbers.push(event["seq"].as_u64().expect("a number"));
        }
    }
    let wanted: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, wanted);
    let mut arguments = vec!["audit".to_owned(), "verify".to_owned()];
    arguments.extend(files.iter().map(|file| file.display().to_string()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    shop.jit(&cron(), &arguments).ok();
}

fn an_emptied_file_goes_on_with_the_next_line(server: &Server) {
    let (shop, _, second) = with_trail(server);
    let before = lines(&shop).len() as u64;
    fs::write(shop.jit.audit(), "").expect("root may");
    shop.jit(&bob(), &["return", &second]).ok();
    shop.sweep().ok();
    let numbers: Vec<u64> = shop
        .jit
        .events()
        .iter()
        .map(|event| event["seq"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, [before + 1, before + 2]);
    shop.audit_is_sound();
}
