//! Law 7: deny by default, and say why. A refusal names the rule, what would be accepted, and what to type; nothing
//! is guessed.

use std::time::Duration;

use crate::support::jit::Output;
use crate::support::people::{Person, alice, bob, carol, cron, dave};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_postgres};

on_every_server!(
    a_refusal_names_the_rule_what_would_do_and_what_to_type,
    what_the_target_lacks_is_refused_before_anybody_is_asked,
    an_unqualified_table_is_the_only_one_or_an_error,
);

on_postgres!(
    bad_durations_and_times_are_usage_errors,
    a_dry_run_records_nothing,
    extensions_count_against_the_total,
    rules_that_changed_under_way_fail_the_request_by_name,
    a_crash_is_not_finished_against_new_rules,
);

const RULES: &str = r"
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email, phone]
    allow:
      - {who: [jitalice], purposes: [support], ticket: 'SUP-\d+', max: 1h, approval: auto}
      - {who: [jitalice], purposes: [incident], max: 2h, approval: {all: [{by: [group:dba], count: 1}]}}
  - name: secrets
    target: shop
    table: '{schema}.customers'
    columns: [ssn]
    allow:
      - {who: [jitbob], max: 1h, approval: {all: [{by: [group:dba], count: 1}]}}
";

/// `jit request` with these arguments.
pub fn request(shop: &Shop<'_>, person: &Person, arguments: &[&str]) -> Output {
    let mut all = vec!["request"];
    all.extend(arguments);
    shop.jit(person, &all)
}

fn a_refusal_names_the_rule_what_would_do_and_what_to_type(server: &Server) {
    let shop = Shop::with_policy(server, RULES);
    let customers = shop.table("customers");
    let cases: &[(&str, &[&str], &[&str])] = &[
        // Too long: the rule, what it gives, and the flag.
        (
            "email",
            &["--for", "2h", "--purpose", "support", "--ticket", "SUP-1"],
            &[
                "jitalice may have",
                "for 1h, not 2h",
                "contact, entry 1",
                "--for 1h",
            ],
        ),
        (
            "email",
            &["--for", "1h"],
            &["needs a purpose: support, incident", "contact"],
        ),
        (
            "email",
            &["--for", "1h", "--purpose", "fun"],
            &["support, incident, not for \"fun\"", "contact", "--purpose"],
        ),
        (
            "email",
            &["--for", "1h", "--purpose", "support"],
            &[
                r"a ticket that matches SUP-\d+",
                "contact, entry 1",
                "--ticket TICKET",
            ],
        ),
        (
            "email",
            &["--for", "1h", "--purpose", "support", "--ticket", "xSUP-1"],
            &[r"a ticket that matches SUP-\d+", "xSUP-1", "does not"],
        ),
        (
            "ssn",
            &["--for", "1h"],
            &["jitalice may not have", "it is for jitbob", "secrets"],
        ),
        // A column that no policy names, and the nearest that one does.
        (
            "emial",
            &["--for", "1h", "--purpose", "support"],
            &["no policy of shop names", ":email"],
        ),
        (
            "name",
            &["--for", "1h", "--purpose", "support"],
            &["no policy of shop names"],
        ),
    ];
    for (column, flags, words) in cases {
        let what = format!("{customers}:{column}");
        let mut arguments = vec!["shop", what.as_str(), "--reason", "a test"];
        arguments.extend(*flags);
        let mut said = request(&shop, &alice(), &arguments).exit(3);
        for word in *words {
            said = said.says(word);
        }
    }
    // One bad column refuses all of it; nothing is skipped.
    let both = format!("{customers}:email,name");
    request(
        &shop,
        &alice(),
        &[
            &both,
            "--for",
            "1h",
            "--purpose",
            "incident",
            "--reason",
            "a test",
        ],
    )
    .exit(3)
    .says("name");
    let orders = format!("{}:note", shop.table("orders"));
    request(
        &shop,
        &alice(),
        &[
            &orders,
            "--for",
            "1h",
            "--purpose",
            "support",
            "--reason",
            "a test",
        ],
    )
    .exit(3)
    .says("no policy of shop names");
    shop.sweep().ok();
    let refused = shop.events("refused");
    assert_eq!(refused.len(), cases.len() + 2, "each is on record");
    assert!(refused.iter().all(|event| event["why"].is_string()));
    assert!(shop.events("granting").is_empty());
    // What was suggested is accepted.
    let what = format!("{customers}:email");
    request(
        &shop,
        &alice(),
        &[
            &what,
            "--for",
            "1h",
            "--purpose",
            "support",
            "--ticket",
            "SUP-1",
            "--reason",
            "a test",
        ],
    )
    .ok();
    shop.sweep().ok();
    assert!(shop.reads("jitalice", "email"));
}

