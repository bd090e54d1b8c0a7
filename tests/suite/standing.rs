//! Law 4: never take what we did not give. Of two leases of one column, the privilege goes with the last.

use std::time::Duration;

use jit::stores::{FindLeases, Ledger};

use crate::support::invariant;
use crate::support::people::{alice, bob, carol, cron};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::{
    on_every_server, on_every_server_and_postgres_18, on_mysql, on_mysql_and_mariadb, on_postgres,
};

on_every_server!(
    returning_one_of_two_keeps_the_column,
    what_can_be_read_already_is_refused_with_how,
    other_columns_of_the_same_table_are_not_touched,
    two_accounts_of_one_batch_lose_only_what_is_due,
);

on_every_server_and_postgres_18!(
    overlapping_lease_keeps_the_column,
    a_standing_grant_made_before_the_grant_stops_it_and_stays,
);

fn overlapping_lease_keeps_the_column(server: &Server) {
    let shop = Shop::on(server);
    let short = shop.ask(&alice(), "email", "3s", &["--purpose", "support"]);
    let long = shop.ask(&alice(), "email,phone", "1h", &["--purpose", "support"]);
    shop.sweep().ok();
    assert_eq!(
        (shop.state(&short), shop.state(&long)),
        ("active".into(), "active".into())
    );
    std::thread::sleep(Duration::from_millis(3200));
    shop.sweep().ok();
    assert_eq!(
        (shop.state(&short), shop.state(&long)),
        ("ended".into(), "active".into())
    );
    assert!(
        shop.reads("jitalice", "email"),
        "the longer lease keeps the column"
    );
    let kept = &shop.events("kept")[0];
    assert_eq!(kept["request"], short.as_str());
    assert!(
        kept["why"].as_str().is_some_and(|why| why.contains(&long)),
        "{kept:#}"
    );
    shop.jit(&carol(), &["revoke", &long, "--reason", "done", "--yes"])
        .ok();
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "email"));
    assert!(!shop.reads("jitalice", "phone"));
    shop.audit_is_sound();
}

fn returning_one_of_two_keeps_the_column(server: &Server) {
    let shop = Shop::on(server);
    let one = shop.lease(&alice(), "email", "1h");
    let other = shop.lease(&alice(), "email", "2h");
    // The later one goes first: the earlier one goes on, and now owes the undo.
    shop.jit(&alice(), &["return", &other]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&other), "ended");
    assert!(shop.reads("jitalice", "email"));
    shop.jit(&alice(), &["return", &one]).ok();
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "email"));
}

