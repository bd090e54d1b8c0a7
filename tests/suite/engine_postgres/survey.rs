//! What is told before anybody approves.

use jit::access::{SurveyProblem, TablePattern};
use jit::policy::glob::TableGlob;

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    every_way_of_reading_already_is_found,
    a_lease_of_ours_is_no_reading_already,
    what_is_no_table_is_refused,
    who_is_unfit_is_refused,
    mistyped_names_are_answered_with_near_ones,
    what_the_owner_must_run_is_told_and_helps,
    connect_and_usage_are_told_with_the_sql,
    columns_leased_along_are_left_out_where_readable_or_missing,
    all_columns_that_will_be_readable_are_shown,
    what_an_approver_may_not_expect_is_said,
    the_catalog_lists_what_can_be_leased,
    a_catalog_of_patterns_has_what_they_match_and_little_else,
);

fn problems(shop: &mut Shop, login: &Login, of: TableColumns) -> Vec<SurveyProblem> {
    let ask = shop.ask(login, of);
    shop.survey(&[ask]).remove(0).problems
}

fn every_way_of_reading_already_is_found(server: &Server) {
    let mut shop = Shop::open(server);
    let n = unique();
    shop.run(&format!(
        "CREATE ROLE analysts_{n}; CREATE ROLE inner_{n}; GRANT analysts_{n} TO inner_{n};
         GRANT SELECT ON app.customers TO analysts_{n}"
    ));
    let owner = shop.owner.user.clone();
    let database = shop.database.clone();
    let cases: Vec<(&str, String, String)> = vec![
        (
            "own",
            "GRANT SELECT (email) ON app.customers TO {}".into(),
            format!("column grant by {owner}"),
        ),
        (
            "table",
            "GRANT SELECT ON app.customers TO {}".into(),
            format!("table grant by {owner}"),
        ),
        (
            "inherited",
            format!("GRANT analysts_{n} TO {{}}"),
            format!("role analysts_{n} (table grant by {owner})"),
        ),
        (
            "inherited twice",
            format!("GRANT inner_{n} TO {{}}"),
            format!("role analysts_{n} (table grant by {owner})"),
        ),
        (
            "set role",
            format!("GRANT analysts_{n} TO {{}}; ALTER ROLE {{}} NOINHERIT"),
            format!("role analysts_{n} (table grant by {owner}) by SET ROLE"),
        ),
        (
            "owner's member",
            format!("GRANT {owner} TO {{}}"),
            format!("role {owner} (owner)"),
        ),
        (
            "all data",
            "GRANT pg_read_all_data TO {}".into(),
            "role pg_read_all_data".into(),
        ),
    ];
    for (what, sql, how) in cases {
        let login = server.account("reader", &database);
        // On 16 and later the option is the membership's own.
        let sql = sql.replace("{}", &login.user);
        let sql = match (what, server.version().starts_with("15")) {
            ("set role", false) => format!(
                "GRANT analysts_{n} TO {} WITH INHERIT FALSE, SET TRUE",
                login.user
            ),
            _ => sql,
        };
        shop.run(&sql);
        let ask = shop.ask(&login, columns(&customers(), &["email"]));
        let survey = shop.survey(&[ask]).remove(0);
        let found: Vec<&str> = survey.readable.iter().map(|r| r.how.as_str()).collect();
        assert_eq!(found, [how.as_str()], "{what}");
        // And after a lease of ours ended, it is the same that is still there.
        let given = survey.privileges;
        assert_eq!(errors(&shop.grant(&[order(&given)])), [""; 0], "{what}");
        shop.taken(&given);
        assert_eq!(shop.still_reads(&given), [how], "{what}");
    }
    shop.as_owner("GRANT SELECT (email) ON app.customers TO PUBLIC");
    let alice = shop.alice.clone();
    let ask = shop.ask(&alice, columns(&customers(), &["email", "phone"]));
    let survey = shop.survey(&[ask]).remove(0);
    assert_eq!(survey.readable.len(), 1, "{survey:?}");
    assert_eq!(
        survey.readable[0].how,
        format!("PUBLIC (column grant by {owner})")
    );
}