const LACKING: &str = "
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email, emails]
    allow: [{who: [jitalice, jitbob], max: 1h, approval: auto}]
  - name: lost
    target: shop
    table: '{schema}.custommers'
    columns: [email]
    allow: [{who: [jitalice], max: 1h, approval: auto}]
";

fn what_the_target_lacks_is_refused_before_anybody_is_asked(server: &Server) {
    let shop = Shop::bare(server, LACKING);
    let nobody = match server.kind() {
        Kind::Postgres => "jitalicia".to_owned(),
        _ => "jitalicia@%".to_owned(),
    };
    shop.add_settings(&format!("people:\n  jitbob: {{shop: '{nobody}'}}"));
    shop.jit.init();
    shop.set_up();
    for (person, table, column, words) in [
        (
            alice(),
            "customers",
            "emails",
            "has no column emails; did you mean email",
        ),
        (alice(), "custommers", "email", "did you mean"),
        (bob(), "customers", "email", "there is no account jitalicia"),
    ] {
        let what = format!("{}:{column}", shop.table(table));
        let asked = request(
            &shop,
            &person,
            &[&what, "--for", "1h", "--reason", "a test"],
        )
        .ok();
        let id = asked.out.lines().next().expect("an id").to_owned();
        shop.sweep().ok();
        let view = shop.show(&id);
        assert_eq!(view["state"], "refused", "{view:#}");
        let why = view["outcome"].as_str().expect("a text");
        assert!(why.contains(words), "{why}");
        // The requester is told, too.
        shop.jit(&person, &["show", &id]).ok().says("because");
    }
}

fn an_unqualified_table_is_the_only_one_or_an_error(server: &Server) {
    let mut rules = RULES.to_owned();
    rules.push_str(
        "  - name: other\n    target: shop\n    table: '{other}.customers'\n    columns: [email]\n    \
         allow: [{who: [jitbob], max: 1h, approval: auto}]\n",
    );
    let shop = Shop::bare(server, RULES);
    let other = format!("other_{}", shop.suffix);
    shop.dba(&format!("CREATE SCHEMA {other}"));
    shop.dba(&format!(
        "CREATE TABLE {other}.customers (id int, email varchar(80))"
    ));
    shop.jit.init();
    shop.set_up();
    for person in [alice(), bob()] {
        shop.jit(&person, &["list"]).ok();
    }
    shop.sweep().ok();
    let flags = ["--for", "1h", "--purpose", "incident", "--reason", "a test"];
    let ask = |person: &Person, what: &str| {
        let mut arguments = vec![what];
        arguments.extend(flags);
        request(&shop, person, &arguments)
    };
    let full = shop.table("customers");
    ask(&alice(), "customers:email")
        .ok()
        .says(&format!("customers is {full}"));
    ask(&alice(), "customers:*")
        .ok()
        .says(&format!("* is {full}:email,phone"));
    ask(&alice(), "custmers:email").exit(4).says("jit columns");
    ask(&alice(), "custmers:*").exit(4);
    // Now a second one that bob may ask for has the same name, and one of them that he may not.
    let path = shop.jit.path("etc/policies/shop.yaml");
    let text = rules
        .replace("{schema}", &shop.schema())
        .replace("{other}", &other)
        .replace(
            "who: [jitalice], purposes: [incident]",
            "who: [jitalice, jitbob], purposes: [incident]",
        );
    std::fs::write(&path, text).expect("own file");
    shop.set_up();
    shop.sweep().ok();
    ask(&bob(), "customers:email")
        .exit(2)
        .says(&format!("{other}.customers"))
        .says("write it in full");
    let requested = shop.events("requested");
    assert_eq!(requested.len(), 2);
    assert_eq!(requested[0]["table"], full.as_str());
    shop.dba(&match server.kind() {
        Kind::Postgres => format!("DROP SCHEMA {other} CASCADE"),
        _ => format!("DROP SCHEMA {other}"),
    });
}

