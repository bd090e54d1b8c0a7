//! What a lease is made of: columns leased along, USAGE, several tables, odd names, sessions; and that a target can
//! be left without a trace.

use crate::support::jit::run;
use crate::support::people::{alice, bob, carol, cron, dave};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::{
    Session, on_every_server, on_every_server_and_postgres_18, on_mariadb, on_postgres,
};

on_every_server!(
    what_is_leased_along_comes_and_goes_with_the_lease,
    several_tables_are_all_given_or_none,
    approval_lines_are_met_by_different_people,
);

on_every_server_and_postgres_18!(
    odd_names_are_leased_as_they_are,
    a_set_up_is_undone_without_a_trace_and_never_under_a_lease,
);

on_postgres!(
    usage_that_is_missing_is_refused_with_the_sql,
    usage_is_leased_along_where_the_policy_says_so,
    nobody_is_public,
    sessions_that_read_on_are_reported_or_ended,
);

on_mariadb!(what_mariadb_cannot_keep_is_said_before);

/// One entry for alice and bob: automatic for support, dba's yes otherwise.
fn policy(columns: &str, more: &str) -> String {
    format!(
        "version: 1\npolicies:\n  - name: contact\n    target: shop\n    table: '{{schema}}.customers'\n    \
         columns: {columns}\n{more}    allow:\n      \
         - {{who: [jitalice, jitbob], purposes: [support], max: 2h, approval: auto}}\n      \
         - {{who: [jitalice, jitbob], max: 8h, approval: {{all: [{{by: [group:dba], count: 1}}]}}}}\n"
    )
}

fn what_is_leased_along_comes_and_goes_with_the_lease(server: &Server) {
    let shop = Shop::with_policy(server, &policy("[email]", "    with: [id, name]\n"));
    shop.dba(&format!(
        "GRANT SELECT (name) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    let id = shop.lease(&alice(), "email", "1h");
    assert!(shop.reads("jitalice", "id, name, email"));
    assert!(!shop.reads("jitalice", "phone"));
    let columns: Vec<String> = shop.show(&id)["leases"]
        .as_array()
        .expect("leases")
        .iter()
        .map(|lease| lease["column"].as_str().expect("a column").to_owned())
        .collect();
    assert_eq!(columns.len(), 2, "{columns:?}");
    assert!(!columns.contains(&"name".to_owned()), "readable already");
    // She is told before: all that she will be able to read there.
    let will_read = shop.show(&id)["will_read"].to_string();
    for column in ["id", "name", "email"] {
        assert!(will_read.contains(column), "{will_read}");
    }
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "email") && !shop.reads("jitalice", "id"));
    assert!(shop.reads("jitalice", "name"), "what she had stays");
}

const TWO_TABLES: &str = "
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email]
    allow: [{who: [jitalice], max: 2h, approval: auto}]
  - name: notes
    target: shop
    table: '{schema}.ord*'
    columns: ['n*']
    allow: [{who: [jitalice], max: 1h, approval: auto}]
";

fn several_tables_are_all_given_or_none(server: &Server) {
    let shop = Shop::with_policy(server, TWO_TABLES);
    let (email, note) = (
        format!("{}:email", shop.table("customers")),
        format!("{}:note", shop.table("orders")),
    );
    let ask = || {
        let asked = shop.jit(
            &alice(),
            &[
                "request", &email, &note, "--for", "1h", "--reason", "a test",
            ],
        );
        asked.ok().out.lines().next().expect("an id").to_owned()
    };
    let read_note = format!("SELECT note FROM {}", shop.table("orders"));
    let id = ask();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "active");
    assert!(shop.reads("jitalice", "email") && shop.selects("jitalice", &read_note));
    assert_eq!(shop.events("granted").len(), 2, "a line a table");
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "email") && !shop.selects("jitalice", &read_note));

    // One of them becomes ungrantable between the intent and the GRANT.
    let id = ask();
    let go = shop.jit.path("go");
    let mut sweep = shop.sweep_at(&format!("intent-audited=wait:{}", go.display()));
    let sweeping = std::thread::spawn(move || run(&mut sweep, ""));
    let begun = std::time::Instant::now();
    while shop.events("granting").len() < 4 {
        assert!(begun.elapsed().as_secs() < 30, "no intent was written");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    shop.dba(&format!("DROP TABLE {}", shop.table("orders")));
    std::fs::write(&go, "").expect("own file");
    let _ = sweeping.join().expect("a sweep");
    shop.sweep();
    assert_eq!(shop.state(&id), "failed", "{:#}", shop.show(&id));
    assert!(!shop.reads("jitalice", "email"), "all or nothing");
    assert!(!shop.has_row("jitalice", "customers", "email"));
    assert_eq!(shop.events("granted").len(), 2);
    shop.audit_is_sound();
}