fn a_lease_of_ours_is_no_reading_already(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    shop.given(&["email"]);
    let ask = shop.ask(&alice, columns(&customers(), &["email"]));
    let survey = shop.survey(&[ask]).remove(0);
    assert_eq!(survey.readable, []);
    assert_eq!(survey.problems, []);
    // But what ours gave to somebody else is a way like any other.
    let bob = server.account("bob", &shop.database);
    shop.run(&format!("GRANT {} TO {}", alice.user, bob.user));
    let ask = shop.ask(&bob, columns(&customers(), &["email"]));
    assert_eq!(shop.survey(&[ask])[0].readable.len(), 1);
}

fn what_is_no_table_is_refused(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    shop.run(
        "CREATE EXTENSION IF NOT EXISTS file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE app.foreign_one (a text) SERVER files OPTIONS (filename '/dev/null');
         CREATE SEQUENCE app.seq; CREATE TYPE app.pair AS (a int)",
    );
    for (schema, table, what) in [
        ("app", "foreign_one", "a foreign table"),
        ("app", "seq", "a sequence"),
        ("app", "customers_pkey", "an index"),
        ("app", "pair", "a composite type"),
        ("pg_catalog", "pg_class", "a system table"),
        ("information_schema", "tables", "a system table"),
    ] {
        let table = TableName::new(schema, table);
        assert_eq!(
            problems(&mut shop, &alice, columns(&table, &["a"])),
            [SurveyProblem::NotATable {
                table,
                what: what.to_owned()
            }]
        );
    }
}

fn who_is_unfit_is_refused(server: &Server) {
    let mut shop = Shop::open(server);
    let n = unique();
    let boss = server.account("boss", &shop.database);
    let friend = server.account("friend", &shop.database);
    shop.run(&format!(
        "CREATE ROLE nologin_{n}; GRANT {0} TO {1}; GRANT {2} TO {3}",
        boss.user, shop.alice.user, shop.grantor, friend.user
    ));
    let who = |name: &str| Login::new(name, "", "");
    for (login, why) in [
        (who("postgres"), "is a superuser"),
        (shop.jit.clone(), "jit itself logs in as"),
        (who(&shop.grantor), "grantor role"),
        (friend, "grantor role"),
        (who(&format!("nologin_{n}")), "nobody can log in"),
        (boss, "has members"),
    ] {
        let found = problems(&mut shop, &login, columns(&customers(), &["email"]));
        assert!(
            matches!(&found[..], [SurveyProblem::Unfit { why: said, .. }] if said.contains(why)),
            "{}: {found:?}",
            login.user
        );
    }
}

fn mistyped_names_are_answered_with_near_ones(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let near = |found: Vec<SurveyProblem>| match found.into_iter().next() {
        Some(
            SurveyProblem::NoTable { near, .. }
            | SurveyProblem::NoColumn { near, .. }
            | SurveyProblem::NoAccount { near, .. },
        ) => near.into_iter().next(),
        other => panic!("{other:?}"),
    };
    let table = TableName::new("app", "custmers");
    let found = problems(&mut shop, &alice, columns(&table, &["email"]));
    assert_eq!(near(found).as_deref(), Some("app.customers"));
    let found = problems(&mut shop, &alice, columns(&customers(), &["emial"]));
    assert_eq!(near(found).as_deref(), Some("email"));
    let wrong = Login::new(&format!("{}x", alice.user), "", "");
    let found = problems(&mut shop, &wrong, columns(&customers(), &["email"]));
    assert_eq!(near(found), Some(alice.user));
}

