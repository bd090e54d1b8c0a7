//! What programs read: exit codes, JSON alone on standard output, and ids by their beginnings.

use serde_json::{Value, json};

use crate::support::forge;
use crate::support::jit::run;
use crate::support::on_postgres;
use crate::support::people::{Person, alice, carol, cron, dave};
use crate::support::server::Server;
use crate::support::shop::Shop;

on_postgres!(
    exit_codes_are_the_documented_ones,
    json_is_alone_on_standard_output,
    a_prefix_of_several_ids_is_an_error,
    of_very_many_requests_those_who_decide_see_all,
);

/// A mailbox has a hundred of one's own open requests in full and the others in short; what awaits somebody is always
/// whole, for nobody may approve what was not shown.
fn of_very_many_requests_those_who_decide_see_all(server: &Server) {
    const MANY: usize = 105;
    let shop = Shop::on(server);
    shop.jit(&dave(), &["list"]).ok();
    for number in 0..MANY {
        let mut act = shop.ask_act(&["email"], "1h");
        act["purpose"] = Value::Null;
        act["reason"] = json!(format!("reason {number}"));
        let name = format!("1{number:012}-x.json");
        shop.drop_into(&alice(), &name, &forge::submission(act));
    }
    shop.sweep().ok();
    let requests = |person: &Person, which: &[&str]| -> Vec<Value> {
        let list = [&["list", "-o", "json"], which].concat();
        let seen = shop.jit(person, &list).ok().json();
        seen.as_array().expect("a list").clone()
    };
    let mine = requests(&alice(), &[]);
    assert_eq!(mine.len(), MANY);
    let short: Vec<&Value> = mine.iter().filter(|one| one["reason"] == "").collect();
    assert_eq!(short.len(), MANY - 100);
    let id = short[0]["id"].as_str().expect("an id");
    shop.jit(&alice(), &["show", id])
        .ok()
        .says("the rest is left out of your mailbox");
    let awaiting = requests(&dave(), &["--awaiting-me"]);
    assert_eq!(awaiting.len(), MANY);
    for one in &awaiting {
        let reason = one["reason"].as_str().expect("text");
        assert!(reason.starts_with("reason "), "{one}");
        assert!(!one["digest"].as_str().expect("text").is_empty(), "{one}");
        assert!(!one["sql"].as_array().expect("a list").is_empty(), "{one}");
    }
    // What is short can be withdrawn all the same.
    shop.jit(&alice(), &["cancel", id]).ok();
    shop.sweep().ok();
    assert_eq!(requests(&alice(), &[]).len(), MANY - 1);
}

fn exit_codes_are_the_documented_ones(server: &Server) {
    let shop = Shop::on(server);
    let what = format!("{}:email", shop.table("customers"));
    let ask = ["--for", "1h", "--reason", "a test"];
    shop.jit(&alice(), &["frobnicate"]).exit(2);
    shop.jit(&alice(), &["show"]).exit(2);
    shop.jit(&alice(), &["sweep"]).exit(3);
    shop.jit(&alice(), &["show", "zzzzzzzz"]).exit(4);
    shop.jit(&alice(), &["show", "../../etc"]).exit(4);
    shop.jit(&alice(), &["cancel", "zzzzzzzz"]).exit(4);
    shop.jit(&alice(), &["return"]).exit(4);
    shop.jit(&alice(), &["extend", "--for", "1h", "--reason", "x"])
        .exit(4);
    let mut arguments = vec!["request", "shp", &what];
    arguments.extend(ask);
    shop.jit(&alice(), &arguments).exit(4).says("shop");
    shop.jit(&alice(), &["columns", "shp"]).exit(4);
    shop.jit(&cron(), &["sweep", "--target", "shp"]).exit(4);
    shop.jit(&alice(), &["setup", "shp"]).exit(4);
    // Not in a state for that.
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.jit(&carol(), &["deny", &id, "--reason", "no"]).ok();
    shop.jit(&carol(), &["approve", &id, "--yes"]).exit(4);
    shop.jit(&carol(), &["deny", &id, "--reason", "no"]).exit(4);
    shop.jit(&carol(), &["revoke", &id, "--reason", "no", "--yes"])
        .exit(4);
    // Settings and policies.
    shop.edit("etc/policies/shop.yaml", "columns: [ssn]", "colums: [ssn]");
    for arguments in [&["columns"][..], &["sweep"], &["policy", "check"]] {
        shop.jit(&cron(), arguments).exit(8).says("colum");
    }
    // Looking at what there is needs no policies.
    shop.jit(&cron(), &["list"]).ok();
    shop.edit("etc/policies/shop.yaml", "colums: [ssn]", "columns: [ssn]");
    shop.edit("etc/config.yaml", "admins:", "admin:");
    shop.jit(&cron(), &["list"]).exit(8).says("admins");
    shop.edit("etc/config.yaml", "admin:", "admins:");
    let mut missing = shop.jit.command(&alice(), &["list"]);
    missing.env("JIT_CONFIG", "/nonexistent/config.yaml");
    run(&mut missing, "").exit(8);
    // The ledger is away.
    let (folder, aside) = (
        shop.jit.path("var/lib/jit/ledger"),
        shop.jit.path("var/lib/jit/aside"),
    );
    std::fs::rename(&folder, &aside).expect("root may");
    shop.jit(&cron(), &["sweep"])
        .exit(5)
        .says("jit ledger init");
    std::fs::rename(&aside, &folder).expect("root may");
    shop.sweep().ok();
}

