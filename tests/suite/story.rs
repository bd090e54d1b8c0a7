//! The main job, end to end: asked by an engineer, approved by somebody else, given by the database, taken back by
//! cron, and written down.

use std::time::Duration;

use crate::support::people::{alice, bob, carol, cron, dave};
use crate::support::server::Server;
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_every_server_and_postgres_18, on_postgres};

on_every_server!(
    an_automatic_approval_is_granted_by_the_next_sweep,
    two_approvers_must_be_different_people,
    access_is_given_back_early,
    an_approver_may_shorten_and_never_lengthen,
);

on_every_server_and_postgres_18!(
    a_column_is_asked_approved_read_and_taken_back,
    an_extension_goes_on_without_a_gap,
);

/// The whole story, with an engineer and an approver who have no access to the ledger and no password of jit's.
fn a_column_is_asked_approved_read_and_taken_back(server: &Server) {
    let shop = Shop::on(server);
    assert!(!shop.reads("jitalice", "email"));

    let id = shop.ask(&alice(), "email", "4s", &[]);
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "pending");
    assert!(!shop.reads("jitalice", "email"));

    // Neither of them is an operator: both see only what operators put into their mailboxes.
    let seen = shop.jit(&alice(), &["show", &id, "-o", "json"]).ok().json();
    assert_eq!(seen["state"], "pending");
    assert_eq!(
        seen["approvers"],
        serde_json::json!(["jitcarol", "jitdave"])
    );
    shop.jit(&bob(), &["show", &id]).exit(4);
    let waiting = shop.jit(&dave(), &["list", "--awaiting-me", "-q"]).ok().out;
    assert_eq!(waiting.trim(), id);

    shop.jit(&dave(), &["approve", &id, "--yes", "--note", "go on"])
        .ok();
    shop.sweep().ok();
    let granted = shop.show(&id);
    assert_eq!(granted["state"], "active", "{granted:#}");
    assert!(shop.reads("jitalice", "email"));
    assert!(!shop.reads("jitalice", "phone"));
    assert!(!shop.reads("jitalice", "ssn"));
    assert!(!shop.reads("jitbob", "email"));

    std::thread::sleep(Duration::from_millis(4200));
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
    assert!(!shop.has_row("jitalice", "customers", "email"));

    let story: Vec<String> = shop
        .jit
        .events()
        .iter()
        .filter(|event| event["request"] == id.as_str())
        .map(|event| event["event"].as_str().expect("a word").to_owned())
        .collect();
    assert_eq!(
        story,
        [
            "requested",
            "approved",
            "granting",
            "granted",
            "revoking",
            "revoked"
        ]
    );
    let granting = &shop.events("granting")[0];
    assert!(
        granting["sql"][0]
            .as_str()
            .is_some_and(|sql| sql.contains("GRANT")),
        "{granting:#}"
    );
    let revoked = &shop.events("revoked")[0];
    assert_eq!(revoked["observed"]["row"], "absent");
    assert_eq!(revoked["approvers"], serde_json::json!(["jitdave"]));
    assert!(
        revoked["late_s"].as_f64().is_some_and(|late| late < 60.0),
        "{revoked:#}"
    );
    shop.audit_is_sound();
    // Nothing to do, nothing to say.
    let quiet = shop.sweep().ok();
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
}

fn an_automatic_approval_is_granted_by_the_next_sweep(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email,phone", "1h");
    assert!(shop.reads("jitalice", "email, phone"));
    assert!(!shop.reads("jitalice", "ssn"));
    let view = shop.show(&id);
    assert_eq!(view["leases"].as_array().map(Vec::len), Some(2));
    let approved = &shop.events("approved")[0];
    assert_eq!(approved["actor"], "jit");
}

fn two_approvers_must_be_different_people(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "ssn", "30m", &[]);
    shop.sweep().ok();
    shop.jit(&carol(), &["approve", &id, "--yes"]).ok();
    assert_eq!(shop.state(&id), "pending");
    shop.jit(&carol(), &["approve", &id, "--yes"])
        .exit(4)
        .says("approved");
    assert!(!shop.reads("jitalice", "ssn"));
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "active");
    assert!(shop.reads("jitalice", "ssn"));
}

fn access_is_given_back_early(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.jit(&alice(), &["return"]).ok();
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "email"));
    let view = shop.show(&id);
    assert_eq!(
        (view["state"].as_str(), view["ended"].as_str()),
        (Some("ended"), Some("returned"))
    );
    assert_eq!(shop.events("revoked")[0]["late_s"], 0.0);
}

fn an_approver_may_shorten_and_never_lengthen(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.jit(&carol(), &["approve", &id, "--for", "2h", "--yes"])
        .exit(2);
    shop.jit(&carol(), &["approve", &id, "--for", "10m", "--yes"])
        .ok();
    shop.sweep().ok();
    let view = shop.show(&id);
    assert_eq!(view["lease_ttl"], "10m");
    let at = |key: &str| {
        chrono::DateTime::parse_from_rfc3339(view[key].as_str().expect("a time")).expect("RFC 3339")
    };
    let span = (at("expires_at") - at("granted_at")).num_seconds();
    assert!((500..=600).contains(&span), "{span} s");
}

fn an_extension_goes_on_without_a_gap(server: &Server) {
    let shop = Shop::on(server);
    let first = shop.lease(&alice(), "email", "3s");
    let more = shop
        .jit(
            &alice(),
            &["extend", &first, "--for", "1h", "--reason", "not done"],
        )
        .ok()
        .out;
    let second = more.lines().next().expect("an id").to_owned();
    shop.sweep().ok();
    assert_eq!(shop.state(&second), "active");
    std::thread::sleep(Duration::from_millis(3200));
    shop.sweep().ok();
    assert_eq!(shop.state(&first), "ended");
    assert!(
        shop.reads("jitalice", "email"),
        "the extension keeps the column"
    );
    let kept = &shop.events("kept")[0];
    assert_eq!(kept["request"], first.as_str());
    shop.jit(&alice(), &["return", &second]).ok();
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "email"));
    assert!(!shop.has_row("jitalice", "customers", "email"));
}

on_postgres!(an_operators_own_command_takes_effect_at_once);

fn an_operators_own_command_takes_effect_at_once(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    // carol is a member of the operators' group: her approval is drained, and granted, by her own command.
    shop.jit(&carol(), &["approve", &id, "--yes"])
        .ok()
        .says("active");
    assert!(shop.reads("jitalice", "email"));
    shop.jit(&carol(), &["revoke", &id, "--reason", "enough", "--yes"])
        .ok();
    assert!(!shop.reads("jitalice", "email"));
    shop.jit(&cron(), &["list"]).ok().says("nothing");
}
