//! What `jit doctor` must see.

use jit::engines::Finding;

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    each_way_of_being_wrong_is_seen,
    a_renamed_or_missing_column_is_seen,
    an_administrator_by_trade_is_named_and_no_failure,
    a_live_lease_is_no_surplus,
    the_right_to_end_sessions_is_asked_for_where_it_is_needed,
);

fn check(shop: &mut Shop, needs: &Needs) -> Vec<Finding> {
    shop.runtime
        .block_on(shop.engine.check(needs))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn wrong(shop: &mut Shop) -> Vec<String> {
    let needs = shop.needs(usual_needs());
    check(shop, &needs)
        .into_iter()
        .filter(|finding| !finding.ok)
        .map(|finding| {
            assert!(finding.cure.is_some(), "{finding:?}");
            format!("{}: {}", finding.what, finding.saw)
        })
        .collect()
}

fn each_way_of_being_wrong_is_seen(server: &Server) {
    let mut shop = Shop::open(server);
    let mallory = server.account("mallory", &shop.database);
    let jit = shop.jit.user.clone();
    let grantor = shop.grantor.clone();
    let n = unique();
    shop.run(&format!("CREATE ROLE some_{n}; CREATE ROLE between_{n}"));
    let cases = [
        (
            format!("ALTER ROLE {jit} CREATEROLE CREATEDB"),
            format!("ALTER ROLE {jit} NOCREATEROLE NOCREATEDB"),
            "login: ",
        ),
        (
            format!("ALTER ROLE {jit} SUPERUSER"),
            format!("ALTER ROLE {jit} NOSUPERUSER"),
            "has SUPERUSER",
        ),
        (
            format!("GRANT some_{n} TO {jit}"),
            format!("REVOKE some_{n} FROM {jit}"),
            "is a member of some",
        ),
        (
            format!("GRANT pg_read_all_data TO {jit}; ALTER ROLE {jit} INHERIT"),
            format!("REVOKE pg_read_all_data FROM {jit}; ALTER ROLE {jit} NOINHERIT"),
            "can read protected columns by itself",
        ),
        (
            format!("GRANT SELECT (email) ON app.customers TO {jit}"),
            format!("REVOKE SELECT (email) ON app.customers FROM {jit}"),
            "can read protected columns by itself",
        ),
        (
            format!(
                "CREATE TABLE public.mine_{n} (a int); ALTER TABLE public.mine_{n} OWNER TO {jit}"
            ),
            format!("DROP TABLE public.mine_{n}"),
            "owns ",
        ),
        (
            format!("GRANT {grantor} TO {jit} WITH ADMIN OPTION"),
            format!("REVOKE ADMIN OPTION FOR {grantor} FROM {jit}"),
            "can make others members",
        ),
        (
            format!("ALTER ROLE {grantor} LOGIN"),
            format!("ALTER ROLE {grantor} NOLOGIN"),
            "grantor: ",
        ),
        (
            format!("GRANT some_{n} TO {grantor}"),
            format!("REVOKE some_{n} FROM {grantor}"),
            "grantor: ",
        ),
        (
            format!("COMMENT ON ROLE {grantor} IS 'jit ledger 123: x'"),
            format!(
                "COMMENT ON ROLE {grantor} IS 'jit ledger {}: x'",
                shop.ledger
            ),
            "belongs to another ledger",
        ),
        (
            format!("GRANT {grantor} TO {}", mallory.user),
            format!("REVOKE {grantor} FROM {}", mallory.user),
            "members: mallory",
        ),
        (
            format!(
                "GRANT {grantor} TO between_{n}; GRANT between_{n} TO {}",
                mallory.user
            ),
            format!("REVOKE {grantor} FROM between_{n}"),
            "members: mallory",
        ),
        (
            format!("REVOKE SELECT (email) ON app.customers FROM {grantor}"),
            format!("GRANT SELECT (email) ON app.customers TO {grantor} WITH GRANT OPTION"),
            "may not hand on app.customers:email",
        ),
        (
            format!("REVOKE GRANT OPTION FOR SELECT (email) ON app.customers FROM {grantor}"),
            format!("GRANT SELECT (email) ON app.customers TO {grantor} WITH GRANT OPTION"),
            "may not hand on app.customers:email",
        ),
        (
            "REVOKE USAGE ON SCHEMA app FROM PUBLIC".to_owned(),
            "GRANT USAGE ON SCHEMA app TO PUBLIC".to_owned(),
            "may not use schema app",
        ),
        (
            format!("GRANT SELECT (secret) ON app.customers TO {grantor}"),
            format!("REVOKE SELECT (secret) ON app.customers FROM {grantor}"),
            "SELECT on app.customers:secret",
        ),
        (
            format!("GRANT UPDATE ON app.customers TO {grantor}"),
            format!("REVOKE UPDATE ON app.customers FROM {grantor}"),
            "UPDATE on app.customers",
        ),
        (
            format!("GRANT CREATE ON SCHEMA app TO {grantor}"),
            format!("REVOKE CREATE ON SCHEMA app FROM {grantor}"),
            "CREATE on schema app",
        ),
    ];
    assert_eq!(wrong(&mut shop), [""; 0]);
    for (spoil, mend, words) in cases {
        // Each alone, in transactions of their own, as different people would do it.
        for statement in spoil.split("; ") {
            shop.run(statement);
        }
        let found = wrong(&mut shop);
        assert!(
            found.iter().any(|finding| finding.contains(words)),
            "{spoil}\n{found:#?}"
        );
        for statement in mend.split("; ") {
            shop.run(statement);
        }
        assert_eq!(wrong(&mut shop), [""; 0], "after {mend}");
    }
}

fn a_renamed_or_missing_column_is_seen(server: &Server) {
    let mut shop = Shop::open(server);
    let needs = shop.needs(vec![
        (customers(), vec![column("email"), column("mail")]),
        (TableName::new("app", "nowhere"), vec![column("a")]),
    ]);
    let found = check(&mut shop, &needs);
    let saw: Vec<&str> = found
        .iter()
        .filter(|finding| !finding.ok)
        .map(|finding| finding.saw.as_str())
        .collect();
    assert!(saw.contains(&"app.customers has no column mail"), "{saw:?}");
    assert!(saw.contains(&"app.nowhere does not exist"), "{saw:?}");
}

/// On 15 and before a role that may create roles can make itself a member of any.
fn an_administrator_by_trade_is_named_and_no_failure(server: &Server) {
    let mut shop = Shop::open(server);
    let trade = server.account("administrator", &shop.database);
    shop.run(&format!("ALTER ROLE {} CREATEROLE", trade.user));
    shop.run(&format!(
        "GRANT {} TO {} WITH ADMIN OPTION{}",
        shop.grantor,
        trade.user,
        match server.version().starts_with("15") {
            true => "",
            false => ", INHERIT FALSE, SET FALSE",
        }
    ));
    if server.version().starts_with("15") {
        // There it is a member that can act at once.
        assert!(wrong(&mut shop)[0].contains("can become"));
        shop.run(&format!("REVOKE {} FROM {}", shop.grantor, trade.user));
    }
    assert_eq!(wrong(&mut shop), [""; 0]);
    let needs = shop.needs(usual_needs());
    let named = check(&mut shop, &needs)
        .iter()
        .any(|finding| finding.saw.contains(&trade.user));
    assert!(named);
    shop.run(&format!("DROP ROLE {}", trade.user));
}

fn a_live_lease_is_no_surplus(server: &Server) {
    let mut shop = Shop::open(server);
    shop.given(&["email"]);
    assert_eq!(wrong(&mut shop), [""; 0]);
}

/// For a policy's sake, and on 18 and later always: there a lock on the table holds up a REVOKE.
fn the_right_to_end_sessions_is_asked_for_where_it_is_needed(server: &Server) {
    let mut shop = Shop::open(server);
    let jit = shop.jit.user.clone();
    let login = server.superuser_login().at(&shop.database);
    let asks = |shop: &Shop, needs: &Needs| {
        let mut root = connect(&shop.runtime, &address(server, &login, &shop.grantor));
        let groups = shop
            .runtime
            .block_on(root.setup(needs, false))
            .unwrap_or_else(|error| panic!("{error}"));
        groups
            .iter()
            .flat_map(|group| &group.statements)
            .filter(|sql| sql.contains(&format!("GRANT pg_signal_backend TO \"{jit}\"")))
            .count()
    };
    let always = server.major() >= 18;
    let usual = shop.needs(usual_needs());
    let ends = Needs {
        end_sessions: true,
        ..usual.clone()
    };
    shop.run(&format!("REVOKE pg_signal_backend FROM {jit}"));
    for (needs, wanted) in [(&usual, always), (&ends, true)] {
        assert_eq!(asks(&shop, needs), usize::from(wanted));
        let found = check(&mut shop, needs);
        let sessions = found.iter().find(|finding| finding.what == "sessions");
        let sessions = sessions.expect("it is looked at");
        assert_eq!(sessions.ok, !wanted, "{sessions:?}");
        let cure = sessions.cure.clone().unwrap_or_default();
        assert_eq!(
            cure.contains(&format!("GRANT pg_signal_backend TO \"{jit}\"")),
            wanted,
            "{cure}"
        );
    }
    shop.run(&format!("GRANT pg_signal_backend TO {jit}"));
    for needs in [&usual, &ends] {
        assert_eq!(asks(&shop, needs), 0);
        assert!(check(&mut shop, needs).iter().all(|finding| finding.ok));
    }
    if server.major() >= 16 {
        // A membership that can neither be used nor become anything is none.
        shop.run(&format!(
            "GRANT pg_signal_backend TO {jit} WITH INHERIT FALSE, SET FALSE"
        ));
        assert_eq!(asks(&shop, &ends), 1);
        assert!(!check(&mut shop, &ends).iter().all(|finding| finding.ok));
    }
}
