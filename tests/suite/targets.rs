//! One target's trouble is its own: dead, frozen, exchanged, lost from the settings, crashed, or somebody else's.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::host::{Host, block};
use crate::support::jit::{Output, run};
use crate::support::people::{alice, bob, cron};
use crate::support::process::free_port;
use crate::support::server::{Kind, SUPERUSER_PASSWORD, Server};
use crate::support::shop::{POLICY, Shop};
use crate::support::{mariadb, mysql, on_every_server, on_postgres, postgres};

on_every_server!(
    one_frozen_target_among_three_holds_up_nobody,
    a_target_that_nobody_answers_holds_up_nobody,
    two_sweeps_at_once_write_each_line_once,
    a_target_that_left_the_settings_is_overdue_and_untouched,
    a_server_killed_in_the_middle_of_a_grant,
    a_server_killed_in_the_middle_of_a_revoke,
    another_server_at_the_address_is_never_touched,
    two_targets_that_are_one_database_are_refused,
);

/// The other two servers that run anyhow; the frozen one must be of the law's own.
fn others(server: &Server) -> (&'static Server, &'static Server) {
    match server.kind() {
        Kind::Postgres => (mysql::shared(), mariadb::shared()),
        Kind::Mysql => (postgres::shared(), mariadb::shared()),
        Kind::Mariadb => (postgres::shared(), mysql::shared()),
    }
}

fn timed(host: &Host<'_>) -> (Output, Duration) {
    let begun = Instant::now();
    (host.sweep(), begun.elapsed())
}

/// Milliseconds from `begun` to an event about the request.
fn until(host: &Host<'_>, event: &str, id: &str, begun: chrono::DateTime<chrono::Utc>) -> i64 {
    let events = host.jit.events();
    let found = events
        .iter()
        .find(|e| e["event"] == event && e["request"] == id)
        .unwrap_or_else(|| panic!("no {event} of {id}"));
    let at = found["at"].as_str().expect("a time");
    let at = chrono::DateTime::parse_from_rfc3339(at).expect("RFC 3339");
    (at.with_timezone(&chrono::Utc) - begun).num_milliseconds()
}

fn one_frozen_target_among_three_holds_up_nobody(server: &Server) {
    let ice = server.another(&[]);
    let (second, third) = others(server);
    let host = Host::new(&[("ice", &ice), ("second", second), ("third", third)]);
    let due = host.ask(&alice(), "second", "email", "5s");
    let kept = host.ask(&alice(), "ice", "email", "1h");
    host.sweep().ok();
    assert_eq!(
        (host.state(&due), host.state(&kept)),
        ("active".into(), "active".into())
    );
    let asked = host.ask(&bob(), "third", "phone", "1h");
    ice.freeze();
    std::thread::sleep(Duration::from_millis(5100));
    let begun = chrono::Utc::now();
    let (output, took) = timed(&host);
    ice.thaw();
    // Nothing is due there: unreachable, and not overdue.
    let output = output.exit(5);
    assert!(took < Duration::from_secs(45), "{took:?}: {output}");
    assert!(!host.reads("second", "jitalice", "email"));
    assert!(host.reads("third", "jitbob", "phone"));
    let (revoked, granted) = (
        until(&host, "revoked", &due, begun),
        until(&host, "granted", &asked, begun),
    );
    assert!(revoked < 3000, "revoked after {revoked} ms");
    assert!(granted < 4000, "granted after {granted} ms");

    host.sweep().ok();
    host.jit(&alice(), &["return", &kept]).ok();
    ice.freeze();
    let (output, _) = timed(&host);
    let listed = host.jit(&cron(), &["list", "--overdue"]);
    ice.thaw();
    output.exit(6).says("OVERDUE").says(&kept);
    listed.ok().says(&kept);
    assert!(host.reads("ice", "jitalice", "email"));
    host.sweep_until(&kept, "ended");
    assert!(!host.reads("ice", "jitalice", "email"));
    host.audit_is_sound();
}