fn odd_names_are_leased_as_they_are(server: &Server) {
    let postgres = server.kind() == Kind::Postgres;
    let longest = "x".repeat(if postgres { 63 } else { 64 });
    let mut columns = vec![
        "e,mail",
        "we\"ird",
        "a:b",
        "d.ot",
        "select",
        "with space",
        "CamelCase",
        "it's",
        "tick`ed",
        "back\\slash",
        "*",
        "Gr\u{f6}\u{df}e",
        "\u{96fb}\u{5b50}\u{90f5}\u{4ef6}",
        &longest,
    ];
    if postgres {
        // The same to the eye: two columns all the same. And one that differs by case alone.
        columns.extend(["Gro\u{308}\u{df}e", "camelcase"]);
    }
    let table = "My \"Shop\".Orders:1,2";
    let quoted = |name: &str| match server.kind() {
        Kind::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        Kind::Mysql | Kind::Mariadb => format!("`{}`", name.replace('`', "``")),
    };
    // As people type it, on every engine.
    let typed = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let policy = "
version: 1
policies:
  - name: odd
    target: shop
    table: '{schema}.*'
    columns: ['*']
    allow: [{who: [jitalice], max: 2h, approval: auto}]
";
    let shop = Shop::bare(server, policy);
    let definition: Vec<String> = columns
        .iter()
        .map(|name| format!("{} varchar(20)", quoted(name)))
        .collect();
    let full = format!("{}.{}", quoted(&shop.schema()), quoted(table));
    shop.dba(&format!("CREATE TABLE {full} ({})", definition.join(", ")));
    shop.jit.init();
    shop.set_up();
    shop.jit(&alice(), &["list"]).ok();
    shop.sweep().ok();

    let names: Vec<String> = columns.iter().map(|name| typed(name)).collect();
    let what = format!("{}.{}:{}", shop.schema(), typed(table), names.join(","));
    let asked = shop
        .jit(
            &alice(),
            &["request", &what, "--for", "1h", "--reason", "odd"],
        )
        .ok();
    let id = asked.out.lines().next().expect("an id").to_owned();
    shop.sweep().ok();
    assert_eq!(
        shop.state(&id),
        "active",
        "{}",
        shop.jit(&cron(), &["show", &id])
    );
    let select = |name: &str| format!("SELECT {} FROM {full}", quoted(name));
    for name in &columns {
        assert!(shop.selects("jitalice", &select(name)), "{name}");
    }
    // What is shown can be typed again.
    let shown = shop.jit(&alice(), &["show", &id]).ok().out;
    assert!(shown.contains("we\"\"ird"), "{shown}");
    // One of them alone: a second lease keeps just that one.
    let one = format!("{}.{}:{}", shop.schema(), typed(table), typed("a:b"));
    let second = shop
        .jit(
            &alice(),
            &["request", &one, "--for", "2h", "--reason", "odd"],
        )
        .ok();
    let second = second.out.lines().next().expect("an id").to_owned();
    shop.sweep().ok();
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    for name in &columns {
        assert_eq!(
            shop.selects("jitalice", &select(name)),
            *name == "a:b",
            "{name}"
        );
    }
    shop.jit(
        &carol(),
        &["revoke", "--column", &one, "--reason", "odd", "--yes"],
    )
    .ok();
    assert_eq!(shop.state(&second), "ended");
    assert!(!shop.selects("jitalice", &select("a:b")));
    shop.audit_is_sound();
}