fn what_can_be_read_already_is_refused_with_how(server: &Server) {
    let shop = Shop::on(server);
    shop.dba(&format!(
        "GRANT SELECT (email) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    shop.sweep().ok();
    let view = shop.show(&id);
    assert_eq!(view["state"], "refused", "{view:#}");
    assert!(
        view["outcome"]
            .as_str()
            .is_some_and(|why| why.contains("already")),
        "{view:#}"
    );
    assert!(shop.reads("jitalice", "email"), "the standing grant stays");
}

fn a_standing_grant_made_before_the_grant_stops_it_and_stays(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.ask(&alice(), "email", "1h", &[]);
    shop.sweep().ok();
    shop.dba(&format!(
        "GRANT SELECT (email) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    shop.jit(&crate::support::people::dave(), &["approve", &id, "--yes"])
        .ok();
    shop.sweep();
    assert_eq!(shop.state(&id), "failed");
    assert!(shop.reads("jitalice", "email"), "the standing grant stays");
    assert!(shop.events("granting").is_empty());
}

fn other_columns_of_the_same_table_are_not_touched(server: &Server) {
    let shop = Shop::on(server);
    shop.dba(&format!(
        "GRANT SELECT (name) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    let id = shop.lease(&alice(), "email", "1h");
    assert!(shop.reads("jitalice", "name, email"));
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "email"));
    assert!(shop.reads("jitalice", "name"), "what the DBA gave stays");
}

fn two_accounts_of_one_batch_lose_only_what_is_due(server: &Server) {
    let shop = Shop::on(server);
    let due = [
        shop.ask(&alice(), "email", "3s", &["--purpose", "support"]),
        shop.ask(&bob(), "email", "3s", &["--purpose", "support"]),
        shop.ask(&bob(), "phone", "1h", &["--purpose", "support"]),
    ];
    shop.sweep().ok();
    assert!(shop.reads("jitalice", "email") && shop.reads("jitbob", "email, phone"));
    std::thread::sleep(Duration::from_millis(3200));
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "email") && !shop.reads("jitbob", "email"));
    assert!(shop.reads("jitbob", "phone"));
    assert_eq!(shop.state(&due[2]), "active");
}

on_postgres!(
    a_standing_grant_made_during_a_lease_survives_it,
    a_privilege_of_ours_that_no_lease_owns_is_a_stray,
    a_stray_is_told_before_a_lease_of_the_same_is_given,
);

fn a_standing_grant_made_during_a_lease_survives_it(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.dba(&format!(
        "GRANT SELECT (email) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(shop.reads("jitalice", "email"), "the DBA's grant stays");
    // And it is said in the same breath.
    let revoked = &shop.events("revoked")[0];
    assert!(
        revoked["observed"]["still_reads"].is_object(),
        "{revoked:#}"
    );
}

fn a_privilege_of_ours_that_no_lease_owns_is_a_stray(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&bob(), "email", "1h");
    shop.dba(&format!(
        "BEGIN; SET LOCAL ROLE jit_grantor_{}; GRANT SELECT (phone) ON {} TO {}; COMMIT",
        shop.suffix,
        shop.table("customers"),
        shop.account("jitalice")
    ));
    assert!(shop.reads("jitalice", "phone"));
    shop.sweep().ok();
    assert!(!shop.reads("jitalice", "phone"));
    let stray = &shop.events("stray")[0];
    assert_eq!(stray["columns"], serde_json::json!(["phone"]));
    assert_eq!(stray["observed"]["row"], "absent");
    assert!(shop.reads("jitbob", "email"), "a lease is no stray");
    assert_eq!(shop.state(&id), "active");
}

fn a_stray_is_told_before_a_lease_of_the_same_is_given(server: &Server) {
    let shop = Shop::on(server);
    shop.dba(&format!(
        "BEGIN; SET LOCAL ROLE jit_grantor_{}; GRANT SELECT (phone) ON {} TO {}; COMMIT",
        shop.suffix,
        shop.table("customers"),
        shop.account("jitalice")
    ));
    let id = shop.lease(&alice(), "phone", "1h");
    assert_eq!(shop.state(&id), "active");
    assert!(shop.reads("jitalice", "phone"));
    let told: Vec<String> = shop
        .jit
        .events()
        .iter()
        .filter_map(|event| event["event"].as_str().map(str::to_owned))
        .filter(|event| ["stray", "granted"].contains(&event.as_str()))
        .collect();
    assert_eq!(told, ["stray", "granted"]);
}

on_mysql_and_mariadb!(
    a_grant_of_somebody_else_during_a_lease_is_kept_until_a_person_settles_it,
    a_disputed_column_can_be_taken_all_the_same,
    a_column_that_goes_from_one_to_another_in_one_second_is_not_disputed,
    a_dispute_is_not_forgotten_when_jit_is_at_the_table_again,
    what_somebody_else_granted_is_seen_before_jit_wipes_its_trace,
    what_is_left_standing_outlives_a_lease_that_goes_on,
    what_waits_for_a_person_holds_up_nobody_else,
    what_a_person_settled_ends_while_another_waits,
    what_a_dba_gives_again_is_theirs_though_jit_is_there_in_the_same_second,
    our_own_grant_of_a_leased_column_is_no_strangers,
);

on_mysql!(
    what_a_dba_gives_in_the_second_of_a_whole_lease_is_theirs,
    what_comes_back_is_known_by_the_stamp_of_its_last_lease,
);

/// Rows that were put back from a copy are ours by the time of their own, whoever was at the table since. Of two leases of
/// the column the second had that time.
fn what_comes_back_is_known_by_the_stamp_of_its_last_lease(server: &Server) {
    let shop = Shop::on(server);
    let returned = |id: &str| {
        shop.jit(&alice(), &["return", id]).ok();
        shop.sweep().ok();
        assert!(!shop.reads("jitalice", "email"));
    };
    returned(&shop.lease(&alice(), "email", "1h"));
    std::thread::sleep(Duration::from_millis(1100));
    let second = shop.lease(&alice(), "email", "1h");
    let rows = ["columns_priv", "tables_priv"];
    for table in rows {
        let (copy, user) = (shop.table(table), shop.login("jitalice"));
        shop.dba(&format!(
            "CREATE TABLE {copy} AS SELECT * FROM mysql.{table} WHERE User = '{user}'"
        ));
    }
    // Gone in its own second, what has that time could be anybody's.
    std::thread::sleep(Duration::from_millis(1100));
    returned(&second);
    for table in rows {
        let copy = shop.table(table);
        shop.dba(&format!("INSERT INTO mysql.{table} SELECT * FROM {copy}"));
    }
    shop.dba("FLUSH PRIVILEGES");
    std::thread::sleep(Duration::from_millis(1100));
    shop.dba(&format!(
        "GRANT SELECT (name) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    assert!(shop.reads("jitalice", "email, name"));
    shop.sweep();
    assert!(!shop.reads("jitalice", "email"), "it was ours");
    assert!(shop.reads("jitalice", "name"), "it was not");
    assert_eq!(shop.events("stray").len(), 1);
}

/// The DBA grants alice's leased column too, in a second of its own: the catalog's clock ticks in seconds.
fn granted_by_the_dba_too(shop: &Shop, column: &str) {
    std::thread::sleep(Duration::from_millis(1100));
    shop.dba(&format!(
        "GRANT SELECT ({column}) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    std::thread::sleep(Duration::from_millis(1100));
}

fn a_dispute_is_not_forgotten_when_jit_is_at_the_table_again(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    granted_by_the_dba_too(&shop, "email");
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().exit(6).says("OVERDUE");

    let other = shop.ask(&alice(), "phone", "1h", &["--purpose", "support"]);
    shop.sweep().exit(6);
    assert_eq!(shop.state(&other), "active");
    shop.jit(&alice(), &["return", &other]).ok();
    shop.sweep().exit(6);
    assert_eq!(shop.state(&other), "ended");
    assert!(!shop.reads("jitalice", "phone") && shop.reads("jitalice", "email"));
    shop.sweep().exit(6);
    assert!(shop.reads("jitalice", "email"), "until a person settles it");
    assert_eq!(shop.events("kept").len(), 1, "said once");
    shop.jit(
        &carol(),
        &["revoke", &id, "--keep-standing", "--reason", "it is theirs"],
    )
    .ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(shop.reads("jitalice", "email"));
    shop.audit_is_sound();
}

/// Nothing has failed: others get their access while a person thinks about it, however long that takes.
fn what_waits_for_a_person_holds_up_nobody_else(server: &Server) {
    let shop = Shop::on(server);
    shop.edit(
        "etc/config.yaml",
        "targets:\n",
        "sweep_within: 1s\ntargets:\n",
    );
    let id = shop.lease(&alice(), "email", "1h");
    granted_by_the_dba_too(&shop, "email");
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().exit(6).says("OVERDUE");
    std::thread::sleep(Duration::from_millis(1100));
    let other = shop.ask(&bob(), "phone", "1h", &["--purpose", "support"]);
    shop.sweep().exit(6).says("OVERDUE");
    assert_eq!(shop.state(&other), "active");
    assert!(shop.reads("jitbob", "phone"));
}

fn what_a_person_settled_ends_while_another_waits(server: &Server) {
    let shop = Shop::on(server);
    let one = shop.lease(&alice(), "email", "1h");
    let other = shop.lease(&alice(), "phone", "1h");
    for column in ["email", "phone"] {
        granted_by_the_dba_too(&shop, column);
    }
    for id in [&one, &other] {
        shop.jit(&alice(), &["return", id]).ok();
    }
    shop.sweep().exit(6).says("OVERDUE");
    shop.jit(
        &carol(),
        &[
            "revoke",
            &one,
            "--keep-standing",
            "--reason",
            "it is theirs",
        ],
    );
    shop.sweep().exit(6).says("OVERDUE");
    assert_eq!(
        (shop.state(&one), shop.state(&other)),
        ("ended".into(), "revoking".into())
    );
}

/// A column's lease has ended lately; a DBA gives that column for good, and within the same second jit gives or takes
/// another column of the same account. What remains must not pass for a stray of ours.
fn what_a_dba_gives_again_is_theirs_though_jit_is_there_in_the_same_second(server: &Server) {
    for jit_gives in [true, false] {
        let shop = Shop::on(server);
        let ended = shop.lease(&alice(), "email", "1h");
        let other = (!jit_gives).then(|| shop.lease(&alice(), "phone", "1h"));
        shop.jit(&alice(), &["return", &ended]).ok();
        shop.sweep().ok();
        match &other {
            None => {
                shop.ask(&alice(), "phone", "1h", &["--purpose", "support"]);
            }
            Some(other) => {
                shop.jit(&alice(), &["return", other]).ok();
            }
        }
        // From the beginning of a second on there is time for both.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let into = now.expect("after 1970").subsec_millis();
        std::thread::sleep(Duration::from_millis(u64::from(2000 - into)));
        shop.dba(&format!(
            "GRANT SELECT (email) ON {} TO {}",
            shop.table("customers"),
            shop.account("jitalice")
        ));
        shop.sweep();
        shop.sweep();
        assert!(shop.reads("jitalice", "email"), "jit gives: {jit_gives}");
        // MariaDB does not tell which column the DBA gave: there the other waits for a person.
        let waits = server.kind() == Kind::Mariadb;
        assert_eq!(shop.reads("jitalice", "phone"), jit_gives || waits);
    }
}

/// Given, taken, and given by a DBA for good, all within one second of the catalog's clock: the row has the time of
/// our own grant, and is not ours.
fn what_a_dba_gives_in_the_second_of_a_whole_lease_is_theirs(server: &Server) {
    let mut hit = false;
    for _ in 0..20 {
        let shop = Shop::on(server);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let into = now.expect("after 1970").subsec_millis();
        std::thread::sleep(Duration::from_millis(u64::from(1000 - into)));
        let ended = shop.lease(&alice(), "email", "1h");
        shop.jit(&alice(), &["return", &ended]).ok();
        shop.sweep().ok();
        assert_eq!(shop.state(&ended), "ended");
        shop.dba(&format!(
            "GRANT SELECT (email) ON {} TO {}",
            shop.table("customers"),
            shop.account("jitalice")
        ));
        // Unless the machine was slow, the row's time is that of the lease.
        let find = FindLeases::Of(ended.parse().expect("an id"));
        let mut leases = invariant::ledger(&shop).leases(&find).expect("readable");
        let lease = leases.remove(0);
        let stamp = lease.privilege.stamp.expect("MySQL's rows have times");
        hit |= stamp.contains("at_once");
        shop.sweep().ok();
        shop.sweep().ok();
        assert!(shop.reads("jitalice", "email"), "taken: {stamp}");
        if hit {
            return;
        }
    }
    panic!("never within one second");
}

fn what_somebody_else_granted_is_seen_before_jit_wipes_its_trace(server: &Server) {
    for column in ["phone", "email", "email,phone"] {
        let shop = Shop::on(server);
        let id = shop.lease(&alice(), "email", "1h");
        granted_by_the_dba_too(&shop, "email");
        // Our next GRANT on the account's table: of another column, and of the very same.
        let other = shop.lease(&alice(), column, "2h");
        assert_eq!(shop.events("kept").len(), 1, "it is told at once");
        shop.jit(
            &carol(),
            &["revoke", &id, "--keep-standing", "--reason", "it is theirs"],
        )
        .exit(4)
        .says("goes on");
        shop.jit(&alice(), &["return", &other]).ok();
        shop.sweep().ok();
        assert_eq!(shop.state(&other), "ended");
        shop.jit(&alice(), &["return", &id]).ok();
        shop.sweep().exit(6).says("OVERDUE");
        assert!(shop.reads("jitalice", "email"), "beside {column}");
        // One is the dispute; the other, of the same column, that the second lease was covered by the first.
        let kept = if column == "phone" { 1 } else { 2 };
        assert_eq!(shop.events("kept").len(), kept);
        shop.jit(
            &carol(),
            &["revoke", &id, "--take", "--reason", "a mistake"],
        )
        .ok();
        shop.sweep().ok();
        for id in [&id, &other] {
            assert_eq!(shop.state(id), "ended");
        }
        assert!(!shop.reads("jitalice", "email"));
        shop.audit_is_sound();
    }
}

fn what_is_left_standing_outlives_a_lease_that_goes_on(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    granted_by_the_dba_too(&shop, "email");
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().exit(6);
    let other = shop.ask(&alice(), "email", "2h", &["--purpose", "support"]);
    shop.sweep().exit(6);
    shop.jit(
        &carol(),
        &["revoke", &id, "--keep-standing", "--reason", "it is theirs"],
    )
    .ok();
    shop.sweep().ok();
    assert_eq!(
        (shop.state(&id), shop.state(&other)),
        ("ended".into(), "active".into())
    );
    shop.jit(&alice(), &["return", &other]).ok();
    shop.sweep()
        .exit(6)
        .says("carol has left the same standing");
    assert!(shop.reads("jitalice", "email"));
    shop.jit(
        &carol(),
        &["revoke", &other, "--keep-standing", "--reason", "as before"],
    )
    .ok();
    shop.sweep().ok();
    assert!(shop.reads("jitalice", "email"));
    shop.audit_is_sound();
}

/// Alice gives it back as bob receives it, in one sweep. To MySQL's catalog that looks like a renamed account.
fn a_column_that_goes_from_one_to_another_in_one_second_is_not_disputed(server: &Server) {
    let shop = Shop::on(server);
    for _ in 0..4 {
        let first = shop.lease(&alice(), "email", "1h");
        shop.jit(&alice(), &["return", &first]).ok();
        let second = shop.ask(&bob(), "email", "1h", &["--purpose", "support"]);
        shop.sweep().ok();
        assert_eq!(
            (shop.state(&first), shop.state(&second)),
            ("ended".into(), "active".into())
        );
        assert!(!shop.reads("jitalice", "email") && shop.reads("jitbob", "email"));
        shop.jit(&bob(), &["return", &second]).ok();
        shop.sweep().ok();
    }
}

/// The second lease of a column renews its row's time on MySQL, and a third one hides whose hand that was.
fn our_own_grant_of_a_leased_column_is_no_strangers(server: &Server) {
    let shop = Shop::on(server);
    let mut leases = Vec::new();
    for (column, ttl) in [("email", "1h"), ("email", "2h"), ("phone", "1h")] {
        if !leases.is_empty() {
            std::thread::sleep(Duration::from_millis(1100));
        }
        leases.push(shop.lease(&alice(), column, ttl));
    }
    for id in &leases {
        shop.jit(&alice(), &["return", id]).ok();
        shop.sweep().ok();
        assert_eq!(shop.state(id), "ended");
    }
    assert!(!shop.reads("jitalice", "email") && !shop.reads("jitalice", "phone"));
}

fn a_grant_of_somebody_else_during_a_lease_is_kept_until_a_person_settles_it(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    std::thread::sleep(Duration::from_millis(1100)); // the catalog's clock ticks in seconds
    shop.dba(&format!(
        "GRANT SELECT (email) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().exit(6).says("OVERDUE");
    assert!(
        shop.reads("jitalice", "email"),
        "it may be theirs, so it stays"
    );
    shop.jit(&cron(), &["list", "--overdue"]).ok().says(&id);
    shop.sweep().exit(6);
    assert_eq!(
        shop.events("kept").len(),
        1,
        "said once, not at every sweep"
    );
    shop.jit(
        &carol(),
        &[
            "revoke",
            &id,
            "--keep-standing",
            "--reason",
            "it is theirs now",
        ],
    )
    .ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(shop.reads("jitalice", "email"));
    shop.audit_is_sound();
}

fn a_disputed_column_can_be_taken_all_the_same(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    std::thread::sleep(Duration::from_millis(1100));
    shop.dba(&format!(
        "GRANT SELECT (email) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().exit(6);
    shop.jit(
        &carol(),
        &["revoke", &id, "--take", "--reason", "it was a mistake"],
    )
    .ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
}
