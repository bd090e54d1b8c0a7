//! Setup, doctor, and taking setup away.

use super::*;
use crate::support::on_mysql_and_mariadb;

on_mysql_and_mariadb!(
    setup_makes_an_account_that_is_enough_and_no_more,
    the_undo_of_setup_leaves_nothing,
    an_account_that_is_more_than_ours_is_not_dropped,
    doctor_finds_what_is_missing_and_what_is_too_much,
    without_setup_it_is_said_what_cannot_be_seen,
);

fn needs(shop: &Shop<'_>, login: &str) -> Needs {
    Needs {
        tables: vec![(shop.table(), vec!["email".into(), "ssn".into()])],
        login: Grantee(login.into()),
        ..Needs::default()
    }
}

fn bad(shop: &mut Shop<'_>, needs: &Needs) -> Vec<String> {
    shop.runtime
        .block_on(shop.engine.check(needs))
        .unwrap()
        .into_iter()
        .filter(|finding| !finding.ok)
        .map(|finding| format!("{}: {}", finding.what, finding.saw))
        .collect()
}

fn setup_makes_an_account_that_is_enough_and_no_more(server: &Server) {
    let shop = Shop::open(server);
    let user = format!("fresh_{}", unique());
    let needs = needs(&shop, &user);
    set_up(server, &needs);
    // Locked, without a password, until somebody gives it one.
    let login = Login::new(&user, ACCOUNT_PASSWORD, "");
    assert!(server.session(&login).is_err());
    assert!(server.session(&Login::new(&user, "", "")).is_err());
    server.run(
        "",
        &format!("ALTER USER '{user}'@'%' IDENTIFIED BY '{ACCOUNT_PASSWORD}' ACCOUNT UNLOCK"),
    );
    let mut shop = shop;
    shop.engine = shop
        .runtime
        .block_on(jit::engines::connect(&address(server, &login)))
        .unwrap();
    assert_eq!(bad(&mut shop, &needs), [] as [String; 0]);
    let leased = shop.lease(&["email"]);
    assert!(shop.can_read("email"));
    shop.runtime
        .block_on(shop.engine.sessions(&leased, false))
        .unwrap();
    shop.revoke(&leased);
    for secret in [
        "SELECT authentication_string FROM mysql.user",
        "SELECT * FROM mysql.user",
    ] {
        assert!(server.login_and_select(&login, secret).is_err());
    }
    // Set up again it names only what a new policy needs, whoever asks.
    let mut named = |needs: &Needs| -> Vec<String> {
        let mut root = shop
            .runtime
            .block_on(jit::engines::connect(&address(
                server,
                &server.superuser_login(),
            )))
            .unwrap();
        let by_root = shop.runtime.block_on(root.setup(needs, false)).unwrap();
        let own = shop
            .runtime
            .block_on(shop.engine.setup(needs, false))
            .unwrap();
        assert_eq!(by_root, own);
        own.into_iter().flat_map(|group| group.statements).collect()
    };
    assert_eq!(named(&needs), [] as [String; 0]);
    let right = match server.kind() {
        Kind::Mysql => "CONNECTION_ADMIN",
        _ => "CONNECTION ADMIN",
    };
    server.run("", &format!("REVOKE {right} ON *.* FROM '{user}'@'%'"));
    assert!(matches!(named(&needs).as_slice(), [one] if one.contains(right)));
    set_up(server, &needs);
    assert_eq!(named(&needs), [] as [String; 0]);
    server.run("", &format!("REVOKE SELECT ON mysql.db FROM '{user}'@'%'"));
    server.run(
        "",
        &format!(
            "REVOKE ALL PRIVILEGES ON {} FROM '{user}'@'%'",
            shop.table()
        ),
    );
    // It cannot see what it holds any more, so all of it is named.
    let own = shop
        .runtime
        .block_on(shop.engine.setup(&needs, false))
        .unwrap();
    assert!(own.iter().flat_map(|group| &group.statements).count() > 2);
    set_up(server, &needs);
    assert_eq!(bad(&mut shop, &needs), [] as [String; 0]);
}

