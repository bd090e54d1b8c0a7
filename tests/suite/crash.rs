//! Laws 1 and 2 under SIGKILL: wherever the program dies, one more sweep makes the ledger, the catalog and the audit
//! file agree, nothing is overdue, and no line is lost or doubled.

use crate::support::invariant::Before;
use crate::support::jit::run;
use crate::support::people::alice;
use crate::support::server::{Kind, Server};
use crate::support::shop::{POLICY, Shop};
use crate::support::{on_every_server, on_every_server_and_postgres_18};

on_every_server!(
    killed_between_record_and_discard_of_a_submission,
    killed_between_intent_and_audit_line,
    killed_behind_the_record_of_a_grant,
    killed_behind_the_record_of_a_revoke,
    killed_between_audit_line_and_its_mark,
    killed_after_the_grant_and_expired_when_found,
    killed_between_the_end_of_a_session_and_its_record,
);

on_every_server_and_postgres_18!(
    killed_between_intent_and_grant,
    killed_between_grant_and_record,
    killed_between_announcement_and_revoke,
    killed_between_revoke_and_record,
);

/// What must hold after the fault and one sweep.
fn invariant(shop: &Shop<'_>, before: &Before, id: &str, state: &str) {
    before.nothing_is_left_behind(shop);
    assert_eq!(shop.state(id), state);
    assert_eq!(shop.reads("jitalice", "email"), state == "active");
}

/// A shop in which people can read something already, and what that is.
fn shop(server: &Server) -> (Shop<'_>, Before) {
    let shop = Shop::on(server);
    for (column, account) in [("name", "jitalice"), ("email", "jitbob")] {
        shop.dba(&format!(
            "GRANT SELECT ({column}) ON {} TO {}",
            shop.table("customers"),
            shop.account(account)
        ));
    }
    let before = Before::of(&shop);
    (shop, before)
}

/// Kills a sweep at a place that must be reached.
fn kill_at(shop: &Shop<'_>, place: &str, nth: usize) {
    let output = run(&mut shop.sweep_at(&format!("{place}=kill:{nth}")), "");
    assert_eq!(output.code, 137, "the sweep must die at {place}: {output}");
}

fn killed_while_granting(server: &Server, place: &str) {
    let (shop, before) = shop(server);
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    kill_at(&shop, place, 1);
    invariant(&shop, &before, &id, "active");
    let granted = shop.events("granted");
    assert_eq!(granted.len(), 1, "{granted:#?}");
}

fn killed_while_revoking(server: &Server, place: &str) {
    let (shop, before) = shop(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.jit(&alice(), &["return", &id]).ok();
    kill_at(&shop, place, 1);
    invariant(&shop, &before, &id, "ended");
}

fn killed_between_record_and_discard_of_a_submission(server: &Server) {
    let (shop, before) = shop(server);
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    kill_at(&shop, "drain-recorded", 1);
    invariant(&shop, &before, &id, "active");
    assert_eq!(shop.events("requested").len(), 1, "drained once");
}

fn killed_between_intent_and_audit_line(server: &Server) {
    killed_while_granting(server, "intent-recorded");
}

fn killed_between_intent_and_grant(server: &Server) {
    killed_while_granting(server, "intent-audited");
}

fn killed_between_grant_and_record(server: &Server) {
    killed_while_granting(server, "grant-sent");
}

fn killed_behind_the_record_of_a_grant(server: &Server) {
    killed_while_granting(server, "grant-recorded");
}

fn killed_between_announcement_and_revoke(server: &Server) {
    let (shop, before) = shop(server);
    let id = shop.lease(&alice(), "email", "2s");
    std::thread::sleep(std::time::Duration::from_millis(2200));
    kill_at(&shop, "revoke-announced", 1);
    assert_eq!(shop.state(&id), "revoking");
    assert!(shop.reads("jitalice", "email"), "nothing was sent yet");
    invariant(&shop, &before, &id, "ended");
}

fn killed_between_revoke_and_record(server: &Server) {
    killed_while_revoking(server, "revoke-sent");
}

fn killed_behind_the_record_of_a_revoke(server: &Server) {
    killed_while_revoking(server, "revoke-recorded");
}

fn killed_between_audit_line_and_its_mark(server: &Server) {
    let (shop, before) = shop(server);
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    kill_at(&shop, "journal-written", 1);
    invariant(&shop, &before, &id, "active");
}

/// A policy's `sessions: end`: the session is ended, what was observed is not recorded yet.
fn killed_between_the_end_of_a_session_and_its_record(server: &Server) {
    let policy = POLICY.replace("approval: auto}", "approval: auto, sessions: end}");
    assert_ne!(policy, POLICY);
    let shop = Shop::with_policy(server, &policy);
    let (right, place, nth) = match server.kind() {
        // First as itself, which the server refuses, then as pg_signal_backend.
        Kind::Postgres => ("pg_signal_backend", "postgres-session-ended", 2),
        // the REVOKE is the first statement
        Kind::Mysql => ("CONNECTION_ADMIN ON *.*", "mysql-sent", 2),
        Kind::Mariadb => ("CONNECTION ADMIN ON *.*", "mysql-sent", 2),
    };
    shop.dba(&format!("GRANT {right} TO {}", shop.account("jitadmin")));
    let before = Before::of(&shop);
    let id = shop.lease(&alice(), "email", "1h");
    let mut session = server
        .session(&shop.as_account("jitalice"))
        .expect("a login");
    let table = shop.table("customers");
    let reads_on = match server.kind() {
        Kind::Postgres => format!("BEGIN; DECLARE c CURSOR FOR SELECT email FROM {table}"),
        Kind::Mysql | Kind::Mariadb => format!("SELECT email FROM {table}"),
    };
    session.sql(&reads_on).expect("she may");
    shop.jit(&alice(), &["return", &id]).ok();
    kill_at(&shop, place, nth);
    assert!(session.sql("SELECT 1").is_err(), "it was ended before");
    invariant(&shop, &before, &id, "ended");
}

/// The grant was given, its record was not, and when the next sweep comes the time is over.
fn killed_after_the_grant_and_expired_when_found(server: &Server) {
    let (shop, before) = shop(server);
    let id = shop.ask(&alice(), "email", "2s", &["--purpose", "support"]);
    kill_at(&shop, "grant-sent", 1);
    assert!(shop.reads("jitalice", "email"), "given, and not recorded");
    std::thread::sleep(std::time::Duration::from_millis(2200));
    invariant(&shop, &before, &id, "ended");
}
