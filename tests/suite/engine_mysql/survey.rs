//! What is said before anybody is asked to approve.

use super::*;
use crate::support::{on_mysql, on_mysql_and_mariadb};
use jit::access::TablePattern;
use jit::access::arrival::SurveyProblem;
use jit::policy::glob::TableGlob;

on_mysql_and_mariadb!(
    what_does_not_exist_is_named_with_what_looks_alike,
    views_and_the_servers_own_tables_are_not_leased,
    every_way_to_read_already_is_found,
    accounts_that_are_no_plain_logins_are_unfit,
    who_could_pass_it_on_is_refused,
    tables_that_we_may_not_give_come_with_the_sql_to_run,
    accounts_of_the_same_name_are_told_of,
    a_grant_to_the_narrower_host_hides_the_wider_ones_and_that_is_said,
    generated_columns_are_told_of,
    whole_catalogs_are_listed_without_the_servers_own,
    a_catalog_of_patterns_has_what_they_match_in_order,
    what_else_reads_is_reported_after_a_revoke,
);

on_mysql!(
    mandatory_roles_are_everybodys_way_to_read,
    a_locked_account_and_a_system_user_are_unfit,
);

fn hows(shop: &mut Shop<'_>, column: &str) -> Vec<String> {
    let ask = shop.ask(&[column]);
    shop.survey(&ask)
        .readable
        .into_iter()
        .map(|reading| reading.how)
        .collect()
}

