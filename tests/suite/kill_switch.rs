//! The kill switch: who may use it, what it ends, and the hold that it leaves.

use std::fs;

use serde_json::json;

use crate::support::people::{alice, bob, carol, cron, dave, mallory, root};
use crate::support::server::{Kind, Server};
use crate::support::shop::{POLICY, Shop};
use crate::support::{on_every_server, on_postgres};

on_every_server!(
    each_selector_ends_what_is_in_its_scope_and_nothing_else,
    selectors_combine_by_and,
    what_was_only_asked_for_ends_too,
);

on_postgres!(
    a_request_is_revoked_by_those_whom_it_concerns,
    a_hold_refuses_new_requests_until_resume,
    only_admins_use_selectors_and_resume,
    bare_root_may,
    nothing_is_guessed_about_a_selector,
);

fn account(shop: &Shop<'_>, name: &str) -> String {
    match shop.server.kind() {
        Kind::Postgres => shop.login(name),
        Kind::Mysql | Kind::Mariadb => format!("{}@%", shop.login(name)),
    }
}

/// alice may read email and bob phone; both by leases.
fn both_hold(shop: &Shop<'_>) -> (String, String) {
    let hers = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    let his = shop.ask(&bob(), "phone", "1h", &["--purpose", "support"]);
    shop.sweep().ok();
    assert!(shop.reads("jitalice", "email") && shop.reads("jitbob", "phone"));
    (hers, his)
}

fn resume(shop: &Shop<'_>) {
    shop.jit(&carol(), &["resume", "--reason", "it is over", "--yes"])
        .ok();
}

fn each_selector_ends_what_is_in_its_scope_and_nothing_else(server: &Server) {
    let shop = Shop::on(server);
    // Columns in any case: on MySQL that is the same column, and a kill switch rather takes too much.
    let column = format!("{}:EMAIL", shop.table("customers"));
    let grantee = account(&shop, "jitalice");
    let (_, mut his) = both_hold(&shop);
    for selector in [
        ["--requester", "jitalice"],
        ["--grantee", &grantee],
        ["--column", &column],
    ] {
        let mut arguments = vec!["revoke", "--reason", "an incident", "--yes"];
        arguments.extend(selector);
        shop.jit(&carol(), &arguments)
            .ok()
            .says("requests ended in its scope: 1");
        assert!(!shop.reads("jitalice", "email"), "{selector:?}");
        assert!(shop.reads("jitbob", "phone"), "{selector:?}");
        assert_eq!(shop.state(&his), "active");
        let refused = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
        shop.sweep().ok();
        let view = shop.show(&refused);
        assert_eq!(view["state"], "refused", "{selector:?}");
        let why = view["outcome"].to_string();
        for word in ["an incident", "jitcarol", "jit resume"] {
            assert!(why.contains(word), "{why}");
        }
        resume(&shop);
        shop.lease(&alice(), "email", "1h");
        assert!(shop.reads("jitalice", "email"));
    }
    for selector in [&["--target", "shop"][..], &["--everything"]] {
        let mut arguments = vec!["revoke", "--reason", "an incident", "--yes"];
        arguments.extend(selector);
        shop.jit(&carol(), &arguments)
            .ok()
            .says("requests ended in its scope: 2");
        assert!(!shop.reads("jitalice", "email") && !shop.reads("jitbob", "phone"));
        assert_eq!(shop.state(&his), "ended");
        resume(&shop);
        his = both_hold(&shop).1;
    }
    let held: Vec<_> = shop
        .events("held")
        .iter()
        .map(|event| event["observed"]["scope"].clone())
        .collect();
    assert_eq!(held.len(), 5, "{held:?}");
    assert_eq!(shop.events("resumed").len(), 5);
    shop.audit_is_sound();
}

fn selectors_combine_by_and(server: &Server) {
    let shop = Shop::on(server);
    let column = format!("{}:email", shop.table("customers"));
    let hit = shop.lease(&alice(), "email", "1h");
    let other_column = shop.lease(&alice(), "phone", "1h");
    let other_person = shop.lease(&bob(), "email", "1h");
    let by = ["--requester", "jitalice", "--column", &column];
    let mut arguments = vec!["revoke", "--reason", "an incident", "--yes"];
    arguments.extend(by);
    shop.jit(&carol(), &arguments)
        .ok()
        .says("requests ended in its scope: 1");
    assert_eq!(shop.state(&hit), "ended");
    assert_eq!(shop.state(&other_column), "active");
    assert_eq!(shop.state(&other_person), "active");
    assert!(!shop.reads("jitalice", "email"));
    assert!(shop.reads("jitalice", "phone") && shop.reads("jitbob", "email"));
    // The hold has the same scope.
    let refused = shop.ask(&alice(), "phone,email", "1h", &["--purpose", "support"]);
    let fine = shop.ask(&alice(), "phone", "30m", &["--purpose", "support"]);
    shop.sweep().ok();
    assert_eq!(shop.state(&refused), "refused");
    assert_eq!(shop.state(&fine), "active");
}