fn a_set_up_is_undone_without_a_trace_and_never_under_a_lease(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let url = server.url(server.superuser(), &shop.database);
    let undo = ["setup", "shop", "--undo", "--apply", "--as-url", &url];
    shop.as_superuser(&undo).exit(4).says(&id);
    assert!(shop.reads("jitalice", "email"));
    // Who cannot see the leases cannot know that there are none.
    shop.jit(&dave(), &["setup", "shop", "--undo"]).exit(3);
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    shop.as_superuser(&undo).ok();
    match server.kind() {
        Kind::Postgres => {
            let traces = shop.dba(&format!(
                "SELECT rolname FROM pg_roles WHERE rolname IN ('jit_grantor_{0}', 'jitadmin_{0}') \
                 UNION ALL SELECT attname FROM pg_attribute WHERE attacl::text LIKE '%jit_grantor_{0}%' \
                 UNION ALL SELECT nspname FROM pg_namespace WHERE nspacl::text LIKE '%jit_grantor_{0}%'",
                shop.suffix
            ));
            assert!(traces.is_empty(), "{traces:?}");
        }
        Kind::Mysql | Kind::Mariadb => {
            let traces = shop.dba(&format!(
                "SELECT Table_name FROM mysql.tables_priv WHERE User = '{0}' \
                 UNION ALL SELECT Column_name FROM mysql.columns_priv WHERE User = '{0}' \
                 UNION ALL SELECT Db FROM mysql.db WHERE User = '{0}' \
                 UNION ALL SELECT User FROM mysql.user WHERE User = '{0}'",
                shop.login("jitadmin")
            ));
            assert!(traces.is_empty(), "{traces:?}");
        }
    }
    // And it can be set up again; the login's password is its owners' affair.
    shop.set_up();
    let login = shop.account("jitadmin");
    shop.dba(&match server.kind() {
        Kind::Postgres => format!("ALTER ROLE {login} PASSWORD 'open sesame'"),
        _ => format!("ALTER USER {login} IDENTIFIED BY 'open sesame' ACCOUNT UNLOCK"),
    });
    shop.lease(&alice(), "email", "1h");
}

fn approval_lines_are_met_by_different_people(server: &Server) {
    let policy = "
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email]
    allow:
      - who: [jitalice, jitcarol]
        max: 2h
        approval: {all: [{by: [group:dba], count: 1}, {by: [group:privacy], count: 1}]}
";
    let shop = Shop::bare(server, policy);
    shop.edit(
        "etc/config.yaml",
        "dba: [jitcarol, jitdave]",
        "dba: [jitcarol, jitdave]\n  privacy: [jitcarol]",
    );
    shop.jit.init();
    shop.set_up();
    for person in shop.people() {
        shop.jit(&person, &["list"]).ok();
    }
    shop.sweep().ok();
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    // carol is in both groups: her one yes does not meet both lines.
    shop.jit(&carol(), &["approve", &id, "--yes"]).ok();
    assert_eq!(shop.state(&id), "pending");
    assert_eq!(
        shop.show(&id)["approvers"],
        serde_json::json!(["jitdave"]),
        "who can still help"
    );
    shop.sweep().ok();
    shop.jit(&bob(), &["approve", &id, "--yes"]).exit(4);
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "active");
    // carol alone could approve for privacy: her own request can never be met, and that is said at once.
    let column = format!("{}:email", shop.table("customers"));
    shop.jit(
        &carol(),
        &["request", &column, "--for", "1h", "--reason", "mine"],
    )
    .exit(3)
    .says("not enough different people");
}

/// customers lies in a schema that alice may not use.
fn private<'s>(server: &'s Server, usage: &str) -> Shop<'s> {
    let policy = policy("[email]", usage).replace("{schema}", "private");
    let shop = Shop::bare(server, &policy);
    shop.dba("CREATE SCHEMA private");
    shop.dba("ALTER TABLE customers SET SCHEMA private");
    shop.dba("CREATE TABLE private.open (x int); GRANT SELECT ON private.open TO PUBLIC");
    shop.jit.init();
    shop.set_up();
    for person in shop.people() {
        shop.jit(&person, &["list"]).ok();
    }
    shop.sweep().ok();
    shop
}

fn ask_private(shop: &Shop<'_>) -> String {
    let asked = shop.jit(
        &alice(),
        &[
            "request",
            "private.customers:email",
            "--for",
            "1h",
            "--reason",
            "a test",
        ],
    );
    let id = asked.ok().out.lines().next().expect("an id").to_owned();
    shop.sweep().ok();
    id
}

