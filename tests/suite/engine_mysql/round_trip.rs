//! Granting, observing, revoking.

use super::*;
use crate::support::on_mysql_and_mariadb;
use jit::engines::Verb;

on_mysql_and_mariadb!(
    a_lease_opens_its_columns_and_nothing_else_until_it_is_revoked,
    an_order_is_given_whole_or_not_at_all,
    what_was_there_before_survives_the_undo_of_a_failed_order,
    an_unknown_account_is_refused_and_nobody_is_made,
    revoking_twice_is_no_error,
    another_lease_of_the_same_columns_is_no_stray_and_an_ended_one_is,
    orders_of_several_people_are_given_at_once,
    clocks_agree_on_one_machine,
);

fn a_lease_opens_its_columns_and_nothing_else_until_it_is_revoked(server: &Server) {
    let mut shop = Shop::open(server);
    let asked = shop.resolve(&["email", "ssn"]);
    assert_eq!(
        asked[1].named.column().map(ColumnName::as_str),
        Some("SSN"),
        "the catalog's spelling"
    );
    assert!(matches!(shop.standing(&asked[0]), Standing::Absent { .. }));
    assert!(!shop.can_read("email"));

    let leased = shop.grant(&asked);
    assert_eq!(shop.read("email"), Ok("a@b".into()));
    assert_eq!(shop.read("ssn"), Ok("123".into()));
    assert!(!shop.can_read("note"));
    assert!(leased.iter().all(|privilege| privilege.stamp.is_some()));
    assert_eq!(shop.contested(&leased[0]), None);

    shop.revoke(&leased[..1]);
    assert!(!shop.can_read("email"));
    assert!(shop.can_read("ssn"));
    shop.revoke(&leased);
    assert!(!shop.can_read("ssn"));
    shop.root("FLUSH PRIVILEGES");
    assert!(!shop.can_read("ssn"));
    assert_eq!(shop.rows_left(), 0);
    let sql = shop.engine.sql(Verb::Grant, &leased);
    assert!(
        sql.starts_with("GRANT SELECT (`email`, `SSN`) ON "),
        "{sql}"
    );
}

fn an_order_is_given_whole_or_not_at_all(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("CREATE TABLE {db}.d (id INT PRIMARY KEY, x INT); GRANT SELECT ON {db}.d TO {jit} WITH GRANT OPTION");
    let mut ask = shop.ask(&["email"]);
    ask.tables.push(TableColumns {
        table: shop.table_named("d"),
        columns: vec!["x".into()],
    });
    let asked = shop.resolve_ask(&ask);
    // Our right to give the second table goes between survey and grant: its GRANT fails after the first worked.
    shop.root("REVOKE GRANT OPTION ON {db}.d FROM {jit}");
    let reports = shop.grant_orders(&[GrantOrder {
        request: request(),
        privileges: asked.clone(),
    }]);
    let error = reports[0].error.as_ref().expect("it fails");
    assert!(matches!(error, EngineError::Refused { .. }), "{error}");
    assert!(!shop.can_read("email"));
    assert_eq!(shop.rows_left(), 0);
}

fn what_was_there_before_survives_the_undo_of_a_failed_order(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("CREATE TABLE {db}.d (id INT PRIMARY KEY, x INT); GRANT SELECT ON {db}.d TO {jit} WITH GRANT OPTION");
    let mut ask = shop.ask(&["email", "note"]);
    ask.tables.push(TableColumns {
        table: shop.table_named("d"),
        columns: vec!["x".into()],
    });
    let asked = shop.resolve_ask(&ask);
    shop.root("GRANT SELECT (note) ON {c} TO {alice}; REVOKE GRANT OPTION ON {db}.d FROM {jit}");
    let reports = shop.grant_orders(&[GrantOrder {
        request: request(),
        privileges: asked,
    }]);
    assert!(reports[0].error.is_some());
    assert!(shop.can_read("note"), "it was there before");
    assert!(!shop.can_read("email"));
}