/// JSON and nothing else on standard output, whoever asks.
fn json_is_alone_on_standard_output(server: &Server) {
    let shop = Shop::on(server);
    let what = format!("{}:email", shop.table("customers"));
    let table = shop.table("customers");
    for person in [alice(), carol()] {
        let say = |arguments: &[&str]| -> Value {
            let mut all = arguments.to_vec();
            all.extend(["-o", "json"]);
            let output = shop.jit(&person, &all);
            assert!(output.code < 2, "{output}");
            output.json()
        };
        let asked = say(&[
            "request", &what, "--for", "1h", "--reason", "json", "--ticket", "T-1",
        ]);
        let id = asked["id"].as_str().expect("an id").to_owned();
        for key in [
            "state",
            "requester",
            "target",
            "tables",
            "ttl",
            "reason",
            "purpose",
            "ticket",
        ] {
            assert!(asked.get(key).is_some(), "{key} of {asked:#}");
        }
        shop.sweep().ok();
        let view = say(&["show", &id]);
        for key in [
            "id",
            "state",
            "requester",
            "target",
            "grantee",
            "tables",
            "ttl",
            "reason",
            "purpose",
            "ticket",
            "approvals",
            "expires_at",
            "leases",
        ] {
            assert!(view.get(key).is_some(), "{key} of {view:#}");
        }
        assert_eq!(
            view["tables"],
            json!([{ "table": table, "columns": ["email"] }])
        );
        for arguments in [
            &["list"][..],
            &["list", "--all"],
            &["list", "--awaiting-me"],
            &["columns"],
        ] {
            assert!(say(arguments).is_array(), "{arguments:?}");
        }
        for arguments in [
            &[][..],
            &["settings"],
            &["settings", "--origin"],
            &["policy", "check"],
            &["policy", "test"],
            &["policy", "schema"],
            &["policy", "explain", "jitalice", &what],
            &["schema", "request"],
            &["schema", "event"],
            &[
                "request",
                &what,
                "--for",
                "1h",
                "--reason",
                "x",
                "--dry-run",
            ],
            &["doctor"],
        ] {
            say(arguments);
        }
        assert!(say(&["cancel", &id]).is_object());
        shop.sweep().ok();
    }
    let operators: &[&[&str]] = &[
        &["sweep"],
        &["sweep", "--dry-run"],
        &["audit", "verify"],
        &["audit", "head"],
        &["audit", "search", "--requester", "jitalice"],
        &["ledger", "clock"],
        &["revoke", "--everything", "--reason", "x", "--yes"],
        &["resume", "--reason", "x", "--yes"],
    ];
    let mut not_json = Vec::new();
    for arguments in operators {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        let output = shop.jit(&carol(), &all).ok();
        if serde_json::from_str::<Value>(&output.out).is_err() {
            not_json.push(output.to_string());
        }
    }
    assert!(not_json.is_empty(), "{}", not_json.join("\n"));
    let url = server.url(server.superuser(), &shop.database);
    shop.as_superuser(&["setup", "shop", "--as-url", &url, "-o", "json"])
        .ok()
        .json();
    shop.as_superuser(&["setup", "shop", "--apply", "--as-url", &url, "-o", "json"])
        .ok()
        .json();
}

fn a_prefix_of_several_ids_is_an_error(server: &Server) {
    let shop = Shop::on(server);
    // More ids than there are first letters: two of them share one.
    for _ in 0..33 {
        let mut act = shop.ask_act(&["email"], "1h");
        act["purpose"] = Value::Null;
        shop.forge(&alice(), act);
    }
    shop.sweep().ok();
    let all = shop.jit(&alice(), &["list", "-q"]).ok().out;
    let mut ids: Vec<&str> = all.lines().collect();
    assert_eq!(ids.len(), 33);
    ids.sort_unstable();
    let pair = ids
        .windows(2)
        .find(|pair| pair[0][..1] == pair[1][..1])
        .expect("33 ids, fewer letters");
    for person in [alice(), carol()] {
        shop.jit(&person, &["show", &pair[0][..1]])
            .exit(4)
            .says("several")
            .says(pair[0])
            .says(pair[1]);
        shop.jit(&person, &["cancel", &pair[0][..1]]).exit(4);
        shop.jit(&person, &["show", ""]).exit(4);
    }
    let unique = (1..=8)
        .map(|length| &pair[0][..length])
        .find(|prefix| ids.iter().filter(|id| id.starts_with(prefix)).count() == 1)
        .expect("they differ");
    shop.jit(&alice(), &["cancel", unique]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(pair[0]), "cancelled");
    assert_eq!(shop.state(pair[1]), "pending");
}
