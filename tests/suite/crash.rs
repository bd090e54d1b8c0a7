//! Laws 1 and 2 under SIGKILL: wherever the program dies, one more sweep makes the ledger, the catalog and the audit
//! file agree, nothing is overdue, and no line is lost or doubled.

use crate::support::invariant::Before;
use crate::support::jit::run;
use crate::support::people::alice;
use crate::support::server::Server;
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_every_server_and_postgres_18};

on_every_server!(
    killed_between_record_and_discard_of_a_submission,
    killed_between_intent_and_audit_line,
    killed_behind_the_record_of_a_grant,
    killed_behind_the_record_of_a_revoke,
    killed_between_audit_line_and_its_mark,
    killed_after_the_grant_and_expired_when_found,
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
fn kill_at(shop: &Shop<'_>, place: &str) {
    let output = run(&mut shop.sweep_at(&format!("{place}=kill")), "");
    assert_eq!(output.code, 137, "the sweep must die at {place}: {output}");
}

fn killed_while_granting(server: &Server, place: &str) {
    let (shop, before) = shop(server);
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    kill_at(&shop, place);
    invariant(&shop, &before, &id, "active");
    let granted = shop.events("granted");
    assert_eq!(granted.len(), 1, "{granted:#?}");
}

fn killed_while_revoking(server: &Server, place: &str) {
    let (shop, before) = shop(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.jit(&alice(), &["return", &id]).ok();
    kill_at(&shop, place);
    invariant(&shop, &before, &id, "ended");
}

fn killed_between_record_and_discard_of_a_submission(server: &Server) {
    let (shop, before) = shop(server);
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    kill_at(&shop, "drain-recorded");
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
    kill_at(&shop, "revoke-announced");
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
    kill_at(&shop, "journal-written");
    invariant(&shop, &before, &id, "active");
}

/// The grant was given, its record was not, and when the next sweep comes the time is over.
fn killed_after_the_grant_and_expired_when_found(server: &Server) {
    let (shop, before) = shop(server);
    let id = shop.ask(&alice(), "email", "2s", &["--purpose", "support"]);
    kill_at(&shop, "grant-sent");
    assert!(shop.reads("jitalice", "email"), "given, and not recorded");
    std::thread::sleep(std::time::Duration::from_millis(2200));
    invariant(&shop, &before, &id, "ended");
}