fn an_unknown_account_is_refused_and_nobody_is_made(server: &Server) {
    let mut shop = Shop::open(server);
    let asked = shop.resolve(&["email"]);
    // As a DBA may have it: there, GRANT would make accounts.
    if shop.is_mariadb() {
        shop.root("SET GLOBAL sql_mode = ''");
    }
    shop.root("DROP USER {alice}");
    let reports = shop.grant_orders(&[GrantOrder {
        request: request(),
        privileges: asked.clone(),
    }]);
    let error = reports[0].error.as_ref().expect("it fails").to_string();
    assert!(error.contains("does not exist any more"), "{error}");
    let made = shop.root(&format!(
        "SELECT 1 FROM mysql.user WHERE User = '{}'",
        shop.alice.user
    ));
    assert!(made.is_empty());
    match shop.standing(&asked[0]) {
        Standing::Gone { why } => assert!(why.contains("account"), "{why}"),
        other => panic!("{other:?}"),
    }
}

fn revoking_twice_is_no_error(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email", "note"]);
    let steps = shop.steps(&leased);
    shop.root("REVOKE SELECT (email) ON {c} FROM {alice}");
    for _ in 0..2 {
        let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
        assert!(reports.iter().all(|report| report.error.is_none()));
        assert!(!shop.can_read("email"));
        assert!(!shop.can_read("note"));
    }
    shop.root("DROP USER {alice}");
    let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
    assert!(reports.iter().all(|report| report.error.is_none()));
}

fn another_lease_of_the_same_columns_is_no_stray_and_an_ended_one_is(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    let owned = Shop::keys(&leased);
    let strays = shop
        .runtime
        .block_on(shop.engine.strays(&owned, &leased))
        .unwrap();
    assert_eq!(strays, []);
    let strays = shop
        .runtime
        .block_on(shop.engine.strays(&HashSet::default(), &leased))
        .unwrap();
    assert_eq!(Shop::keys(&strays), owned);

    // A DBA's own grant of the column, after our lease has ended, is none of ours.
    shop.revoke(&leased);
    next_second();
    let dba = dba(server);
    server
        .login_and_select(&dba, &shop.filled("GRANT SELECT (email) ON {c} TO {alice}"))
        .unwrap();
    let strays = shop
        .runtime
        .block_on(shop.engine.strays(&HashSet::default(), &leased))
        .unwrap();
    assert_eq!(strays, []);
    // Nor after we have given something else on the table, which makes us the table's last grantor.
    next_second();
    let more = shop.lease(&["note"]);
    let both = [leased.clone(), more.clone()].concat();
    for known in [&leased, &both] {
        let strays = shop
            .runtime
            .block_on(shop.engine.strays(&Shop::keys(&more), known))
            .unwrap();
        assert_eq!(strays, []);
    }
}

fn orders_of_several_people_are_given_at_once(server: &Server) {
    let mut shop = Shop::open(server);
    let mut orders = Vec::new();
    let mut people = Vec::new();
    for _ in 0..3 {
        let person = server.account("p", "");
        let mut ask = shop.ask(&["email", "note"]);
        ask.grantee = grantee(&person);
        orders.push(GrantOrder {
            request: request(),
            privileges: shop.resolve_ask(&ask),
        });
        people.push(person);
    }
    // One of them goes before the grant: the others get theirs.
    server.run("", &format!("DROP USER '{}'@'%'", people[1].user));
    let reports = shop.grant_orders(&orders);
    assert!(reports[1].error.is_some());
    for person in [0, 2] {
        assert!(reports[person].error.is_none(), "{:?}", reports[person]);
        assert_eq!(shop.read_as(&people[person], "email"), Ok("a@b".into()));
        assert_eq!(reports[person].batch.is_some(), !shop.is_mariadb());
    }
    let all: Vec<_> = orders
        .into_iter()
        .flat_map(|order| order.privileges)
        .collect();
    shop.revoke(&all);
    assert_eq!(shop.read_as(&people[0], "email"), Err("1142".into()));
}

fn clocks_agree_on_one_machine(server: &Server) {
    let mut shop = Shop::open(server);
    let skew = shop.runtime.block_on(shop.engine.clock_skew()).unwrap();
    assert!(skew.abs() < 500, "{skew} ms");
}
