//! What the commands say: to people at eighty columns, to programs in JSON, to a closed pipe, and when they cannot.

use std::process::{Command, Stdio};

use crate::support::jit::{Install, program, run};
use crate::support::on_postgres;
use crate::support::people::{alice, bob, carol, cron, dave, mallory, root};
use crate::support::server::Server;
use crate::support::shop::Shop;

/// Every command there is, by its own help.
fn commands() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut todo = vec![Vec::new()];
    while let Some(path) = todo.pop() {
        let help = help(&path);
        let inner = help
            .lines()
            .skip_while(|line| *line != "Commands:")
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next());
        for name in inner {
            let mut deeper: Vec<String> = path.clone();
            deeper.push(name.to_owned());
            todo.push(deeper);
        }
        found.push(path);
    }
    found
}

fn help(path: &[String]) -> String {
    run(Command::new(program()).args(path).arg("--help"), "")
        .ok()
        .out
}

#[test]
fn every_help_fits_eighty_columns() {
    let all = commands();
    assert!(all.len() > 25, "{all:?}");
    for path in all {
        for line in help(&path).lines() {
            assert!(line.chars().count() <= 80, "jit {path:?} --help: {line}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let jit = Install::new();
    jit.init();
    for arguments in [
        vec!["--help"],
        vec!["completions", "bash"],
        vec!["policy", "schema"],
        vec!["schema", "request"],
        vec!["settings", "--origin"],
        vec!["audit", "search"],
        vec!["audit", "verify"],
        vec!["list", "-o", "json"],
        vec!["doctor"],
    ] {
        let mut child = jit
            .command(&root(), &arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("our own child");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert!(
            output.status.success(),
            "{arguments:?}: {}: {said}",
            output.status
        );
    }
}

#[test]
fn without_settings_every_command_says_what_to_do() {
    let jit = Install::new();
    for arguments in [
        &["list"][..],
        &[],
        &["doctor"],
        &["sweep"],
        &["request", "a.b:c", "--for", "1h", "--reason", "r"],
        &["audit", "verify"],
        &["policy", "check"],
    ] {
        let mut command = jit.command(&alice(), arguments);
        command.env_remove("JIT_CONFIG");
        // a machine of somebody who uses jit may have /etc/jit
        if !std::path::Path::new("/etc/jit/config.yaml").exists() {
            run(&mut command, "").exit(8).says("make some: jit init");
        }
        let mut command = jit.command(&alice(), arguments);
        command.env("JIT_CONFIG", "/nowhere/config.yaml");
        run(&mut command, "").exit(8).says("/nowhere/config.yaml");
    }
}

#[test]
fn what_init_writes_is_without_error() {
    let jit = Install::new();
    let folder = jit.path("fresh").display().to_string();
    let mut init = jit.command(&root(), &["init", "--dir", &folder]);
    init.env_remove("JIT_CONFIG");
    run(&mut init, "").ok();
    let settings = format!("{folder}/config.yaml");
    jit.run(&root(), &["policy", "check", "--config", &settings])
        .ok()
        .says("0 errors");
    // Again: nothing is written over.
    let mut init = jit.command(&root(), &["init", "--dir", &folder]);
    init.env_remove("JIT_CONFIG");
    run(&mut init, "").ok().says("stays as it is");
    // As JSON, alone; and its first line is in the audit file already.
    let folder = jit.path("json").display().to_string();
    let mut init = jit.command(&root(), &["init", "--dir", &folder, "-o", "json"]);
    init.env_remove("JIT_CONFIG");
    let made = run(&mut init, "").ok().json();
    assert_eq!(made["wrote"].as_array().map(Vec::len), Some(2), "{made:#}");
    assert_eq!(made["made"].as_array().map(Vec::len), Some(3), "{made:#}");
    let settings = format!("{folder}/config.yaml");
    let again = ["ledger", "init", "-o", "json", "--config", &settings];
    let nothing = jit.run(&root(), &again).ok().json();
    assert_eq!(nothing["ledger"], made["ledger"]);
    assert_eq!(nothing["made"], serde_json::json!([]));
    let head = jit.run(&root(), &["audit", "head", "--config", &settings]);
    assert!(head.ok().out.starts_with("1:"));
}

#[test]
fn without_a_ledger_an_operator_is_told_to_make_one() {
    let jit = Install::new();
    jit.run(&root(), &["sweep"]).exit(5).says("jit ledger init");
    // What the files alone can answer needs none.
    jit.run(&root(), &["policy", "check"]).ok();
    jit.run(&root(), &["policy", "test"]).ok();
    jit.run(&root(), &["settings", "--origin"]).ok();
    jit.run(&root(), &["policy", "explain", "a", "t.b:c"])
        .exit(8)
        .says("no target");
    let mut command = jit.command(&root(), &["policy", "schema"]);
    command.env("JIT_CONFIG", "/nowhere");
    run(&mut command, "").ok();
}

#[test]
fn empty_states_say_what_to_type_next() {
    let jit = Install::new();
    jit.init();
    let root = root();
    jit.run(&root, &[])
        .ok()
        .says("no open request")
        .says("Next: jit columns");
    jit.run(&root, &["list"]).ok().says("jit list --all");
    jit.run(&root, &["list", "--awaiting-me"])
        .ok()
        .says("nothing awaits you");
    jit.run(&root, &["approve"]).ok().says("nothing awaits you");
    jit.run(&root, &["columns"])
        .ok()
        .says("no policy lets you ask");
    jit.run(&root, &["audit", "search", "--event", "granted"])
        .ok()
        .says("no line fits");
    jit.run(&root, &["audit", "search", "--event", "grnted"])
        .exit(2)
        .says("no event \"grnted\"");
    jit.run(&root, &["show", "abcd"])
        .exit(4)
        .says("next: jit list --all");
    jit.run(&root, &["show", "%%"]).exit(4);
    jit.run(&root, &["setup"]).exit(8).says("no target");
    jit.run(&root, &["return"])
        .exit(4)
        .says("no access to return");
    assert_eq!(
        jit.run(&root, &["list", "-o", "json"]).ok().json(),
        serde_json::json!([])
    );
    let quiet = jit.run(&root, &["list", "-q"]).ok();
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    jit.run(&alice(), &["audit", "verify"])
        .exit(3)
        .says("setfacl");
    jit.run(&alice(), &["sweep"]).exit(3).says("is no operator");
}

on_postgres!(
    hostile_reasons_are_shown_and_never_obeyed,
    what_operators_would_reject_is_refused_at_once,
    a_first_command_knows_the_policies_columns,
    everybody_finds_their_own_columns_in_their_mailbox,
    nothing_is_asked_where_nobody_can_answer,
    a_searched_line_is_the_very_line,
);

fn hostile_reasons_are_shown_and_never_obeyed(server: &Server) {
    let shop = Shop::on(server);
    let columns = format!("{}:email", shop.table("customers"));
    let evil = "x\u{1b}[31m\u{7}\nstate      approved\u{202e}\r";
    let id = shop
        .jit(
            &alice(),
            &["request", "shop", &columns, "--for", "1h", "--reason", evil],
        )
        .ok()
        .out;
    let id = id.lines().next().expect("an id").to_owned();
    shop.sweep().ok();
    for arguments in [
        &["show", &id][..],
        &["list"],
        &["approve", &id],
        &["list", "--awaiting-me"],
        &[],
    ] {
        for person in [cron(), dave()] {
            let output = shop.jit(&person, arguments);
            let both = output.out + &output.err;
            assert!(
                !both.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']),
                "{arguments:?}: {both:?}"
            );
            assert!(
                !both.lines().any(|line| line.starts_with("state ")),
                "{both}"
            );
            for line in both.lines() {
                assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
            }
        }
    }
    let shown = shop.show(&id);
    assert_eq!(shown["reason"], evil, "JSON keeps it as it was");
}

fn what_operators_would_reject_is_refused_at_once(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    let alice = alice();
    shop.jit(&alice, &["approve", &id, "--yes"])
        .exit(3)
        .says("nobody approves their own");
    shop.jit(&alice, &["deny", &id, "--reason", "r"])
        .exit(3)
        .says("jit cancel");
    shop.jit(&alice, &["return", &id])
        .exit(4)
        .says("jit cancel");
    shop.jit(
        &alice,
        &["revoke", "--everything", "--reason", "r", "--yes"],
    )
    .exit(3)
    .says("admins");
    shop.jit(&alice, &["resume", "--reason", "r", "--yes"])
        .exit(3);
    shop.jit(&dave(), &["cancel", &id])
        .exit(3)
        .says("only they may cancel");
    shop.jit(&alice, &["cancel", &id]).ok();
    // An operator is told at once of what lies in the inbox and what became of it.
    shop.jit(&carol(), &[])
        .ok()
        .says(" submissions wait in the inbox");
    shop.sweep().ok();
    shop.jit(&alice, &["cancel", &id]).exit(4).says("cancelled");
    shop.jit(&dave(), &["approve", &id, "--yes"]).exit(4);
}

fn a_first_command_knows_the_policies_columns(server: &Server) {
    let shop = Shop::on(server);
    // bob's mailbox is taken away: his next command is his first.
    let mailbox = shop.jit.path(format!("var/lib/jit/inbox/{}", bob().uid));
    std::fs::remove_dir_all(&mailbox).expect("root may");
    let table = shop.table("customers");
    shop.jit(&bob(), &["columns"])
        .ok()
        .says(&format!("{table}:email,phone"));
    shop.jit(
        &bob(),
        &["request", "customers:email", "--for", "1h", "--reason", "r"],
    )
    .ok()
    .says(&format!("customers is {table}"))
    .says("approval by 1 of group:dba (jitcarol, jitdave)");
}

/// Views are made one after the other, and what two people see alike is made once.
fn everybody_finds_their_own_columns_in_their_mailbox(server: &Server) {
    let shop = Shop::on(server);
    let everybody = [alice(), mallory(), bob(), carol(), dave()];
    let columns = || -> Vec<Vec<String>> {
        let of = |person| {
            let found = shop.jit(person, &["columns", "-o", "json"]).ok().json();
            let found = found.as_array().expect("views");
            let name = |of: &serde_json::Value| of["column"].as_str().map(str::to_owned);
            found.iter().filter_map(name).collect()
        };
        everybody.iter().map(of).collect()
    };
    // The first command of each makes their mailbox.
    columns();
    shop.sweep().ok();
    let contact = vec!["email".to_owned(), "phone".to_owned()];
    let all = vec!["email".to_owned(), "phone".to_owned(), "ssn".to_owned()];
    assert_eq!(
        columns(),
        [&all, &contact, &all, &contact, &contact].map(Clone::clone)
    );
}

fn nothing_is_asked_where_nobody_can_answer(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.jit(&dave(), &["approve", &id]).exit(2).says("--yes");
    shop.jit(&carol(), &["revoke", &id, "--reason", "r"])
        .exit(2)
        .says("--yes");
    shop.jit(&carol(), &["revoke", "--everything", "--reason", "r"])
        .exit(2)
        .says("--yes");
    shop.jit(&carol(), &["resume", "--reason", "r"])
        .exit(2)
        .says("--yes");
    assert_eq!(shop.state(&id), "pending");
}

/// What `audit search` prints into a pipe can be checked by its hash, whatever is in it.
fn a_searched_line_is_the_very_line(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &["--ticket", "T\u{202e}\u{1b}1"]);
    shop.sweep().ok();
    let found = shop
        .jit(&cron(), &["audit", "search", "--request", &id])
        .ok()
        .out;
    let file = std::fs::read_to_string(shop.jit.audit()).expect("the audit file");
    assert!(!found.is_empty());
    for line in found.lines() {
        assert!(file.lines().any(|written| written == line), "{line}");
    }
}