/// Automatic for support, dba's yes otherwise, which must come within that time.
pub fn lapsing(within: &str) -> String {
    format!(
        "version: 1\npolicies:\n  - name: contact\n    target: shop\n    table: '{{schema}}.customers'\n    \
         columns: [email, phone]\n    allow:\n      \
         - {{who: [jitalice, jitbob], purposes: [support], max: 2h, approval: auto}}\n      \
         - {{who: [jitalice, jitbob], max: 8h, approval: {{all: [{{by: [group:dba], count: 1}}], within: {within}}}}}\n"
    )
}

fn bad_durations_and_times_are_usage_errors(server: &Server) {
    let shop = Shop::on(server);
    let what = format!("{}:email", shop.table("customers"));
    for wrong in [
        "",
        "0",
        "0m",
        "-1h",
        "1",
        "1 month",
        "1M",
        "1y",
        "400d",
        "abc",
        "1h-",
        "99999999999999999h",
    ] {
        let flag = format!("--for={wrong}");
        request(&shop, &alice(), &[&what, &flag, "--reason", "a test"]).exit(2);
    }
    for wrong in [
        "25:00",
        "18",
        "tomorrow",
        "2020-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "",
    ] {
        let flag = format!("--until={wrong}");
        request(&shop, &alice(), &[&what, &flag, "--reason", "a test"]).exit(2);
    }
    let plain: &[&[&str]] = &[
        &["--reason", "a test"],
        &["--for", "1h"],
        &["--for", "1h", "--reason", "  "],
        &["--for", "1h", "--until", "18:00", "--reason", "a test"],
        &["--for", "1h", "--reason", "a test", "--wait=soon"],
    ];
    for flags in plain {
        let mut arguments = vec![what.as_str()];
        arguments.extend(*flags);
        request(&shop, &alice(), &arguments).exit(2);
    }
    for wrong in [
        "public.customers",
        "public.customers:",
        "public.customers:email,",
        ":email",
        "a.b.c:d",
        "public.customers:email,email",
        "\"public.customers:email",
        "public.customers:email:x",
        "shop shop",
    ] {
        request(
            &shop,
            &alice(),
            &["shop", wrong, "--for", "1h", "--reason", "a test"],
        )
        .exit(2);
    }
    shop.sweep().ok();
    assert!(
        shop.events("requested").is_empty(),
        "nothing of it was handed in"
    );
    // A time of day is the next such time, and is said in full where it is not today's.
    let then = chrono::Utc::now() + chrono::Duration::minutes(90);
    let at = then.format("%H:%M").to_string();
    let said = request(
        &shop,
        &alice(),
        &[
            &what,
            "--until",
            &at,
            "--reason",
            "a test",
            "--purpose",
            "support",
        ],
    )
    .ok();
    let in_full = then.format("until %Y-%m-%d %H:%M").to_string();
    assert!(
        said.err.contains(&format!("until {at}")) || said.err.contains(&in_full),
        "{said}"
    );
}

fn a_dry_run_records_nothing(server: &Server) {
    let shop = Shop::on(server);
    let what = format!("{}:email", shop.table("customers"));
    for (person, ttl, code) in [
        (alice(), "1h", 0),
        (alice(), "99h", 3),
        (carol(), "1h", 0),
        (carol(), "99h", 3),
    ] {
        request(
            &shop,
            &person,
            &[&what, "--for", ttl, "--reason", "a test", "--dry-run"],
        )
        .exit(code);
    }
    let before = shop.jit.events().len();
    shop.sweep().ok();
    assert_eq!(shop.jit.events().len(), before);
    assert!(shop.events("requested").is_empty() && shop.events("refused").is_empty());
    shop.jit(&cron(), &["list", "--all"]).ok().says("nothing");
}

