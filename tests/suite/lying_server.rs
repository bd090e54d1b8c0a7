//! Law 3 against servers that lie: "OK" is no evidence. What was not observed gone is never "revoked": it is
//! overdue, listed, tried again, and done when somebody has mended it.

use std::time::Duration;

use serde_json::json;

use crate::support::people::{alice, bob, carol, cron};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_postgres};

on_every_server!(a_login_that_lost_its_rights_is_loud_until_it_has_them_again);

on_postgres!(
    a_revoke_that_is_undone_under_our_hands_is_overdue,
    a_revoke_that_removes_nothing_is_overdue,
    a_row_that_became_grantable_is_taken_or_loud,
    a_grant_that_gives_nothing_is_no_grant,
    an_operators_own_revoke_does_not_claim_what_is_not_so,
);

/// Everything that must hold while a lease cannot be taken.
fn is_loud(shop: &Shop<'_>, id: &str) {
    for _ in 0..2 {
        shop.sweep().exit(6).says("OVERDUE");
    }
    assert!(shop.reads("jitalice", "email"), "it is really still there");
    assert_eq!(shop.state(id), "revoking");
    assert!(shop.events("revoked").is_empty(), "never claimed");
    let listed = shop.jit(&cron(), &["list", "--overdue", "-q"]).ok().out;
    assert_eq!(listed.trim(), id);
    let said = shop.events("revoke_failed").len() + shop.events("kept").len();
    assert_eq!(said, 1, "in the trail, and once");
    let ill = shop.jit(&cron(), &["doctor"]);
    assert_ne!(ill.code, 0, "{ill}");
    let metrics = shop.jit.path("var/lib/jit/ledger/jit.prom");
    let file = metrics.display().to_string();
    shop.jit(&cron(), &["sweep", "--metrics", &file]).exit(6);
    let text = std::fs::read_to_string(&metrics).expect("metrics");
    assert!(text.contains("jit_leases_overdue 1"), "{text}");
}

fn is_mended(shop: &Shop<'_>, id: &str) {
    shop.sweep().ok();
    assert_eq!(shop.state(id), "ended");
    assert!(!shop.reads("jitalice", "email"));
    assert!(!shop.has_row("jitalice", "customers", "email"));
    shop.jit(&cron(), &["list", "--overdue"])
        .ok()
        .says("nothing");
    let ends = shop.events("revoked").len() + shop.events("gone").len();
    assert_eq!(ends, 1);
    shop.audit_is_sound();
}

fn a_login_that_lost_its_rights_is_loud_until_it_has_them_again(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "2s");
    let login = shop.account("jitadmin");
    match server.kind() {
        Kind::Postgres => {
            shop.dba(&format!("REVOKE jit_grantor_{} FROM {login}", shop.suffix));
        }
        Kind::Mysql | Kind::Mariadb => {
            shop.dba(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {login}"));
        }
    }
    std::thread::sleep(Duration::from_millis(2200));
    is_loud(&shop, &id);
    shop.set_up();
    is_mended(&shop, &id);
}

/// An event trigger gives back in the same transaction what the REVOKE took.
fn grants_again(shop: &Shop<'_>) {
    shop.dba(&format!(
        "CREATE FUNCTION public.again() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_user = 'jit_grantor_{}' THEN GRANT SELECT (email) ON public.customers TO {}; END IF; END $$",
        shop.suffix,
        shop.login("jitalice")
    ));
    shop.dba(
        "CREATE EVENT TRIGGER again ON ddl_command_end WHEN TAG IN ('REVOKE') EXECUTE FUNCTION public.again()",
    );
}

fn a_revoke_that_is_undone_under_our_hands_is_overdue(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    grants_again(&shop);
    shop.jit(&alice(), &["return", &id]).ok();
    is_loud(&shop, &id);
    let failed = &shop.events("revoke_failed")[0];
    let why = failed["why"].as_str().expect("a text");
    assert!(why.contains("still shows it"), "{why}");
    shop.dba("DROP EVENT TRIGGER again");
    is_mended(&shop, &id);
}

