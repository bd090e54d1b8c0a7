//! Law 9 where a REVOKE waits for the table (Postgres 18 and later): whoever locks it to keep a column, or to help
//! somebody keep one, is sent away, and it is told. Which sessions the engine ends is in `engine_postgres::locks`.

use std::time::{Duration, Instant};

use crate::clock::at;
use crate::support::client::Session;
use crate::support::on_postgres_18;
use crate::support::people::{alice, carol, cron};
use crate::support::server::Server;
use crate::support::shop::Shop;

on_postgres_18!(
    a_grantee_who_locks_the_table_is_ended_by_one_sweep_and_told,
    an_owners_lock_is_overdue_and_told_until_it_goes,
    a_bystanders_lock_has_a_minute,
    the_kill_switch_gives_nobody_a_minute,
    a_stray_behind_a_lock_is_taken,
    without_the_right_to_end_sessions_doctor_fails_and_the_sweep_says_what_to_run,
);

/// A session of that account with the table for itself, and its number.
fn locked(shop: &Shop<'_>, name: &str) -> (Session, u64) {
    let table = shop.table("customers");
    shop.dba(&format!("GRANT UPDATE ON {table} TO {}", shop.login(name)));
    let mut session = shop
        .server
        .session(&shop.as_account(name))
        .expect("a login");
    session
        .sql(&format!(
            "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
        ))
        .expect("who may UPDATE may lock");
    let pid = session.id();
    (session, pid)
}

/// Whether this event tells of that session, and that it was or was not ended.
#[track_caller]
fn tells(event: &serde_json::Value, pid: u64, ended: bool) {
    let sessions = event["observed"]["sessions"].as_array().expect("a list");
    let found = sessions
        .iter()
        .find(|session| session["id"] == pid)
        .unwrap_or_else(|| panic!("{event:#}"));
    assert_eq!(found["ended"], ended, "{event:#}");
    let why = found["why"].as_str().expect("text");
    assert!(why.contains("that the REVOKE waited for"), "{why}");
}

fn a_grantee_who_locks_the_table_is_ended_by_one_sweep_and_told(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let (mut session, pid) = locked(&shop, "jitalice");
    let begun = Instant::now();
    let output = at(&shop, "+3605s", &cron(), &["sweep"]).ok();
    assert!(begun.elapsed() < Duration::from_secs(20), "{output}");
    assert!(
        output
            .err
            .contains(&format!("shop: ended session {pid} of")),
        "{output}"
    );
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.has_row("jitalice", "customers", "email"));
    assert!(!shop.reads("jitalice", "email"));
    assert!(session.sql("SELECT 1").is_err(), "ended");
    let revoked = shop.events("revoked");
    assert_eq!(revoked.len(), 1);
    tells(&revoked[0], pid, true);
    assert_eq!(revoked[0]["observed"]["row"], "absent");
    assert_eq!(shop.events("revoke_failed").len(), 0);
    shop.audit_is_sound();
}

fn an_owners_lock_is_overdue_and_told_until_it_goes(server: &Server) {
    let shop = Shop::on(server);
    let table = shop.table("customers");
    shop.dba(&format!(
        "ALTER TABLE {table} OWNER TO {}",
        shop.login("jitdave")
    ));
    let id = shop.lease(&alice(), "email", "1h");
    let (mut session, pid) = locked(&shop, "jitdave");
    // However long it is overdue.
    for _ in 0..2 {
        let output = at(&shop, "+2h", &cron(), &["sweep"]).exit(6);
        assert!(
            output.err.contains("OVERDUE") && output.err.contains(&format!("session {pid} of")),
            "{output}"
        );
        assert_eq!(shop.state(&id), "revoking");
    }
    session.sql("SELECT 1").expect("never ended");
    // Said once, not at every sweep.
    let failed = shop.events("revoke_failed");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    tells(&failed[0], pid, false);
    let why = failed[0]["why"].as_str().expect("text");
    assert!(
        why.contains(&format!("SELECT pg_terminate_backend({pid})")),
        "{why}"
    );
    at(&shop, "+2h", &cron(), &["list", "--overdue"])
        .ok()
        .says(&id);
    session.sql("COMMIT").expect("its end");
    at(&shop, "+2h", &cron(), &["sweep"]).ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
    shop.audit_is_sound();
}