fn unfit(shop: &mut Shop<'_>) -> Vec<String> {
    let ask = shop.ask(&["email"]);
    shop.survey(&ask)
        .problems
        .into_iter()
        .map(|problem| match problem {
            SurveyProblem::Unfit { why, .. } => why,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn what_does_not_exist_is_named_with_what_looks_alike(server: &Server) {
    let mut shop = Shop::open(server);
    let survey = shop.survey(&shop.ask(&["emial"]));
    match &survey.problems[..] {
        [SurveyProblem::NoColumn { near, .. }] => assert_eq!(near[0], "email"),
        other => panic!("{other:?}"),
    }
    let mut ask = shop.ask_of(&shop.table_named("cc"), &["email"]);
    ask.grantee = Grantee(format!("{}x@%", shop.alice.user).into());
    let survey = shop.survey(&ask);
    match &survey.problems[..] {
        [
            SurveyProblem::NoAccount { near: accounts, .. },
            SurveyProblem::NoTable { near: tables, .. },
        ] => {
            assert!(
                accounts.contains(&grantee(&shop.alice).to_string()),
                "{accounts:?}"
            );
            assert_eq!(tables[0], shop.table().to_string());
        }
        other => panic!("{other:?}"),
    }
    // The user compares with case, and another host is another account.
    for other in [
        format!("{}@%", shop.alice.user.to_uppercase()),
        format!("{}@localhost", shop.alice.user),
    ] {
        let mut ask = shop.ask(&["email"]);
        ask.grantee = Grantee(other.into());
        assert!(matches!(
            shop.survey(&ask).problems[..],
            [SurveyProblem::NoAccount { .. }]
        ));
    }
}

fn views_and_the_servers_own_tables_are_not_leased(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("CREATE VIEW {db}.v AS SELECT email FROM {c}; GRANT SELECT ON {db}.v TO {jit} WITH GRANT OPTION");
    for table in [
        shop.table_named("v"),
        TableName::new("mysql", "user"),
        TableName::new("information_schema", "TABLES"),
    ] {
        let survey = shop.survey(&shop.ask_of(&table, &["email"]));
        assert!(
            matches!(survey.problems[..], [SurveyProblem::NotATable { .. }]),
            "{table}: {:?}",
            survey.problems
        );
    }
}

fn every_way_to_read_already_is_found(server: &Server) {
    let mut shop = Shop::open(server);
    let role = format!("reader_{}", unique());
    let bob = server.account("bob", "");
    shop.root(&format!(
        "CREATE ROLE {role}; GRANT SELECT ON {{c}} TO {role}"
    ));
    let public = if shop.is_mariadb() {
        [(
            "GRANT SELECT ON {db}.* TO PUBLIC",
            "REVOKE SELECT ON {db}.* FROM PUBLIC",
            "PUBLIC",
        )]
        .to_vec()
    } else {
        Vec::new()
    };
    let give_role = format!("GRANT {role} TO {{alice}}");
    let take_role = format!("REVOKE {role} FROM {{alice}}");
    let proxy = format!(
        "GRANT PROXY ON '{0}'@'%' TO {{alice}}; GRANT SELECT (email) ON {{c}} TO '{0}'@'%'",
        bob.user
    );
    let unproxy = format!("REVOKE PROXY ON '{}'@'%' FROM {{alice}}", bob.user);
    let ways = [
        (
            "GRANT SELECT ON *.* TO {alice}",
            "REVOKE SELECT ON *.* FROM {alice}",
            "all databases",
        ),
        (
            "GRANT SELECT ON {db}.* TO {alice}",
            "REVOKE SELECT ON {db}.* FROM {alice}",
            "database grant",
        ),
        (
            "GRANT SELECT ON `shop%`.* TO {alice}",
            "REVOKE SELECT ON `shop%`.* FROM {alice}",
            "database grant on shop%",
        ),
        (
            "GRANT SELECT ON {c} TO {alice}",
            "REVOKE SELECT ON {c} FROM {alice}",
            "table grant by root@",
        ),
        (
            "GRANT SELECT (EMAIL) ON {c} TO {alice}",
            "REVOKE SELECT (EMAIL) ON {c} FROM {alice}",
            "column grant on EMAIL",
        ),
        (&give_role, &take_role, "role reader"),
        (&proxy, &unproxy, "as proxy for bob"),
    ];
    for (give, take, how) in ways.into_iter().chain(public) {
        assert_eq!(hows(&mut shop, "email"), [] as [String; 0], "before {give}");
        shop.root(give);
        let found = hows(&mut shop, "email");
        shop.root(take);
        assert_eq!(found.len(), 1, "{give}: {found:?}");
        assert!(found[0].contains(how), "{give}: {found:?}");
    }
    shop.root(&format!("DROP ROLE {role}"));
}

fn mandatory_roles_are_everybodys_way_to_read(server: &Server) {
    let server = server.another(&[
        "--mandatory-roles=everyone",
        "--activate-all-roles-on-login=ON",
    ]);
    let mut shop = Shop::open(&server);
    shop.root("CREATE ROLE everyone; GRANT SELECT ON {c} TO everyone");
    assert!(shop.can_read("note"));
    let found = hows(&mut shop, "email");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("role everyone@%"), "{found:?}");
}

fn accounts_that_are_no_plain_logins_are_unfit(server: &Server) {
    let mut shop = Shop::open(server);
    assert_eq!(unfit(&mut shop), [] as [String; 0]);
    // Itself.
    let mut ask = shop.ask(&["email"]);
    ask.grantee = grantee(&shop.jit);
    let problems = format!("{:?}", shop.survey(&ask).problems);
    assert!(problems.contains("that jit itself uses"), "{problems}");
    // A role, or an account with members.
    let bob = server.account("bob", "");
    let role = format!("role_{}", unique());
    shop.root(&format!(
        "CREATE ROLE {role}; GRANT {role} TO '{0}'@'%'; GRANT PROXY ON {{alice}} TO '{0}'@'%'",
        bob.user
    ));
    let found = unfit(&mut shop);
    assert!(
        found[0].contains("may act as it") && found[0].contains(&bob.user),
        "{found:?}"
    );
    let mut ask = shop.ask(&["email"]);
    ask.grantee = Grantee(if shop.is_mariadb() {
        format!("{role}@").into()
    } else {
        format!("{role}@%").into()
    });
    let problems = format!("{:?}", shop.survey(&ask).problems);
    assert!(problems.contains("Unfit"), "{problems}");
    // SUPER.
    shop.root(&format!(
        "REVOKE PROXY ON {{alice}} FROM '{}'@'%'; GRANT SUPER ON *.* TO {{alice}}",
        bob.user
    ));
    let found = unfit(&mut shop);
    assert!(found[0].contains("SUPER"), "{found:?}");
    shop.root(&format!(
        "REVOKE SUPER ON *.* FROM {{alice}}; DROP ROLE {role}"
    ));
}

fn a_locked_account_and_a_system_user_are_unfit(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("ALTER USER {alice} ACCOUNT LOCK; GRANT SYSTEM_USER ON *.* TO {alice}");
    let found = unfit(&mut shop);
    assert!(found[0].contains("locked"), "{found:?}");
    assert!(found[1].contains("SYSTEM_USER"), "{found:?}");
}

fn who_could_pass_it_on_is_refused(server: &Server) {
    let mut shop = Shop::open(server);
    for (give, take) in [
        (
            "GRANT INSERT ON {c} TO {alice} WITH GRANT OPTION",
            "REVOKE INSERT, GRANT OPTION ON {c} FROM {alice}",
        ),
        (
            "GRANT INSERT ON {db}.* TO {alice} WITH GRANT OPTION",
            "REVOKE INSERT, GRANT OPTION ON {db}.* FROM {alice}",
        ),
        (
            "GRANT INSERT ON *.* TO {alice} WITH GRANT OPTION",
            "REVOKE INSERT, GRANT OPTION ON *.* FROM {alice}",
        ),
    ] {
        assert_eq!(unfit(&mut shop), [] as [String; 0]);
        shop.root(give);
        let found = unfit(&mut shop);
        shop.root(take);
        assert!(found[0].contains("could pass it on"), "{give}: {found:?}");
    }
}

fn tables_that_we_may_not_give_come_with_the_sql_to_run(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("REVOKE GRANT OPTION ON {c} FROM {jit}");
    let survey = shop.survey(&shop.ask(&["email"]));
    let sql = match &survey.problems[..] {
        [SurveyProblem::NotOurs { sql, columns, .. }] => {
            assert_eq!(columns.len(), 1);
            sql.clone()
        }
        other => panic!("{other:?}"),
    };
    // A table that we do not see at all, and that nothing looks like, is asked of its owner too.
    shop.root("CREATE TABLE {db}.quite_another_thing (x INT)");
    let survey = shop.survey(&shop.ask_of(&shop.table_named("quite_another_thing"), &["x"]));
    assert!(
        matches!(survey.problems[..], [SurveyProblem::NotOurs { .. }]),
        "{:?}",
        survey.problems
    );
    for statement in sql {
        shop.root(&statement);
    }
    shop.lease(&["email"]);
    assert!(shop.can_read("email"));
}

fn accounts_of_the_same_name_are_told_of(server: &Server) {
    let mut shop = Shop::open(server);
    let user = shop.alice.user.clone();
    // Logins from this machine are of the narrower account from now on.
    account_at(server, &user, "localhost");
    account_at(server, &user, "127.0.0.1");
    let survey = shop.survey(&shop.ask(&["email"]));
    let told = survey
        .caveats
        .iter()
        .filter(|c| c.contains("too: the server"))
        .count();
    assert_eq!(told, 2, "{:?}", survey.caveats);
    let leased = shop.lease(&["email"]);
    assert!(shop.can_read("email"), "it is so");
    shop.revoke(&leased);
    assert!(!shop.can_read("email"));
}

fn a_grant_to_the_narrower_host_hides_the_wider_ones_and_that_is_said(server: &Server) {
    let mut shop = Shop::open(server);
    let user = shop.alice.user.clone();
    for host in ["localhost", "127.0.0.1"] {
        account_at(server, &user, host);
    }
    shop.root("GRANT SELECT (note) ON {c} TO {alice}");
    assert!(shop.can_read("note"));
    for host in ["localhost", "127.0.0.1"] {
        let mut ask = shop.ask(&["email"]);
        ask.grantee = Grantee(format!("{user}@{host}").into());
        let survey = shop.survey(&ask);
        assert!(
            survey
                .caveats
                .iter()
                .any(|caveat| caveat.contains("may lose")),
            "{:?}",
            survey.caveats
        );
        let privileges = shop.resolve_ask(&ask);
        shop.grant(&privileges);
    }
    assert!(shop.can_read("email"));
    assert!(!shop.can_read("note"), "it is so");
}

fn generated_columns_are_told_of(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("ALTER TABLE {c} ADD COLUMN shown VARCHAR(200) AS (CONCAT(email, SSN)) STORED");
    let survey = shop.survey(&shop.ask(&["shown"]));
    let caveat = survey
        .caveats
        .iter()
        .find(|caveat| caveat.contains("made from"));
    assert!(caveat.expect("told").contains("concat"), "{caveat:?}");
    assert_eq!(survey.will_read[0].columns, [ColumnName::from("shown")]);
}

fn whole_catalogs_are_listed_without_the_servers_own(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("CREATE VIEW {db}.v AS SELECT email FROM {c}; GRANT SELECT ON {db}.v TO {jit}");
    let catalog = shop
        .runtime
        .block_on(shop.engine.catalog(&[TablePattern::any()]))
        .unwrap();
    assert_eq!(catalog.len(), 1, "{catalog:?}");
    assert_eq!(catalog[0].0, shop.table());
    let columns: Vec<_> = catalog[0].1.iter().map(ColumnName::as_str).collect();
    assert_eq!(columns, ["id", "email", "SSN", "note"]);
}

/// More tables than are read at once, names that differ in case alone, and odd ones.
fn a_catalog_of_patterns_has_what_they_match_in_order(server: &Server) {
    let mut shop = Shop::open(server);
    let mut names: Vec<String> = (0..250).map(|n| format!("t{n}")).collect();
    names.extend(["odd", "ODD", "Étage", "a?b", "it's"].map(str::to_owned));
    for name in &names {
        // The columns' order is neither that of their names nor that of the tables.
        shop.root(&format!(
            "CREATE TABLE {{db}}.`{name}` (z int, `of {name}` int, a int);
             GRANT SELECT (z, `of {name}`, a) ON {{db}}.`{name}` TO {{jit}} WITH GRANT OPTION"
        ));
    }
    let db = shop.table().schema.to_string();
    let mut catalog = |globs: &[String]| {
        let patterns: Vec<TablePattern> = globs
            .iter()
            .map(|glob| TableGlob::parse(glob).unwrap().for_catalog())
            .collect();
        let found = shop.runtime.block_on(shop.engine.catalog(&patterns));
        found.unwrap_or_else(|error| panic!("{error}"))
    };
    for (globs, wanted) in [
        (vec![format!("{db}.t7")], vec!["t7"]),
        (vec![format!("{db}.odd")], vec!["odd"]),
        (vec![format!("{db}.ODD"), format!("{db}.t24?")], {
            let mut wanted = vec!["ODD", "t24"];
            wanted.extend((240..250).map(|n| names[n].as_str()));
            wanted
        }),
        (
            vec![format!("{db}.Ét*"), format!("{db}.\"a?b\"")],
            vec!["a?b", "Étage"],
        ),
        (vec![format!("{db}.\"it's\"")], vec!["it's"]),
        (vec![format!("{db}.nothing"), "other.*".to_owned()], vec![]),
        (vec![], vec![]),
    ] {
        let found = catalog(&globs);
        let tables: Vec<&str> = found
            .iter()
            .map(|(table, _)| table.table.as_str())
            .collect();
        assert_eq!(tables, wanted, "{globs:?}");
        for (table, columns) in &found {
            let columns: Vec<&str> = columns.iter().map(ColumnName::as_str).collect();
            assert_eq!(
                columns,
                ["z", &format!("of {}", table.table), "a"],
                "{table}"
            );
        }
    }
    let all = catalog(&["*.*".to_owned()]);
    assert_eq!(all.len(), names.len() + 1, "and the shop's own");
}

fn what_else_reads_is_reported_after_a_revoke(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email", "note"]);
    let still = |shop: &mut Shop<'_>| {
        shop.runtime
            .block_on(shop.engine.aftermath(&leased))
            .and_then(|after| after.still_reads)
            .unwrap()
    };
    assert_eq!(still(&mut shop), [], "ours does not count");
    shop.root("GRANT SELECT ON {db}.* TO {alice}");
    shop.revoke(&leased);
    let found = still(&mut shop);
    assert_eq!(found.len(), 2);
    assert!(found[0].how.contains("database grant"), "{found:?}");
    assert!(shop.can_read("email"), "it is so");
}
