//! Names drift, identities do not.

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    a_renamed_column_and_a_new_one_of_its_name,
    a_table_swap,
    a_table_dropped_and_made_again,
    a_column_dropped_and_made_again,
    a_renamed_schema_and_a_new_one_of_its_name,
    a_renamed_account_and_a_new_one_of_its_name,
    a_dropped_account,
    a_new_owner,
    a_renamed_grantor_role,
    a_grant_never_follows_a_name_that_leads_elsewhere,
);

/// What a DBA's own grant looks like afterwards: untouched.
const THEIRS: Result<usize, String> = Ok(0);

fn assert_absent(shop: &mut Shop, of: &[Privilege]) {
    let standings = shop.standings(of);
    assert!(
        standings
            .iter()
            .all(|standing| matches!(standing, Standing::Absent { .. })),
        "{standings:?}"
    );
    assert_eq!(shop.strays(&[]), []);
}

fn assert_gone(shop: &mut Shop, of: &[Privilege]) {
    for standing in shop.standings(of) {
        assert!(matches!(standing, Standing::Gone { .. }), "{standing:?}");
    }
    shop.taken(of);
}

fn a_renamed_column_and_a_new_one_of_its_name(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    shop.as_owner(&format!(
        "ALTER TABLE app.customers RENAME COLUMN email TO mail; ALTER TABLE app.customers ADD COLUMN email text;
         GRANT SELECT (email) ON app.customers TO {}",
        alice.user
    ));
    match &shop.standings(&given)[..] {
        [Standing::Held { named, .. }] => assert_eq!(named.column(), Some(&column("mail"))),
        other => panic!("{other:?}"),
    }
    shop.taken(&given);
    assert_absent(&mut shop, &given);
    assert_eq!(
        shop.reads(&alice, "SELECT mail FROM app.customers"),
        Err("42501".into())
    );
    assert_eq!(shop.reads(&alice, "SELECT email FROM app.customers"), Ok(2));
}

fn a_table_swap(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    shop.as_owner(&format!(
        "ALTER TABLE app.customers RENAME TO customers_old; CREATE TABLE app.customers (email text);
         GRANT SELECT (email) ON app.customers TO {}",
        alice.user
    ));
    shop.taken(&given);
    assert_absent(&mut shop, &given);
    assert_eq!(
        shop.reads(&alice, "SELECT email FROM app.customers_old"),
        Err("42501".into())
    );
    assert_eq!(
        shop.reads(&alice, "SELECT email FROM app.customers"),
        THEIRS
    );
}

fn a_table_dropped_and_made_again(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    shop.as_owner(&format!(
        "DROP TABLE app.customers; CREATE TABLE app.customers (id int, email text);
         GRANT SELECT (email) ON app.customers TO {}",
        alice.user
    ));
    assert_gone(&mut shop, &given);
    assert_eq!(
        shop.reads(&alice, "SELECT email FROM app.customers"),
        THEIRS
    );
}

fn a_column_dropped_and_made_again(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email", "phone"]);
    shop.as_owner(&format!(
        "ALTER TABLE app.customers DROP COLUMN email; ALTER TABLE app.customers ADD COLUMN email text;
         GRANT SELECT (email) ON app.customers TO {}",
        alice.user
    ));
    assert_gone(&mut shop, &given[..1]);
    // The one that is left goes although its neighbour is no more.
    shop.taken(&given);
    assert_absent(&mut shop, &given[1..]);
    assert_eq!(shop.reads(&alice, "SELECT email FROM app.customers"), Ok(2));
}

fn a_renamed_schema_and_a_new_one_of_its_name(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    shop.run(&format!(
        "ALTER SCHEMA app RENAME TO app_old; CREATE SCHEMA app AUTHORIZATION {0}; GRANT USAGE ON SCHEMA app TO PUBLIC;
         SET ROLE {0}; CREATE TABLE app.customers (email text); GRANT SELECT (email) ON app.customers TO {1}",
        shop.owner.user, alice.user
    ));
    shop.taken(&given);
    assert_absent(&mut shop, &given);
    assert_eq!(
        shop.reads(&alice, "SELECT email FROM app_old.customers"),
        Err("42501".into())
    );
    assert_eq!(
        shop.reads(&alice, "SELECT email FROM app.customers"),
        THEIRS
    );
}

fn a_renamed_account_and_a_new_one_of_its_name(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    let old = format!("{}_was", alice.user);
    shop.run(&format!(
        "ALTER ROLE {0} RENAME TO {old}; ALTER ROLE {old} PASSWORD '{1}'; CREATE ROLE {0} LOGIN PASSWORD '{1}'",
        alice.user, ACCOUNT_PASSWORD
    ));
    shop.as_owner(&format!(
        "GRANT SELECT (email) ON app.customers TO {}",
        alice.user
    ));
    shop.taken(&given);
    assert_absent(&mut shop, &given);
    let old = Login::new(&old, ACCOUNT_PASSWORD, &shop.database);
    let read = "SELECT email FROM app.customers";
    assert_eq!(shop.reads(&old, read), Err("42501".into()));
    assert_eq!(shop.reads(&alice, read), Ok(2));
}

/// DROP OWNED takes only what the objects' owners gave, so the server itself keeps an account that has a lease.
fn a_dropped_account(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let drop = format!("DROP OWNED BY {0}; DROP ROLE {0}", shop.alice.user);
    let refused = server.login_and_select(&server.superuser_login().at(&shop.database), &drop);
    assert_eq!(refused.map_err(|refused| refused.code), Err("2BP01".into()));
    shop.run(&format!(
        "SET ROLE {}; REVOKE SELECT (email) ON app.customers FROM {}",
        shop.grantor, shop.alice.user
    ));
    shop.run(&drop);
    assert_gone(&mut shop, &given);
}

fn a_new_owner(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    let other = server.account("owner", &shop.database);
    shop.run(&format!(
        "ALTER TABLE app.customers OWNER TO {}",
        other.user
    ));
    assert_eq!(shop.reads(&alice, "SELECT email FROM app.customers"), Ok(2));
    shop.taken(&given);
    assert_absent(&mut shop, &given);
}

fn a_renamed_grantor_role(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    shop.run(&format!("ALTER ROLE {0} RENAME TO {0}_was", shop.grantor));
    shop.taken(&given);
    let alice = shop.alice.clone();
    assert_eq!(
        shop.reads(&alice, "SELECT email FROM app.customers"),
        Err("42501".into())
    );
}

fn a_grant_never_follows_a_name_that_leads_elsewhere(server: &Server) {
    for drift in [
        "ALTER TABLE app.customers RENAME COLUMN email TO mail; ALTER TABLE app.customers RENAME COLUMN phone TO email",
        "ALTER TABLE app.customers RENAME TO c2; CREATE TABLE app.customers (email text)",
        "DROP TABLE app.customers; CREATE TABLE app.customers (email text)",
        "ALTER TABLE app.customers DROP COLUMN email; ALTER TABLE app.customers ADD COLUMN email text",
    ] {
        let mut shop = Shop::open(server);
        let alice = shop.alice.clone();
        let privileges = shop.resolve(&alice, columns(&customers(), &["email"]));
        shop.as_owner(drift);
        let reports = shop.grant(&[order(&privileges)]);
        assert!(
            matches!(error(&reports[0]), EngineError::Changed { .. }),
            "{drift}: {reports:?}"
        );
        assert_eq!(shop.strays(&[]), [], "{drift}");
    }
}