fn extensions_count_against_the_total(server: &Server) {
    let rules = lapsing("1h").replace("max: 2h,", "max: 5s, max_total: 6s,");
    let shop = Shop::with_policy(server, &rules);
    let first = shop.lease(&alice(), "email", "5s");
    std::thread::sleep(Duration::from_millis(1500));
    let extended = shop.jit(
        &alice(),
        &["extend", &first, "--for", "5s", "--reason", "more"],
    );
    let id = extended.out.lines().next().expect("an id").to_owned();
    shop.sweep().ok();
    let view = shop.show(&id);
    assert_eq!(view["state"], "refused", "{view:#}");
    let why = view["outcome"].to_string();
    assert!(
        why.contains("for 6s unbroken") && why.contains("contact, entry 1"),
        "{why}"
    );
    // A plain request for the same column is no way around it; another column is counted by itself.
    let again = shop.ask(&alice(), "email,phone", "5s", &["--purpose", "support"]);
    let other = shop.ask(&alice(), "phone", "5s", &["--purpose", "support"]);
    shop.sweep().ok();
    assert_eq!(shop.state(&again), "refused");
    assert_eq!(shop.state(&other), "active");
}

/// Keeps anything from being granted until it is dropped: the audit file is away.
struct NoAudit<'a>(&'a Shop<'a>);

impl<'a> NoAudit<'a> {
    fn new(shop: &'a Shop<'a>) -> Self {
        let audit = shop.jit.audit();
        std::fs::rename(&audit, audit.with_extension("aside")).expect("root may");
        std::fs::create_dir(&audit).expect("root may");
        Self(shop)
    }
}

impl Drop for NoAudit<'_> {
    fn drop(&mut self) {
        let audit = self.0.jit.audit();
        let _ = std::fs::remove_dir(&audit);
        let _ = std::fs::rename(audit.with_extension("aside"), &audit);
    }
}

fn rules_that_changed_under_way_fail_the_request_by_name(server: &Server) {
    let shop = Shop::on(server);
    let rules = "etc/policies/shop.yaml";
    // Between request and approval.
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.edit(rules, "max: 8h", "max: 30m");
    shop.edit(rules, "max: 2h", "max: 20m");
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    shop.sweep();
    let view = shop.show(&id);
    assert_eq!(view["state"], "failed", "{view:#}");
    let why = view["outcome"].to_string();
    assert!(
        why.contains("no longer allowed") && why.contains("contact, entry 2"),
        "{why}"
    );
    shop.edit(rules, "max: 30m", "max: 8h");
    // Between approval and grant: shorter, more approvals, another class of people.
    for (from, to, words) in [
        ("max: 8h", "max: 30m", "contact, entry 2"),
        ("count: 1", "count: 2", "approvals that it does not have"),
        (
            "jitalice, jitbob, jitmallory",
            "jitbob, jitmallory",
            "jitalice",
        ),
    ] {
        let id = shop.ask(&alice(), "email", "1h", &[]);
        shop.sweep().ok();
        let away = NoAudit::new(&shop);
        shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
        shop.sweep();
        assert_eq!(shop.state(&id), "approved");
        shop.edit(rules, from, to);
        drop(away);
        shop.sweep();
        let view = shop.show(&id);
        assert_eq!(view["state"], "failed", "{to}: {view:#}");
        let why = view["outcome"].to_string();
        assert!(why.contains(words), "{to}: {why}");
        assert!(!shop.reads("jitalice", "email"));
        shop.edit(rules, to, from);
    }
    let changed = shop.events("settings_changed");
    assert!(
        changed.len() >= 8,
        "each change is on record: {}",
        changed.len()
    );
    shop.audit_is_sound();
}

fn a_crash_is_not_finished_against_new_rules(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    let killed = crate::support::jit::run(&mut shop.sweep_at("intent-audited=kill"), "");
    assert_eq!(killed.code, 137, "{killed}");
    assert_eq!(shop.state(&id), "granting");
    shop.edit("etc/policies/shop.yaml", "count: 1", "count: 2");
    shop.sweep();
    shop.sweep();
    assert_eq!(shop.state(&id), "failed", "{:#}", shop.show(&id));
    assert!(!shop.reads("jitalice", "email"));
    assert!(shop.events("granted").is_empty());
}