/// Pending and approved requests in scope end as well, and those of others do not.
fn what_was_only_asked_for_ends_too(server: &Server) {
    let shop = Shop::on(server);
    let pending = shop.ask(&alice(), "ssn", "30m", &[]);
    let approved = shop.ask(&alice(), "email", "1h", &[]);
    let others = shop.ask(&bob(), "email", "1h", &[]);
    shop.sweep().ok();
    // While the audit file is away nothing is granted, so that what is approved stays so.
    let (audit, aside) = (shop.jit.audit(), shop.jit.path("var/log/jit/aside"));
    fs::rename(&audit, &aside).expect("root may");
    fs::create_dir(&audit).expect("root may");
    shop.jit(&dave(), &["approve", &approved, "--yes"]).ok();
    shop.sweep();
    assert_eq!(shop.state(&approved), "approved");
    fs::remove_dir(&audit).expect("root may");
    fs::rename(&aside, &audit).expect("root may");
    shop.jit(
        &carol(),
        &[
            "revoke",
            "--requester",
            "jitalice",
            "--reason",
            "left",
            "--yes",
        ],
    )
    .ok()
    .says("requests ended in its scope: 2");
    shop.sweep().ok();
    for id in [&pending, &approved] {
        let view = shop.show(id);
        assert_eq!(view["state"], "denied", "{view:#}");
        assert_eq!(view["outcome"], "jitcarol revoked it: left");
    }
    assert_eq!(shop.state(&others), "pending");
    assert!(!shop.reads("jitalice", "email"));
    // No later yes brings them back.
    shop.jit(&dave(), &["approve", &pending, "--yes"]);
    shop.sweep().ok();
    assert_eq!(shop.state(&pending), "denied");
    shop.audit_is_sound();
}

