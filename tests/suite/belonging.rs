//! A ledger belongs to one settings file, which only root or the ledger's owner can change, and to one version of
//! `jit` or an older one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::jit::run;
use crate::support::on_postgres;
use crate::support::people::{alice, bob, carol, cron, mallory, root};
use crate::support::server::Server;
use crate::support::shop::Shop;

on_postgres!(
    a_settings_file_that_is_not_the_ledgers_is_refused_until_it_is_adopted,
    a_settings_file_of_ones_own_changes_nothing_for_operators,
    settings_that_others_can_change_are_refused_by_operators,
    a_ledger_of_a_newer_jit_is_left_alone,
    a_change_of_policies_is_an_event_with_both_hashes,
    policies_in_error_stop_every_grant_and_no_revoke,
);

fn a_settings_file_that_is_not_the_ledgers_is_refused_until_it_is_adopted(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let moved = shop.jit.path("etc/moved.yaml");
    fs::copy(shop.jit.path("etc/config.yaml"), &moved).expect("a copy");
    let moved = moved.display().to_string();
    for command in [
        vec!["sweep", "--config", &moved],
        vec!["list", "--config", &moved],
        vec!["approve", &id, "--yes", "--config", &moved],
    ] {
        shop.jit(&cron(), &command)
            .exit(8)
            .says("belongs to the settings");
    }
    assert!(shop.reads("jitalice", "email"));
    shop.jit(&root(), &["ledger", "adopt", "--yes", "--config", &moved])
        .ok();
    shop.jit(&cron(), &["sweep", "--config", &moved]).ok();
    // And now the first one is the stranger.
    shop.sweep().exit(8).says("belongs to the settings");
    let adopted = shop.events("ledger_adopted");
    assert_eq!(adopted.len(), 1);
    assert_eq!(adopted[0]["observed"]["new"], moved.as_str());
    assert_eq!(adopted[0]["actor"], "root");
}

/// An engineer's own settings, in which everybody is an approver, bind nobody but themselves.
fn a_settings_file_of_ones_own_changes_nothing_for_operators(server: &Server) {
    let shop = Shop::on(server);
    let own = shop.jit.path("home").join("own.yaml");
    let text = fs::read_to_string(shop.jit.path("etc/config.yaml"))
        .expect("settings")
        .replace(
            "dba: [jitcarol, jitdave]",
            "dba: [jitcarol, jitdave, jitmallory]",
        )
        .replace("policies: [policies/]", "policies: [../etc/policies/]");
    fs::write(&own, text).expect("own file");
    let own = own.display().to_string();
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.jit(&mallory(), &["approve", &id, "--yes", "--config", &own])
        .exit(4);
    shop.jit(&mallory(), &["sweep", "--config", &own]).exit(3);
    // Handed in like anybody's, and refused by the rules of the ledger.
    let everything = ["revoke", "--everything", "--reason", "mine", "--yes"];
    shop.jit(&mallory(), &[&everything[..], &["--config", &own]].concat())
        .exit(0);
    // What these settings would let him hand in is judged by the ledger's.
    let digest = shop.show(&id)["digest"].clone();
    shop.forge(
        &mallory(),
        json!({"do": "approve", "id": id, "digest": digest}),
    );
    shop.sweep().ok();
    shop.rejected(&mallory(), "is no approver of request");
    assert_eq!(shop.state(&id), "pending");
    assert!(!shop.reads("jitalice", "email"));
}

fn settings_that_others_can_change_are_refused_by_operators(server: &Server) {
    let shop = Shop::on(server);
    for inner in ["etc/config.yaml", "etc/policies/shop.yaml", "etc/policies"] {
        let path = shop.jit.path(inner);
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o002)).expect("own file");
        shop.sweep().exit(8).says(inner);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
        shop.sweep().ok();
    }
}

fn a_ledger_of_a_newer_jit_is_left_alone(server: &Server) {
    let shop = Shop::on(server);
    let set = |version: &str| {
        let ledger = rusqlite::Connection::open(shop.jit.ledger()).expect("root may open it");
        let before: i64 = ledger
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .expect("a version");
        ledger
            .execute_batch(&format!("PRAGMA user_version = {version}"))
            .expect("root may write it");
        before
    };
    let version = set("99");
    shop.sweep().exit(5).says("newer jit");
    set(&version.to_string());
    shop.sweep().ok();
}

fn policies_in_error_stop_every_grant_and_no_revoke(server: &Server) {
    let shop = Shop::on(server);
    let path = shop.jit.path("etc/policies/shop.yaml");
    let right = fs::read_to_string(&path).expect("a policy");
    // Not YAML at all, and YAML that gives more for less.
    let lax = "      - {who: [jitbob], max: 9h, approval: auto}\n";
    let wrong = [
        "version: 1\npolicies: [".to_owned(),
        right.replace("  - name: secrets", &format!("{lax}  - name: secrets")),
    ];
    for text in wrong {
        let due = shop.lease(&alice(), "email", "1h");
        let returned = shop.lease(&bob(), "email", "1h");
        let pending = shop.ask(&alice(), "phone", "1h", &["--purpose", "support"]);
        fs::write(&path, &text).expect("own file");
        shop.jit(&bob(), &["return", &returned]);
        shop.jit(&carol(), &["revoke", &due, "--reason", "over", "--yes"]);
        shop.sweep()
            .exit(8)
            .says("shop.yaml")
            .says("jit policy check");
        assert!(!shop.reads("jitalice", "email"), "{text}");
        assert!(!shop.reads("jitbob", "email"), "{text}");
        assert!(!shop.reads("jitalice", "phone"), "{text}");
        shop.jit(&cron(), &["doctor"]).exit(1).says("FAIL policies");
        fs::write(&path, &right).expect("own file");
        shop.sweep().ok();
        assert_eq!(shop.state(&pending), "active", "it was left in the inbox");
        shop.jit(&alice(), &["return", &pending]).ok();
        shop.sweep().ok();
    }
}

fn a_change_of_policies_is_an_event_with_both_hashes(server: &Server) {
    let shop = Shop::on(server);
    let path = shop.jit.path("etc/policies/shop.yaml");
    let text = fs::read_to_string(&path).expect("a policy");
    fs::write(&path, format!("{text}\n# changed\n")).expect("own file");
    shop.sweep().ok();
    let changed = shop.events("settings_changed");
    let last = changed.last().expect("an event");
    assert!(last["observed"]["old"].is_string() && last["observed"]["new"].is_string());
    assert_ne!(last["observed"]["old"], last["observed"]["new"]);
    // The ledger keeps each text.
    let texts = last["observed"]["texts"]
        .as_array()
        .expect("hashes")
        .clone();
    let shown: Vec<String> = texts
        .iter()
        .map(|hash| {
            let hash = hash.as_str().expect("a hash");
            shop.jit(&cron(), &["policy", "show", hash]).ok().out
        })
        .collect();
    assert!(shown.iter().any(|text| text.contains("# changed")));
    let mut unused = shop.jit.command(&cron(), &["sweep"]);
    assert!(run(&mut unused, "").ok().out.is_empty(), "said once");
}