fn a_target_that_nobody_answers_holds_up_nobody(server: &Server) {
    let (second, _) = others(server);
    let host = Host::new(&[("dead", server), ("second", second)]);
    let due = host.ask(&alice(), "second", "email", "4s");
    let kept = host.ask(&alice(), "dead", "email", "1h");
    host.sweep().ok();
    let asked = host.ask(&bob(), "second", "phone", "1h");
    let right = host.blocks();
    let port = format!(":{}/", server.port());
    let nobody = format!(":{}/", free_port());
    let wrong: Vec<String> = right
        .iter()
        .map(|block| match block.starts_with("  dead:") {
            true => block.replace(&port, &nobody),
            false => block.clone(),
        })
        .collect();
    host.configure(&wrong);
    std::thread::sleep(Duration::from_millis(4100));
    let (output, took) = timed(&host);
    let output = output.exit(5);
    assert!(took < Duration::from_secs(10), "{took:?}: {output}");
    assert_eq!(
        (host.state(&due), host.state(&asked)),
        ("ended".into(), "active".into())
    );
    assert!(!host.reads("second", "jitalice", "email"));
    assert!(host.reads("second", "jitbob", "phone"));
    host.jit(&alice(), &["return", &kept]).ok();
    host.sweep().exit(6).says("OVERDUE").says(&kept);
    // Loud every time, and written down once.
    host.sweep().exit(6);
    let failed = host.jit.events();
    let failed = failed.iter().filter(|e| e["event"] == "revoke_failed");
    assert_eq!(failed.count(), 1);
    host.configure(&right);
    host.sweep().ok();
    assert_eq!(host.state(&kept), "ended");
    assert!(!host.reads("dead", "jitalice", "email"));
    host.audit_is_sound();
}

/// Again and again: two operators, due revokes and approved grants.
fn two_sweeps_at_once_write_each_line_once(server: &Server) {
    let shop = Shop::on(server);
    for round in 0..8 {
        let given = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
        let other = shop.ask(&bob(), "phone", "1h", &["--purpose", "support"]);
        both(&shop, round);
        assert_eq!(
            (shop.state(&given), shop.state(&other)),
            ("active".into(), "active".into())
        );
        assert!(shop.reads("jitalice", "email") && shop.reads("jitbob", "phone"));
        shop.jit(&alice(), &["return", &given]).ok();
        shop.jit(&bob(), &["return", &other]).ok();
        let next = shop.ask(&bob(), "email", "1h", &["--purpose", "support"]);
        both(&shop, round);
        assert_eq!(
            (shop.state(&given), shop.state(&next)),
            ("ended".into(), "active".into())
        );
        assert!(!shop.reads("jitalice", "email") && shop.reads("jitbob", "email"));
        shop.jit(&bob(), &["return", &next]).ok();
        both(&shop, round);
    }
    for (event, count) in [
        ("granting", 24),
        ("granted", 24),
        ("revoked", 24),
        ("returned", 24),
    ] {
        assert_eq!(shop.events(event).len(), count, "{event}");
    }
    crate::audit_first::every_line_once(&shop);
}

fn both(shop: &Shop<'_>, round: usize) {
    let sweeps: Vec<_> = (0..2)
        .map(|_| {
            let mut command = shop.jit.command(&cron(), &["sweep"]);
            std::thread::spawn(move || run(&mut command, ""))
        })
        .collect();
    for sweep in sweeps {
        let output = sweep.join().expect("a sweep");
        assert_eq!(output.code, 0, "round {round}: {output}");
    }
}

fn a_target_that_left_the_settings_is_overdue_and_untouched(server: &Server) {
    let (second, _) = others(server);
    let host = Host::new(&[("gone", server), ("second", second)]);
    let lost = host.ask(&alice(), "gone", "email", "3s");
    let here = host.ask(&alice(), "second", "email", "3s");
    host.sweep().ok();
    let right = host.blocks();
    host.configure(&right[1..]);
    let policy = std::fs::read_to_string(host.jit.path("etc/policies/gone.yaml")).expect("it");
    host.without_policies_of("gone");
    std::thread::sleep(Duration::from_millis(3100));
    host.sweep().exit(6).says("left the settings").says(&lost);
    assert_eq!(host.state(&here), "ended");
    assert!(!host.reads("second", "jitalice", "email"));
    assert!(host.reads("gone", "jitalice", "email"), "never touched");
    host.configure(&right);
    std::fs::write(host.jit.path("etc/policies/gone.yaml"), policy).expect("root may");
    host.sweep().ok();
    assert_eq!(host.state(&lost), "ended");
    assert!(!host.reads("gone", "jitalice", "email"));
    host.audit_is_sound();
}