fn the_undo_of_setup_leaves_nothing(server: &Server) {
    let shop = Shop::open(server);
    let user = format!("fresh_{}", unique());
    let needs = needs(&shop, &user);
    set_up(server, &needs);
    let runtime = runtime();
    runtime.block_on(async {
        let mut root = jit::engines::connect(&address(server, &server.superuser_login()))
            .await
            .unwrap();
        for _ in 0..2 {
            for group in root.setup(&needs, true).await.unwrap() {
                root.run(&group.statements).await.unwrap();
            }
        }
    });
    let mut tables = vec!["user", "db", "tables_priv", "columns_priv", "proxies_priv"];
    if server.kind() == Kind::Mysql {
        tables.push("global_grants");
    }
    for table in tables {
        let left = server.run(
            "",
            &format!("SELECT 1 FROM mysql.{table} WHERE User = '{user}'"),
        );
        assert!(left.is_empty(), "{table}");
    }
}

fn an_account_that_is_more_than_ours_is_not_dropped(server: &Server) {
    let shop = Shop::open(server);
    let dba = dba(server);
    let needs = needs(&shop, &dba.user);
    let runtime = runtime();
    let groups = runtime.block_on(async {
        let mut root = jit::engines::connect(&address(server, &server.superuser_login()))
            .await
            .unwrap();
        root.setup(&needs, true).await.unwrap()
    });
    assert!(
        groups.iter().all(|group| group.statements.is_empty()),
        "{groups:?}"
    );
}

fn doctor_finds_what_is_missing_and_what_is_too_much(server: &Server) {
    let mut shop = Shop::open(server);
    let needs = needs(&shop, &shop.jit.user);
    assert_eq!(bad(&mut shop, &needs), [] as [String; 0]);
    for (give, take, said) in [
        (
            "REVOKE GRANT OPTION ON {c} FROM {jit}",
            "GRANT SELECT ON {c} TO {jit} WITH GRANT OPTION",
            "may not give",
        ),
        (
            "ALTER TABLE {c} DROP COLUMN SSN",
            "ALTER TABLE {c} ADD COLUMN SSN INT",
            "no column ssn",
        ),
        (
            "REVOKE PROCESS ON *.* FROM {jit}",
            "GRANT PROCESS ON *.* TO {jit}",
            "sessions",
        ),
        (
            "GRANT SELECT ON *.* TO {jit}",
            "REVOKE SELECT ON *.* FROM {jit}",
            "reads all databases",
        ),
        (
            "GRANT SELECT ON {db}.* TO {jit}",
            "REVOKE SELECT ON {db}.* FROM {jit}",
            "whole of database",
        ),
        (
            "CREATE TABLE {db}.d (x INT); GRANT SELECT ON {db}.d TO {jit}",
            "REVOKE SELECT ON {db}.d FROM {jit}",
            "no policy names",
        ),
        (
            "GRANT SELECT (authentication_string) ON mysql.user TO {jit}",
            "REVOKE SELECT (authentication_string) ON mysql.user FROM {jit}",
            "password hashes",
        ),
        (
            "REVOKE SELECT ON mysql.proxies_priv FROM {jit}",
            "GRANT SELECT ON mysql.proxies_priv TO {jit}",
            "cannot see",
        ),
    ] {
        shop.root(give);
        let found = bad(&mut shop, &needs);
        shop.root(take);
        assert!(
            found.iter().any(|finding| finding.contains(said)),
            "{give}: {found:?}"
        );
        assert_eq!(bad(&mut shop, &needs), [] as [String; 0], "after {take}");
    }
}

fn without_setup_it_is_said_what_cannot_be_seen(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("REVOKE SELECT ON mysql.columns_priv FROM {jit}");
    let ask = shop.ask(&["email"]);
    let error = shop
        .runtime
        .block_on(shop.engine.survey(&[ask]))
        .unwrap_err();
    assert!(
        matches!(&error, EngineError::NotSetUp { why, .. } if why.contains("columns_priv")),
        "{error}"
    );
}