fn what_the_owner_must_run_is_told_and_helps(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    shop.as_owner("REVOKE USAGE ON SCHEMA app FROM PUBLIC");
    shop.as_owner(&format!("REVOKE USAGE ON SCHEMA app FROM {}", shop.grantor));
    shop.as_owner(&format!("GRANT USAGE ON SCHEMA app TO {}", alice.user));
    let found = problems(
        &mut shop,
        &alice,
        columns(&customers(), &["email", "secret"]),
    );
    let [
        SurveyProblem::NotOurs {
            columns: names,
            sql,
            ..
        },
    ] = &found[..]
    else {
        panic!("{found:?}");
    };
    assert_eq!(names.len(), 2, "{found:?}");
    assert_eq!(sql.len(), 2, "{found:?}");
    for statement in sql {
        shop.as_owner(statement);
    }
    assert_eq!(
        problems(
            &mut shop,
            &alice,
            columns(&customers(), &["email", "secret"])
        ),
        []
    );
    shop.given(&["email", "secret"]);
}

fn connect_and_usage_are_told_with_the_sql(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let ask = shop.ask(&alice, columns(&customers(), &["email"]));
    assert_eq!(shop.survey(std::slice::from_ref(&ask))[0].prerequisites, []);
    shop.run(&format!(
        "REVOKE CONNECT ON DATABASE {} FROM PUBLIC; REVOKE USAGE ON SCHEMA app FROM PUBLIC;
         GRANT USAGE ON SCHEMA app TO {}",
        shop.database, shop.grantor
    ));
    let found = shop
        .survey(std::slice::from_ref(&ask))
        .remove(0)
        .prerequisites;
    assert_eq!(found.len(), 2, "{found:?}");
    for lacking in &found {
        assert_eq!(lacking.lease, None, "no policy says usage: grant");
        shop.run(&lacking.sql);
    }
    assert_eq!(shop.survey(&[ask])[0].prerequisites, []);
    shop.given(&["email"]);
    assert_eq!(shop.reads(&alice, "SELECT email FROM app.customers"), Ok(2));
}

fn columns_leased_along_are_left_out_where_readable_or_missing(server: &Server) {
    let mut shop = Shop::with(
        server,
        USUAL_TABLE,
        vec![(
            customers(),
            vec![column("email"), column("phone"), column("id")],
        )],
    );
    let alice = shop.alice.clone();
    shop.as_owner(&format!(
        "GRANT SELECT (phone) ON app.customers TO {}",
        alice.user
    ));
    let mut ask = shop.ask(&alice, columns(&customers(), &["email"]));
    ask.along = vec![
        columns(&customers(), &["phone", "id", "nothing", "email"]),
        columns(&TableName::new("app", "nowhere"), &["x"]),
    ];
    let survey = shop.survey(&[ask]).remove(0);
    assert_eq!(survey.problems, []);
    assert_eq!(survey.readable, []);
    let names: Vec<_> = survey
        .privileges
        .iter()
        .filter_map(|privilege| privilege.named.column())
        .map(ColumnName::as_str)
        .collect();
    assert_eq!(names, ["email", "id"]);
}

fn all_columns_that_will_be_readable_are_shown(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    shop.as_owner("GRANT SELECT (id) ON app.customers TO PUBLIC");
    shop.given(&["phone"]);
    let ask = shop.ask(&alice, columns(&customers(), &["email"]));
    assert_eq!(
        shop.survey(&[ask])[0].will_read,
        [columns(&customers(), &["id", "email", "phone"])]
    );
}

