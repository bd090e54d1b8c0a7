//! Somebody else's GRANT of the same column, before and during a lease.

use super::*;
use crate::support::{on_mariadb, on_mysql, on_mysql_and_mariadb};

on_mysql_and_mariadb!(
    a_standing_grant_is_seen_before_and_is_not_leased,
    a_grant_of_the_same_column_by_somebody_else_is_contested,
    our_own_overlapping_lease_contests_nothing,
);

on_mysql!(
    a_grant_of_another_column_contests_nothing,
    a_grant_of_the_same_column_is_remembered_when_we_have_worked_on_the_table_since,
    within_one_second_a_person_decides,
);

on_mariadb!(a_grant_of_another_column_says_that_it_cannot_be_told);

fn by_dba(shop: &Shop<'_>, sql: &str) {
    let dba = dba(shop.server);
    shop.server
        .login_and_select(&dba, &shop.filled(sql))
        .unwrap();
}

fn a_standing_grant_is_seen_before_and_is_not_leased(server: &Server) {
    let mut shop = Shop::open(server);
    by_dba(&shop, "GRANT SELECT (email) ON {c} TO {alice}");
    let survey = shop.survey(&shop.ask(&["email", "note"]));
    assert_eq!(survey.readable.len(), 1);
    assert_eq!(survey.readable[0].how, "column grant on email");
    // Leased along, it is left out; a live lease of ours does not count.
    let mut ask = shop.ask(&["note"]);
    ask.along = shop.ask(&["email", "id", "nothing"]).tables;
    let columns: Vec<_> = shop
        .survey(&ask)
        .privileges
        .iter()
        .filter_map(|p| p.named.column().map(|c| c.0.clone()))
        .collect();
    assert_eq!(columns, ["note", "id"]);
    let mut ask = shop.ask(&["email"]);
    ask.ours = Shop::keys(&survey.privileges).into();
    assert_eq!(shop.survey(&ask).readable, []);
}

fn a_grant_of_the_same_column_by_somebody_else_is_contested(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email", "note"]);
    next_second();
    by_dba(&shop, "GRANT SELECT (email) ON {c} TO {alice}");
    let why = shop.contested(&leased[0]).expect("contested");
    assert!(why.contains("dba_"), "{why}");
    if !shop.is_mariadb() {
        assert_eq!(shop.contested(&leased[1]), None, "the other column is not");
    }
}

fn our_own_overlapping_lease_contests_nothing(server: &Server) {
    let mut shop = Shop::open(server);
    let first = shop.lease(&["email"]);
    next_second();
    let mut ask = shop.ask(&["email", "note"]);
    ask.ours = Shop::keys(&first).into();
    let asked = shop.resolve_ask(&ask);
    let second = shop.grant(&asked);
    assert_eq!(shop.contested(&first[0]), None);
    assert_eq!(shop.contested(&second[0]), None);
    next_second();
    shop.revoke(&second[1..]);
    // The last hand on the table was ours, though not on this column: both leases together explain its time.
    let standings = shop.standings(&[first[0].clone(), second[0].clone()]);
    for standing in standings {
        assert!(
            matches!(
                standing,
                Standing::Held {
                    contested: None,
                    ..
                }
            ),
            "{standing:?}"
        );
    }
}

fn a_grant_of_another_column_contests_nothing(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    next_second();
    by_dba(&shop, "GRANT SELECT (note) ON {c} TO {alice}");
    assert_eq!(shop.contested(&leased[0]), None);
    by_dba(&shop, "REVOKE SELECT (note) ON {c} FROM {alice}");
    assert_eq!(shop.contested(&leased[0]), None);
}

fn a_grant_of_the_same_column_is_remembered_when_we_have_worked_on_the_table_since(
    server: &Server,
) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    next_second();
    by_dba(&shop, "GRANT SELECT (email) ON {c} TO {alice}");
    next_second();
    shop.lease(&["note"]);
    assert!(shop.contested(&leased[0]).is_some());
}

fn within_one_second_a_person_decides(server: &Server) {
    let mut shop = Shop::open(server);
    let dba = dba(server);
    let mut dba = server.session(&dba).unwrap();
    let grant = shop.filled("GRANT SELECT (note) ON {c} TO {alice}");
    // Until both happen to fall into one second.
    for _ in 0..5 {
        let leased = shop.lease(&["email"]);
        dba.sql(&grant).unwrap();
        let why = shop.contested(&leased[0]);
        shop.revoke(&leased);
        dba.sql(&grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
            .unwrap();
        if let Some(why) = why {
            assert!(why.contains("very second"), "{why}");
            return;
        }
    }
    panic!("five times the second changed in between");
}

fn a_grant_of_another_column_says_that_it_cannot_be_told(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    by_dba(&shop, "GRANT SELECT (note) ON {c} TO {alice}");
    let why = shop.contested(&leased[0]).expect("contested");
    assert!(why.contains("does not tell which column"), "{why}");
}