/// Holds a sweep at a place, kills the server with -9, lets the sweep go on, starts the server, sweeps once.
fn killed_at(server: &Server, place: &str, prepare: impl FnOnce(&Shop<'_>) -> String, end: &str) {
    let durable: &[&str] = match server.kind() {
        Kind::Postgres => &["fsync=on"],
        Kind::Mysql | Kind::Mariadb => &[],
    };
    let own = server.another(durable);
    let shop = Shop::on(&own);
    let id = prepare(&shop);
    let go_on = shop.jit.path("go-on");
    let mut held = shop
        .sweep_at(&format!("{place}=wait:{}", go_on.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a sweep");
    std::thread::sleep(Duration::from_millis(2500));
    own.kill_9();
    std::fs::write(&go_on, "").expect("root may");
    let code = held.wait().expect("the sweep").code();
    assert_ne!(code, Some(0), "the sweep says that it failed");
    own.start();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), end);
    assert_eq!(shop.reads("jitalice", "email"), end == "active");
    assert_eq!(
        shop.has_row("jitalice", "customers", "email"),
        end == "active"
    );
    crate::audit_first::every_line_once(&shop);
}

fn a_server_killed_in_the_middle_of_a_grant(server: &Server) {
    for place in ["intent-audited", "grant-sent"] {
        killed_at(
            server,
            place,
            |shop| shop.ask(&alice(), "email", "1h", &["--purpose", "support"]),
            "active",
        );
    }
}

fn a_server_killed_in_the_middle_of_a_revoke(server: &Server) {
    for place in ["revoke-announced", "revoke-sent"] {
        killed_at(
            server,
            place,
            |shop| {
                let id = shop.lease(&alice(), "email", "2s");
                std::thread::sleep(Duration::from_millis(2100));
                id
            },
            "ended",
        );
    }
}

/// A fresh server with the same names at the address of the settings.
fn another_server_at_the_address_is_never_touched(server: &Server) {
    let fresh = server.another(&[]);
    another_identity(&fresh);
    let (second, _) = others(server);
    let host = Host::new(&[("shop", server), ("second", second)]);
    let lease = host.ask(&alice(), "shop", "email", "1h");
    let due = host.ask(&alice(), "second", "email", "4s");
    host.sweep().ok();
    let shop = host.at("shop");
    // The same names there, and the same privilege, given by somebody else.
    let table = shop.table("customers");
    let account = shop.account("jitalice");
    let logins = ["jitalice", "jitbob", "jitadmin"].map(|name| shop.login(name));
    fresh
        .sql(&format!("CREATE DATABASE {}", shop.database))
        .expect("a database");
    let database = match server.kind() {
        Kind::Postgres => shop.database.as_str(),
        Kind::Mysql | Kind::Mariadb => "",
    };
    for login in &logins {
        fresh.run(
            database,
            &match server.kind() {
                Kind::Postgres => format!("CREATE ROLE {login} LOGIN PASSWORD 'open sesame'"),
                _ => format!("CREATE USER '{login}'@'%' IDENTIFIED BY 'open sesame'"),
            },
        );
    }
    let all = match server.kind() {
        Kind::Postgres => format!("ALTER ROLE {} SUPERUSER", logins[2]),
        _ => format!("GRANT ALL ON *.* TO '{}'@'%' WITH GRANT OPTION", logins[2]),
    };
    for sql in [
        format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, name varchar(80), email varchar(80), phone varchar(40), ssn varchar(20))"
        ),
        all,
        format!("GRANT SELECT (email) ON {table} TO {account}"),
    ] {
        fresh.run(database, &sql);
    }
    let right = host.blocks();
    let there = format!(":{}/", fresh.port());
    let wrong = vec![
        right[0].replace(&format!(":{}/", server.port()), &there),
        right[1].clone(),
    ];
    host.configure(&wrong);
    host.jit(&alice(), &["return", &lease]).ok();
    let asked = host.ask(&bob(), "shop", "phone", "1h");
    std::thread::sleep(Duration::from_millis(4100));
    for _ in 0..2 {
        host.sweep().exit(6).says("OVERDUE").says(&lease);
    }
    let select = format!("SELECT email FROM {table}");
    let login = shop.as_account("jitalice");
    assert!(
        fresh.login_and_select(&login, &select).is_ok(),
        "their grant stays"
    );
    assert!(
        host.reads("shop", "jitalice", "email"),
        "nothing reached the right one"
    );
    assert_eq!(host.state(&due), "ended", "the rest goes on");
    assert!(!host.reads("second", "jitalice", "email"));
    assert_ne!(host.state(&asked), "active", "nothing is given there");
    host.jit(&cron(), &["doctor"]).exit(1);
    host.configure(&right);
    host.sweep_until(&asked, "active");
    assert_eq!(host.state(&lease), "ended");
    assert!(!host.reads("shop", "jitalice", "email"));
    host.audit_is_sound();
}

