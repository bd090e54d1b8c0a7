//! Names that lead to something else by now: dropped and re-made columns, tables, databases and accounts.

use super::*;
use crate::support::on_mysql_and_mariadb;

on_mysql_and_mariadb!(
    a_column_that_was_dropped_is_revoked_by_its_old_name,
    a_renamed_column_does_not_shelter_the_old_name,
    a_swapped_table_is_not_readable_after_the_revoke,
    a_dropped_database_is_not_readable_when_it_is_made_again,
    a_dropped_account_owes_nothing_and_its_namesake_has_nothing,
    a_renamed_account_is_found_and_a_person_must_decide,
    a_table_that_became_a_view_is_not_granted,
);

fn a_column_that_was_dropped_is_revoked_by_its_old_name(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    shop.root("ALTER TABLE {c} DROP COLUMN email");
    assert!(
        matches!(shop.standing(&leased[0]), Standing::Held { .. }),
        "its row is still there"
    );
    shop.revoke(&leased);
    match shop.standing(&leased[0]) {
        Standing::Gone { why } => assert!(why.contains("column email"), "{why}"),
        other => panic!("{other:?}"),
    }
    shop.root("ALTER TABLE {c} ADD COLUMN email VARCHAR(100)");
    assert!(!shop.can_read("email"));
    assert_eq!(shop.rows_left(), 0);
}

fn a_renamed_column_does_not_shelter_the_old_name(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    shop.root("ALTER TABLE {c} CHANGE email contact VARCHAR(100); ALTER TABLE {c} CHANGE SSN email VARCHAR(20)");
    assert_eq!(
        shop.read("email"),
        Ok("123".into()),
        "another column by now"
    );
    shop.revoke(&leased);
    assert!(!shop.can_read("email"));
    assert!(!shop.can_read("contact"));
}

fn a_swapped_table_is_not_readable_after_the_revoke(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    shop.root("CREATE TABLE {db}.c2 LIKE {c}; RENAME TABLE {c} TO {db}.old, {db}.c2 TO {c}");
    shop.revoke(&leased);
    assert!(!shop.can_read("email"));
    shop.root("RENAME TABLE {c} TO {db}.c3, {db}.old TO {c}");
    assert!(!shop.can_read("email"));
    assert_eq!(shop.rows_left(), 0);
}

fn a_dropped_database_is_not_readable_when_it_is_made_again(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email", "note"]);
    shop.root("DROP DATABASE {db}");
    shop.revoke(&leased);
    assert!(matches!(shop.standing(&leased[0]), Standing::Gone { .. }));
    shop.root("CREATE DATABASE {db}; CREATE TABLE {c} (id INT, email VARCHAR(100), note TEXT)");
    assert!(!shop.can_read("email"));
    assert_eq!(shop.rows_left(), 0);
}

fn a_dropped_account_owes_nothing_and_its_namesake_has_nothing(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    shop.root("DROP USER {alice}");
    match shop.standing(&leased[0]) {
        Standing::Gone { why } => assert!(why.contains("does not exist any more"), "{why}"),
        other => panic!("{other:?}"),
    }
    let alice = shop.alice.user.clone();
    account_at(server, &alice, "%");
    assert!(matches!(shop.standing(&leased[0]), Standing::Absent { .. }));
    assert!(!shop.can_read("email"));
}

fn a_renamed_account_is_found_and_a_person_must_decide(server: &Server) {
    let mut shop = Shop::open(server);
    // Bob has the same column by a lease of the same second: he is nobody's new name.
    let bob = server.account("bob", "");
    let mut ask = shop.ask(&["email"]);
    ask.grantee = grantee(&bob);
    let both = [shop.resolve(&["email"]), shop.resolve_ask(&ask)].concat();
    let leased = shop.grant(&both);
    let new_name = format!("{}x", shop.alice.user);
    shop.root(&format!("RENAME USER {{alice}} TO '{new_name}'@'%'"));
    for name_again in [false, true] {
        if name_again {
            let alice = shop.alice.user.clone();
            account_at(server, &alice, "%");
            if shop.is_mariadb() {
                // Without times, nothing tells that the row has moved.
                assert!(matches!(shop.standing(&leased[0]), Standing::Absent { .. }));
                continue;
            }
        }
        match shop.standing(&leased[0]) {
            Standing::Held {
                named, contested, ..
            } => {
                assert_eq!(named.grantee.0, format!("{new_name}@%"));
                let why = contested.expect("it is for a person to decide");
                assert!(why.contains(&new_name), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    // And when the person says so, it goes there.
    let again = shop.is_mariadb();
    if again {
        shop.root("DROP USER {alice}");
    }
    let errors = shop.try_revoke(&leased[..1]);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].is_none());
    let renamed = Login::new(&new_name, ACCOUNT_PASSWORD, "");
    assert_eq!(shop.read_as(&renamed, "email"), Err("1142".into()));
    assert_eq!(shop.read_as(&bob, "email"), Ok("a@b".into()));
}

fn a_table_that_became_a_view_is_not_granted(server: &Server) {
    let mut shop = Shop::open(server);
    let asked = shop.resolve(&["email"]);
    shop.root("RENAME TABLE {c} TO {db}.real_one; CREATE VIEW {c} AS SELECT * FROM {db}.real_one");
    let reports = shop.grant_orders(&[GrantOrder {
        request: request(),
        privileges: asked,
    }]);
    assert!(matches!(
        reports[0].error,
        Some(EngineError::Changed { .. })
    ));
    assert_eq!(shop.rows_left(), 0);
}
