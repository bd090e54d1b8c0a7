//! Spellings of one column, orphaned rows, errors that do half (facts-mysql, findings 1 and 2).

use super::*;
use crate::support::{on_mariadb, on_mysql_and_mariadb};

on_mysql_and_mariadb!(
    every_spelling_is_revoked_and_stays_revoked,
    a_row_in_another_case_than_the_columns_is_found_and_revoked,
    the_tables_leftover_row_is_removed_too,
);

on_mariadb!(
    a_wrong_case_revoke_by_somebody_else_leaves_no_sleeping_row,
    a_missing_column_in_a_revoke_does_not_keep_the_others,
);

/// On a server of its own, because it is restarted.
fn every_spelling_is_revoked_and_stays_revoked(server: &Server) {
    let server = server.another(&[]);
    let mut shop = Shop::open(&server);
    let leased = shop.lease(&["ssn", "email"]);
    shop.root("GRANT SELECT (ssn) ON {c} TO {alice}; GRANT SELECT (Ssn) ON {c} TO {alice}");
    assert!(shop.contested(&leased[0]).is_some(), "not our spelling");
    shop.revoke(&leased);
    assert!(!shop.can_read("ssn"));
    shop.root("FLUSH PRIVILEGES");
    assert!(!shop.can_read("ssn"));
    server.restart();
    assert!(!shop.can_read("ssn"));
    assert_eq!(shop.rows_left(), 0);
    // The next lease works, and no old row wakes up with it.
    let again = shop.lease(&["email"]);
    shop.root("FLUSH PRIVILEGES");
    assert!(shop.can_read("email"));
    assert!(!shop.can_read("ssn"));
    shop.revoke(&again);
}

fn a_row_in_another_case_than_the_columns_is_found_and_revoked(server: &Server) {
    let mut shop = Shop::open(server);
    let asked = shop.resolve(&["SSN"]);
    shop.root("GRANT SELECT (ssn) ON {c} TO {alice}");
    assert!(matches!(shop.standing(&asked[0]), Standing::Held { .. }));
    let readable = shop.survey(&shop.ask(&["SSN"])).readable;
    assert_eq!(readable.len(), 1, "not ours, in whatever case");
    shop.revoke(&asked);
    shop.root("FLUSH PRIVILEGES");
    assert!(!shop.can_read("SSN"));
    assert_eq!(shop.rows_left(), 0);
}

fn the_tables_leftover_row_is_removed_too(server: &Server) {
    let mut shop = Shop::open(server);
    let asked = shop.resolve(&["SSN"]);
    shop.root(
        "GRANT SELECT (SSN) ON {c} TO {alice}; GRANT SELECT (ssn) ON {c} TO {alice};
         REVOKE SELECT (SSN) ON {c} FROM {alice}; REVOKE SELECT (ssn) ON {c} FROM {alice}",
    );
    // What makes it worth the trouble: rows are counted, and on MariaDB HANDLER reads all of them.
    assert_eq!(shop.read("COUNT(*)"), Ok("1".into()));
    if shop.is_mariadb() {
        let handler = shop.filled("HANDLER {c} OPEN AS h; HANDLER h READ FIRST");
        let rows = server.login_and_select(&shop.alice, &handler).unwrap();
        assert_eq!(rows[0][2].as_deref(), Some("123"));
    }
    assert!(matches!(shop.standing(&asked[0]), Standing::Held { .. }));
    shop.revoke(&asked);
    assert_eq!(shop.read("COUNT(*)"), Err("1142".into()));
    assert_eq!(shop.rows_left(), 0);
}

fn a_wrong_case_revoke_by_somebody_else_leaves_no_sleeping_row(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["SSN", "id"]);
    let refused = server
        .sql(&shop.filled("REVOKE SELECT (ssn) ON {c} FROM {alice}"))
        .unwrap_err();
    assert_eq!(refused.code, "1147");
    assert!(!shop.can_read("SSN"));
    assert!(
        matches!(shop.standing(&leased[0]), Standing::Held { .. }),
        "it sleeps on disk"
    );
    // One statement over both would stop at the sleeping one.
    shop.revoke(&leased);
    assert_eq!(shop.rows_left(), 0);
    assert!(!shop.can_read("id"));
    shop.lease(&["email"]);
    shop.root("FLUSH PRIVILEGES");
    assert!(!shop.can_read("SSN"), "it would have woken up");
}

fn a_missing_column_in_a_revoke_does_not_keep_the_others(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["id", "email", "note"]);
    let steps = shop.steps(&leased);
    shop.root("REVOKE SELECT (email) ON {c} FROM {alice}");
    let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
    assert!(reports[0].error.is_none(), "{:?}", reports[0].error);
    assert_eq!(shop.rows_left(), 0);
    assert!(!shop.can_read("note"));
}