fn a_bystanders_lock_has_a_minute(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let (mut session, pid) = locked(&shop, "jitmallory");
    let output = at(&shop, "+3620s", &cron(), &["sweep"]).exit(6);
    assert!(
        output.err.contains("OVERDUE") && output.err.contains("left to finish"),
        "{output}"
    );
    session.sql("SELECT 1").expect("not yet");
    tells(&shop.events("revoke_failed")[0], pid, false);
    let output = at(&shop, "+3680s", &cron(), &["sweep"]).ok();
    assert!(
        output.err.contains(&format!("ended session {pid} of")),
        "{output}"
    );
    assert_eq!(shop.state(&id), "ended");
    assert!(session.sql("SELECT 1").is_err(), "ended");
    assert!(!shop.reads("jitalice", "email"));
    tells(&shop.events("revoked")[0], pid, true);
    shop.audit_is_sound();
}

fn the_kill_switch_gives_nobody_a_minute(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let (mut session, pid) = locked(&shop, "jitmallory");
    shop.jit(
        &carol(),
        &["revoke", &id, "--reason", "an incident", "--yes"],
    )
    .ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(session.sql("SELECT 1").is_err(), "ended");
    assert!(!shop.reads("jitalice", "email"));
    tells(&shop.events("revoked")[0], pid, true);
    shop.audit_is_sound();
}

fn a_stray_behind_a_lock_is_taken(server: &Server) {
    let shop = Shop::on(server);
    let table = shop.table("customers");
    shop.dba(&format!(
        "SET ROLE jit_grantor_{}; GRANT SELECT (email) ON {table} TO {}; RESET ROLE",
        server_suffix(&shop),
        shop.login("jitbob")
    ));
    assert!(shop.reads("jitbob", "email"));
    let (mut session, pid) = locked(&shop, "jitmallory");
    shop.sweep().ok();
    assert!(session.sql("SELECT 1").is_err(), "ended");
    assert!(!shop.reads("jitbob", "email"));
    let strays = shop.events("stray");
    assert_eq!(strays.len(), 1);
    tells(&strays[0], pid, true);
}

/// What the shop's roles end with.
fn server_suffix(shop: &Shop<'_>) -> String {
    shop.login("").trim_start_matches('_').to_owned()
}

fn without_the_right_to_end_sessions_doctor_fails_and_the_sweep_says_what_to_run(server: &Server) {
    let shop = Shop::on(server);
    let jit = shop.login("jitadmin");
    let doctor = shop.jit(&cron(), &["doctor"]);
    assert!(!doctor.out.contains("FAIL sessions"), "{doctor}");
    shop.dba(&format!("REVOKE pg_signal_backend FROM {jit}"));
    let doctor = shop.jit(&cron(), &["doctor"]).exit(1);
    let text = doctor.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains(&format!("GRANT pg_signal_backend TO \"{jit}\"")),
        "{doctor}"
    );
    let id = shop.lease(&alice(), "email", "1h");
    let (mut session, pid) = locked(&shop, "jitalice");
    let output = at(&shop, "+2h", &cron(), &["sweep"]).exit(6);
    assert!(
        output
            .err
            .contains(&format!("SELECT pg_terminate_backend({pid})")),
        "{output}"
    );
    session.sql("SELECT 1").expect("it could not be ended");
    tells(&shop.events("revoke_failed")[0], pid, false);
    // setup says the same, and with it the next sweep goes.
    let url = shop.server.url(shop.server.superuser(), &shop.database);
    let setup = shop.as_superuser(&["setup", "shop", "--as-url", &url]).ok();
    assert!(setup.out.contains("GRANT pg_signal_backend TO"), "{setup}");
    shop.set_up();
    at(&shop, "+2h", &cron(), &["sweep"]).ok();
    assert_eq!(shop.state(&id), "ended");
    tells(&shop.events("revoked")[0], pid, true);
}
