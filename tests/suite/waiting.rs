//! Time that passes before a grant: waiting for it, a target that is down meanwhile, and nobody who approves.

use std::time::Duration;

use crate::refusals::{lapsing, request};
use crate::support::jit::{Output, run};
use crate::support::people::{alice, bob, carol, cron, dave};
use crate::support::server::Server;
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_postgres};

on_every_server!(
    a_target_that_is_down_keeps_what_was_asked,
    who_waits_is_shown_a_select_that_works,
);

on_postgres!(
    who_waits_for_what_is_refused_is_told_why,
    what_nobody_approves_lapses,
);

fn a_target_that_is_down_keeps_what_was_asked(server: &Server) {
    let own = server.another(&[]);
    let shop = Shop::with_policy(&own, &lapsing("4s"));
    let kept = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    let lost = shop.ask(&alice(), "email", "1h", &[]);
    own.stop();
    shop.sweep().exit(5);
    assert_eq!(shop.state(&kept), "submitted");
    assert_eq!(shop.state(&lost), "submitted");
    std::thread::sleep(Duration::from_millis(4200));
    shop.sweep().exit(5);
    let view = shop.show(&lost);
    assert_eq!(view["state"], "lapsed", "{view:#}");
    assert_eq!(shop.state(&kept), "submitted");
    own.start();
    shop.sweep().ok();
    assert_eq!(shop.state(&kept), "active");
    assert!(shop.reads("jitalice", "email"));
    shop.audit_is_sound();
}

/// A request with `--wait=50s`, while cron sweeps.
fn waited(shop: &Shop<'_>, what: &str) -> Output {
    let mut command = shop.jit.command(
        &alice(),
        &[
            "request",
            what,
            "--for",
            "1h",
            "--reason",
            "a test",
            "--purpose",
            "support",
            "--wait=50s",
        ],
    );
    let waiting = std::thread::spawn(move || run(&mut command, ""));
    while !waiting.is_finished() {
        shop.sweep().ok();
        std::thread::sleep(Duration::from_millis(300));
    }
    waiting.join().expect("a command")
}

/// Not by the rules, which say so at once, but by what the target has.
fn who_waits_for_what_is_refused_is_told_why(server: &Server) {
    let shop = Shop::on(server);
    shop.dba(&format!(
        "GRANT SELECT (email) ON {} TO {}",
        shop.table("customers"),
        shop.account("jitalice")
    ));
    let what = format!("{}:email", shop.table("customers"));
    waited(&shop, &what)
        .exit(3)
        .says("can read")
        .says("already");
}

fn who_waits_is_shown_a_select_that_works(server: &Server) {
    let shop = Shop::on(server);
    let what = format!("{}:email,phone", shop.table("customers"));
    let waited = waited(&shop, &what).ok();
    let select = waited
        .err
        .lines()
        .chain(waited.out.lines())
        .find_map(|line| {
            line.trim()
                .strip_suffix(';')
                .filter(|l| l.starts_with("SELECT"))
        })
        .unwrap_or_else(|| panic!("no SELECT in {waited}"));
    assert!(shop.selects("jitalice", select), "{select}");
    // One that nobody approves: the wait ends, the request stands.
    let out = request(
        &shop,
        &alice(),
        &[&what, "--for", "1h", "--reason", "a test", "--wait=1s"],
    )
    .exit(9)
    .says("jit show");
    let id = out.out.lines().next().unwrap_or_default().to_owned();
    shop.sweep().ok();
    let pending = shop.jit(&cron(), &["list", "--pending", "-q"]).ok().out;
    assert_eq!(pending.lines().count(), 1, "{id} {pending}");
}

fn what_nobody_approves_lapses(server: &Server) {
    let shop = Shop::with_policy(server, &lapsing("2s"));
    let pending = shop.ask(&alice(), "email", "1h", &[]);
    let late = shop.ask(&bob(), "email", "1h", &[]);
    shop.sweep().ok();
    assert_eq!(shop.state(&pending), "pending");
    std::thread::sleep(Duration::from_millis(2200));
    // A yes that comes too late.
    shop.jit(&dave(), &["approve", &late, "--yes"]).ok();
    shop.sweep();
    for id in [&pending, &late] {
        let view = shop.show(id);
        assert_eq!(view["state"], "lapsed", "{view:#}");
        shop.jit(&carol(), &["approve", id, "--yes"]).exit(4);
    }
    assert!(!shop.reads("jitbob", "email"));
    assert_eq!(shop.events("lapsed").len(), 2);
    shop.audit_is_sound();
}