fn usage_that_is_missing_is_refused_with_the_sql(server: &Server) {
    let shop = private(server, "");
    let id = ask_private(&shop);
    let view = shop.show(&id);
    assert_eq!(view["state"], "refused");
    let why = view["outcome"].as_str().expect("a text");
    let sql = format!(
        "GRANT USAGE ON SCHEMA \"private\" TO \"{}\"",
        shop.login("jitalice")
    );
    assert!(why.contains(&sql), "{why}");
    shop.dba(&sql);
    let id = ask_private(&shop);
    assert_eq!(shop.state(&id), "pending");
}

fn usage_is_leased_along_where_the_policy_says_so(server: &Server) {
    let shop = private(server, "    usage: grant\n");
    let id = ask_private(&shop);
    assert_eq!(shop.state(&id), "pending");
    // The approver is told what else it opens.
    let shown = shop.jit(&dave(), &["show", &id]).ok().out;
    assert!(shown.contains("USAGE") && shown.contains("open"), "{shown}");
    shop.jit(&dave(), &["approve", &id, "--yes"]).ok();
    shop.sweep().ok();
    let sql = "SELECT email FROM private.customers";
    assert!(shop.selects("jitalice", sql));
    assert!(shop.selects("jitalice", "SELECT x FROM private.open"));
    let second = ask_private(&shop);
    shop.jit(&dave(), &["approve", &second, "--yes"]).ok();
    shop.sweep().ok();
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert!(shop.selects("jitalice", sql), "the second lease keeps both");
    shop.jit(&alice(), &["return", &second]).ok();
    shop.sweep().ok();
    assert!(!shop.selects("jitalice", sql));
    assert!(!shop.selects("jitalice", "SELECT x FROM private.open"));
    let usage = shop.dba(&format!(
        "SELECT has_schema_privilege('{}', 'private', 'USAGE')::text",
        shop.login("jitalice")
    ));
    assert_eq!(usage[0][0].as_deref(), Some("false"));
    shop.audit_is_sound();
}

fn nobody_is_public(server: &Server) {
    for name in ["public", "PUBLIC", "\"public\"", "current_user", "postgres"] {
        let shop = Shop::bare(server, &policy("[email]", ""));
        shop.add_settings(&format!("people:\n  jitbob: {{shop: '{name}'}}"));
        shop.jit.init();
        shop.set_up();
        shop.jit(&bob(), &["list"]).ok();
        shop.sweep().ok();
        let id = shop.ask(&bob(), "email", "1h", &["--purpose", "support"]);
        shop.sweep();
        assert_eq!(shop.state(&id), "refused", "{name}");
        assert!(!shop.reads("jitalice", "email") && !shop.reads("jitbob", "email"));
    }
}

fn sessions_that_read_on_are_reported_or_ended(server: &Server) {
    for (how, goes_on) in [("", true), ("    sessions: end\n", false)] {
        let text = policy("[email]", "").replace(
            "max: 2h, approval: auto",
            if how.is_empty() {
                "max: 2h, approval: auto"
            } else {
                "max: 2h, sessions: end, approval: auto"
            },
        );
        let shop = Shop::with_policy(server, &text);
        shop.dba(&format!(
            "GRANT pg_signal_backend TO {}",
            shop.login("jitadmin")
        ));
        let id = shop.lease(&alice(), "email", "1h");
        let mut session =
            Session::open(server, &shop.as_account("jitalice")).expect("alice logs in");
        session
            .sql("BEGIN; DECLARE c CURSOR FOR SELECT email FROM customers; FETCH 1 FROM c")
            .expect("she may");
        shop.jit(&alice(), &["return", &id]).ok();
        shop.sweep().ok();
        assert_eq!(shop.state(&id), "ended");
        let revoked = &shop.events("revoked")[0];
        assert!(
            revoked["observed"]["sessions"].is_array(),
            "said in the same breath: {revoked:#}"
        );
        assert_eq!(session.sql("FETCH 1 FROM c").is_ok(), goes_on);
    }
}

fn what_mariadb_cannot_keep_is_said_before(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    for person in [alice(), dave(), carol()] {
        let shown = shop.jit(&person, &["show", &id]).ok().out;
        assert!(shown.contains("HANDLER"), "{}: {shown}", person.name);
    }
}