fn what_an_approver_may_not_expect_is_said(server: &Server) {
    let sql = "
        CREATE TABLE app.rows (a int, b int GENERATED ALWAYS AS (a * 2) STORED); ALTER TABLE app.rows ENABLE ROW LEVEL SECURITY;
        CREATE TABLE app.parts (a int) PARTITION BY RANGE (a);
        CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES FROM (0) TO (10);
        CREATE TABLE app.seen (a int, b int); CREATE VIEW app.shows AS SELECT a FROM app.seen; GRANT SELECT ON app.shows TO PUBLIC;
        CREATE MATERIALIZED VIEW app.copy AS SELECT a FROM app.seen;";
    let needs: Vec<_> = [
        ("rows", "b"),
        ("parts", "a"),
        ("part1", "a"),
        ("seen", "a"),
        ("seen", "b"),
        ("shows", "a"),
        ("copy", "a"),
    ]
    .map(|(table, name)| (TableName::new("app", table), vec![column(name)]))
    .to_vec();
    let mut shop = Shop::with(server, sql, needs);
    let alice = shop.alice.clone();
    for (table, name, wanted) in [
        ("rows", "b", vec!["row-level security", "is generated"]),
        ("parts", "a", vec!["is partitioned"]),
        ("part1", "a", vec!["is a partition of app.parts"]),
        ("seen", "a", vec!["app.shows"]),
        ("seen", "b", vec![]),
        ("copy", "a", vec!["materialized view"]),
    ] {
        let ask = shop.ask(&alice, columns(&TableName::new("app", table), &[name]));
        let survey = shop.survey(&[ask]).remove(0);
        assert_eq!(survey.caveats.len(), wanted.len(), "{table}: {survey:?}");
        for words in wanted {
            assert!(
                survey.caveats.iter().any(|caveat| caveat.contains(words)),
                "{table}: {survey:?}"
            );
        }
    }
    // A view and a materialized view can be leased themselves.
    shop.as_owner("REVOKE SELECT ON app.shows FROM PUBLIC");
    for table in ["shows", "copy", "parts"] {
        let of = columns(&TableName::new("app", table), &["a"]);
        let given = shop.given_to(&alice, of);
        let read = format!("SELECT a FROM app.{table}");
        assert_eq!(shop.reads(&alice, &read), Ok(0));
        shop.taken(&given);
        assert_eq!(shop.reads(&alice, &read), Err("42501".into()));
    }
}

fn the_catalog_lists_what_can_be_leased(server: &Server) {
    let mut shop = Shop::open(server);
    shop.as_owner(
        "ALTER TABLE app.customers DROP COLUMN phone; CREATE VIEW app.v AS SELECT 1 AS one; CREATE SEQUENCE app.s",
    );
    let catalog = shop
        .runtime
        .block_on(shop.engine.catalog(&[TablePattern::any()]))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        catalog,
        [
            (
                customers(),
                vec![column("id"), column("email"), column("secret")]
            ),
            (TableName::new("app", "v"), vec![column("one")]),
        ]
    );
}

fn a_catalog_of_patterns_has_what_they_match_and_little_else(server: &Server) {
    let mut shop = Shop::open(server);
    let odd = [
        "cust_mers",
        "custXmers",
        "cust%",
        "back\\slash",
        "Été",
        "nothing",
    ];
    for name in odd {
        shop.as_owner(&format!("CREATE TABLE app.\"{name}\" (a int)"));
    }
    let mut catalog = |of: &[TablePattern]| {
        let found = shop.runtime.block_on(shop.engine.catalog(of));
        found.unwrap_or_else(|error| panic!("{error}"))
    };
    let all = catalog(&[TablePattern::any()]);
    assert_eq!(all.len(), odd.len() + 1);
    assert_eq!(catalog(&[]), []);
    let mut patterns = Vec::new();
    for (text, count) in [
        ("app.customers", 1),
        ("app.cust_*", 1),
        ("app.*mers", 3),
        ("*.cust*", 4),
        ("app.\"cust%\"", 1),
        ("app.`back\\slash`", 1),
        ("ap?.\"Été\"", 1),
        ("app.Customers", 0),
        ("other.*", 0),
    ] {
        let glob = TableGlob::parse(text).unwrap();
        let pattern = glob.for_catalog();
        let mut wanted = all.clone();
        wanted.retain(|(table, _)| glob.matches(table));
        assert_eq!(wanted.len(), count, "{text}");
        assert_eq!(catalog(std::slice::from_ref(&pattern)), wanted, "{text}");
        patterns.push(pattern);
    }
    let mut wanted = all.clone();
    wanted.retain(|(table, _)| table.table != "nothing");
    assert_eq!(catalog(&patterns), wanted);
    let many: Vec<TablePattern> = (0..200)
        .map(|n| TableGlob::parse(&format!("app.x{n}*")).unwrap())
        .map(|glob| glob.for_catalog())
        .collect();
    assert_eq!(catalog(&many), all, "so many are not told apart");
}