/// The row that says why we may grant is gone, and ours is an orphan: REVOKE answers with a warning and success.
fn a_revoke_that_removes_nothing_is_overdue(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let column = "attrelid = 'public.customers'::regclass AND attname = 'email'";
    let before = shop.dba(&format!(
        "SELECT attacl::text FROM pg_attribute WHERE {column}"
    ))[0][0]
        .clone()
        .expect("an ACL");
    shop.dba(&format!(
        "UPDATE pg_attribute SET attacl = ARRAY['{}=r/jit_grantor_{}'::aclitem] WHERE {column}",
        shop.login("jitalice"),
        shop.suffix
    ));
    shop.jit(&alice(), &["return", &id]).ok();
    is_loud(&shop, &id);
    // What cannot be taken back is not given to others either, and the sweep says why.
    shop.edit(
        "etc/config.yaml",
        "targets:\n",
        "sweep_within: 1s\ntargets:\n",
    );
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let waits = shop.ask(&bob(), "phone", "1h", &["--purpose", "support"]);
    shop.sweep()
        .exit(6)
        .says("no sweep has taken all that was due")
        .says("jit list --overdue");
    assert_eq!(shop.state(&waits), "approved");
    shop.dba(&format!(
        "UPDATE pg_attribute SET attacl = '{before}'::aclitem[] WHERE {column}"
    ));
    is_mended(&shop, &id);
    assert_eq!(shop.state(&waits), "active");
}

/// Somebody lets the grantee hand our privilege on. Where she has, taking it away would take a third person's, too.
fn a_row_that_became_grantable_is_taken_or_loud(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.dba(&format!(
        "BEGIN; SET LOCAL ROLE jit_grantor_{}; GRANT SELECT (email) ON customers TO {} WITH GRANT OPTION; COMMIT",
        shop.suffix,
        shop.login("jitalice")
    ));
    shop.dba(&format!(
        "BEGIN; SET LOCAL ROLE {}; GRANT SELECT (email) ON customers TO {}; COMMIT",
        shop.login("jitalice"),
        shop.login("jitbob")
    ));
    shop.jit(&alice(), &["return", &id]).ok();
    is_loud(&shop, &id);
    assert!(
        shop.reads("jitbob", "email"),
        "what others gave is not ours to take"
    );
    shop.dba(&format!(
        "BEGIN; SET LOCAL ROLE {}; REVOKE SELECT (email) ON customers FROM {}; COMMIT",
        shop.login("jitalice"),
        shop.login("jitbob")
    ));
    // Nobody depends on it any more: it is still grantable, and goes.
    is_mended(&shop, &id);
}

fn a_grant_that_gives_nothing_is_no_grant(server: &Server) {
    let shop = Shop::on(server);
    shop.dba(&format!(
        "CREATE FUNCTION public.never() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_user = 'jit_grantor_{}' THEN REVOKE SELECT (email) ON public.customers FROM {}; END IF; END $$",
        shop.suffix,
        shop.login("jitalice")
    ));
    shop.dba(
        "CREATE EVENT TRIGGER never ON ddl_command_end WHEN TAG IN ('GRANT') EXECUTE FUNCTION public.never()",
    );
    let id = shop.ask(&alice(), "email,phone", "1h", &["--purpose", "support"]);
    shop.sweep();
    let view = shop.show(&id);
    assert_eq!(view["state"], "failed", "{view:#}");
    assert!(shop.events("granted").is_empty());
    assert_eq!(shop.events("grant_failed")[0]["request"], json!(id));
    // All columns or none.
    assert!(!shop.reads("jitalice", "email") && !shop.reads("jitalice", "phone"));
    assert!(!shop.has_row("jitalice", "customers", "phone"));
    shop.dba("DROP EVENT TRIGGER never");
    shop.lease(&alice(), "email,phone", "1h");
    assert!(shop.reads("jitalice", "email, phone"));
    shop.audit_is_sound();
}

fn an_operators_own_revoke_does_not_claim_what_is_not_so(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    grants_again(&shop);
    let said = shop
        .jit(&carol(), &["revoke", &id, "--reason", "now", "--yes"])
        .exit(6);
    assert!(!said.out.contains("ended"), "{said}");
    assert_eq!(shop.state(&id), "revoking");
    shop.dba("DROP EVENT TRIGGER again");
    is_mended(&shop, &id);
}