/// By id: the requester, an approver by policy who is no admin, an admin who is no approver; nobody else.
fn a_request_is_revoked_by_those_whom_it_concerns(server: &Server) {
    let policy = POLICY.replace("jitmallory, ", "");
    let shop = Shop::with_policy(server, &policy);
    shop.edit(
        "etc/config.yaml",
        "admins: [group:dba]",
        "admins: [jitmallory]",
    );
    for person in [alice(), dave(), mallory()] {
        let id = shop.ask(&alice(), "email", "1h", &[]);
        shop.sweep().ok();
        shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
        shop.sweep().ok();
        assert!(shop.reads("jitalice", "email"));
        shop.jit(&bob(), &["revoke", &id, "--reason", "mine", "--yes"])
            .exit(4);
        shop.jit(&person, &["revoke", &id, "--reason", "enough", "--yes"])
            .ok();
        shop.sweep().ok();
        assert!(!shop.reads("jitalice", "email"), "{}", person.name);
        let view = shop.show(&id);
        assert_eq!(view["ended"], "revoked", "{view:#}");
        // By id no hold is left.
        shop.jit(&person, &["revoke", &id, "--reason", "again", "--yes"])
            .exit(4);
    }
    let actors: Vec<String> = shop
        .events("revoking")
        .iter()
        .map(|event| event["actor"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(actors, ["jitalice", "jitdave", "jitmallory"]);
    assert!(shop.events("held").is_empty());
    // An operator who is neither approver nor admin nor requester has no say.
    let id = shop.lease(&alice(), "email", "1h");
    shop.jit(&cron(), &["revoke", &id, "--reason", "no", "--yes"])
        .exit(3)
        .says("its requester, its approvers and admins only");
    assert!(shop.reads("jitalice", "email"));
}

fn a_hold_refuses_new_requests_until_resume(server: &Server) {
    let shop = Shop::on(server);
    shop.jit(
        &dave(),
        &["revoke", "--everything", "--reason", "incident 12", "--yes"],
    )
    .ok()
    .says("next sweep");
    shop.sweep().ok();
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    shop.sweep().ok();
    let view = shop.show(&id);
    assert_eq!(view["state"], "refused");
    let why = view["outcome"].as_str().expect("a text");
    assert!(
        why.contains("jitdave") && why.contains("incident 12") && why.contains("jit resume 1"),
        "{why}"
    );
    // It is listed, for her too, and fails doctor.
    shop.jit(&alice(), &[]).ok().says("incident 12");
    shop.jit(&carol(), &[]).ok().says("incident 12");
    let ill = shop.jit(&root(), &["doctor"]);
    assert_ne!(ill.code, 0, "{ill}");
    ill.says("incident 12");
    shop.jit(&carol(), &["resume", "7", "--reason", "typo"])
        .exit(4);
    shop.jit(&carol(), &["resume", "1", "--reason", "over"])
        .ok();
    shop.jit(&carol(), &["resume", "1", "--reason", "over"])
        .exit(4);
    shop.lease(&alice(), "email", "1h");
    let well = shop.jit(&root(), &["doctor"]);
    assert!(!well.out.contains("incident 12"), "{well}");
    let resumed = &shop.events("resumed")[0];
    assert_eq!(resumed["actor"], "jitcarol");
    assert_eq!(resumed["reason"], "over");
    shop.audit_is_sound();
}

fn only_admins_use_selectors_and_resume(server: &Server) {
    let shop = Shop::on(server);
    shop.edit(
        "etc/config.yaml",
        "admins: [group:dba]",
        "admins: [jitcarol]",
    );
    let id = shop.lease(&alice(), "email", "1h");
    let everything = ["revoke", "--everything", "--reason", "fun", "--yes"];
    // cron is an operator, dave an approver, alice the requester: none is an admin.
    for person in [cron(), alice(), dave()] {
        shop.jit(&person, &everything).exit(3).says("admins");
    }
    // Neither does it help to go around the command.
    for person in [alice(), dave()] {
        shop.forge(
            &person,
            json!({"do": "revoke_all", "selector": {}, "reason": "fun"}),
        );
        shop.forge(
            &person,
            json!({"do": "revoke_all", "selector": {"requester": person.name}, "reason": "fun"}),
        );
    }
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "active");
    assert!(shop.reads("jitalice", "email"));
    shop.rejected(&alice(), "only admins may revoke by selector");
    shop.rejected(&dave(), "only admins may revoke by selector");
    assert!(shop.events("held").is_empty());
    shop.jit(&carol(), &everything).ok();
    shop.jit(&alice(), &["resume", "--reason", "please", "--yes"])
        .exit(3);
    shop.forge(
        &alice(),
        json!({"do": "resume", "holds": [], "reason": "please"}),
    );
    shop.sweep().ok();
    shop.rejected(&alice(), "only admins may resume");
    assert!(shop.events("resumed").is_empty());
}

fn bare_root_may(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.jit(
        &root(),
        &["revoke", "--everything", "--reason", "fire", "--yes"],
    )
    .ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
    shop.jit(&root(), &["resume", "--reason", "out", "--yes"])
        .ok();
    shop.lease(&alice(), "email", "1h");
}

/// A mistyped kill switch must not look as if it had worked.
fn nothing_is_guessed_about_a_selector(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.jit(&carol(), &["revoke", "--reason", "what"]).exit(2);
    shop.jit(
        &carol(),
        &[
            "revoke",
            &id,
            "--requester",
            "jitalice",
            "--reason",
            "both",
            "--yes",
        ],
    )
    .exit(2);
    shop.jit(&carol(), &["revoke", "--everything", "--reason", "ask me"])
        .exit(2)
        .says("--yes");
    shop.jit(
        &carol(),
        &["revoke", "--target", "shp", "--reason", "typo", "--yes"],
    )
    .exit(4)
    .says("shop");
    shop.jit(
        &carol(),
        &[
            "revoke",
            "--column",
            "cstomers:email",
            "--reason",
            "typo",
            "--yes",
        ],
    )
    .exit(4);
    assert_eq!(shop.state(&id), "active");
    assert!(shop.events("held").is_empty());
    // The only protected table of that name.
    shop.jit(
        &carol(),
        &[
            "revoke",
            "--column",
            "customers:email",
            "--reason",
            "short",
            "--yes",
        ],
    )
    .ok()
    .says("public.customers:email");
    assert_eq!(shop.state(&id), "ended");
}