/// The tests' servers are copies of one template; real ones are not.
fn another_identity(server: &Server) {
    match server.kind() {
        // initdb's number stays, and the database's own makes the difference.
        Kind::Postgres => {
            for _ in 0..3 {
                server.database("other");
            }
        }
        Kind::Mysql => {
            server.stop();
            std::fs::remove_file(server.data().join("auto.cnf")).expect("its number");
            server.start();
        }
        Kind::Mariadb => {}
    }
}

fn two_targets_that_are_one_database_are_refused(server: &Server) {
    let host = Host::new(&[("shop", server)]);
    let lease = host.lease(&alice(), "shop", "email", "1h");
    let shop = host.at("shop");
    let mut blocks = host.blocks();
    blocks.push(block("twin", shop));
    host.configure(&blocks);
    let policy = std::fs::read_to_string(host.jit.path("etc/policies/shop.yaml")).expect("it");
    let twins = policy
        .replace("target: shop", "target: twin")
        .replace("name: ", "name: twin-");
    std::fs::write(host.jit.path("etc/policies/twin.yaml"), twins).expect("root may");
    host.sweep().exit(1).says("are one database");
    assert!(
        host.reads("shop", "jitalice", "email"),
        "a twin's lease is no stray"
    );
    let columns = format!("{}:phone", shop.table("customers"));
    let asked = host
        .jit(
            &bob(),
            &[
                "request",
                "twin",
                &columns,
                "--for",
                "1h",
                "--reason",
                "x",
                "--purpose",
                "support",
            ],
        )
        .ok();
    let asked = asked.out.lines().next().expect("an id").to_owned();
    host.sweep().exit(1);
    assert_ne!(host.state(&asked), "active");
    assert!(!host.reads("shop", "jitbob", "phone"));
    host.jit(&cron(), &["doctor"])
        .exit(1)
        .says("the same database as");
    host.configure(&host.blocks());
    std::fs::remove_file(host.jit.path("etc/policies/twin.yaml")).expect("it");
    host.sweep().ok();
    assert_eq!(host.state(&lease), "active");
    assert!(host.reads("shop", "jitalice", "email"));
    host.audit_is_sound();
}

on_postgres!(
    a_second_ledger_on_the_same_database_is_refused,
    two_databases_of_one_cluster_are_two_targets,
);

/// The second operator has the same settings and a ledger of its own: what the first gave is no stray of its.
fn a_second_ledger_on_the_same_database_is_refused(server: &Server) {
    let first = Shop::on(server);
    let id = first.lease(&alice(), "email", "1h");
    let second = crate::support::jit::Install::new()
        .secret("shop", crate::support::shop::PASSWORD)
        .settings(&first.settings_text())
        .policy("shop.yaml", &POLICY.replace("{schema}", &first.schema()));
    second.init();
    second.run(&bob(), &["list"]).ok();
    second.run(&cron(), &["sweep"]).exit(1).says("ledger");
    assert!(
        first.reads("jitalice", "email"),
        "another ledger's lease is no stray"
    );
    let columns = format!("{}:phone", first.table("customers"));
    second
        .run(
            &bob(),
            &[
                "request",
                "shop",
                &columns,
                "--for",
                "1h",
                "--reason",
                "x",
                "--purpose",
                "support",
            ],
        )
        .ok();
    second.run(&cron(), &["sweep"]).exit(1).says("ledger");
    assert!(!first.reads("jitbob", "phone"));
    second.run(&cron(), &["doctor"]).exit(1).says("ledger");
    // Its setup does not take the database over either.
    let url = server.url(server.superuser(), &first.database);
    let mut setup = second.command(
        &crate::support::people::root(),
        &["setup", "shop", "--apply", "--as-url", &url],
    );
    setup.env("PGPASSWORD", SUPERUSER_PASSWORD);
    let _ = run(&mut setup, "");
    first.sweep().ok();
    assert_eq!(first.state(&id), "active");
    assert!(first.reads("jitalice", "email"));
}

fn two_databases_of_one_cluster_are_two_targets(server: &Server) {
    let host = Host::new(&[("one", server), ("two", server)]);
    let one = host.ask(&alice(), "one", "email", "1h");
    let two = host.ask(&alice(), "two", "email", "1h");
    host.sweep().ok();
    assert_eq!(
        (host.state(&one), host.state(&two)),
        ("active".into(), "active".into())
    );
    let doctor = host.jit(&cron(), &["doctor"]);
    assert!(!doctor.out.contains("the same database as"), "{doctor}");
}
