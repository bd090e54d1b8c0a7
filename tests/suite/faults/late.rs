//! A statement that was on its way when its sweep gave it up, and arrives after the next one has ended the request.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::on_every_server;
use crate::support::people::{alice, cron};
use crate::support::proxy::{Fault, Held, Proxy, Way};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;

use super::load::ends_in_order;

on_every_server!(what_arrives_after_it_was_given_up_opens_nothing);

/// What is late longer than anybody waits for it: until the wire is whole.
const LATE: Duration = Duration::from_secs(300);

fn what_arrives_after_it_was_given_up_opens_nothing(server: &Server) {
    let shop = Shop::on(server);
    let proxy = Proxy::to(server.host(), server.port());
    let [direct, wired] = shop.reach_at(
        &proxy.address(),
        "sslmode=disable&connect_timeout=2&statement_timeout=2s",
    );
    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    match server.kind() {
        Kind::Postgres => commit_is_late(&shop, &proxy),
        Kind::Mysql | Kind::Mariadb => grant_is_late(&shop, &proxy),
    }
    shop.edit("etc/config.yaml", &wired, &direct);
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert!(proxy.is_whole(Held::Arrives) > 0, "nothing was held back");
    std::thread::sleep(Duration::from_secs(1));
    assert!(!shop.reads("jitalice", "email"), "it came after all");
    assert_eq!(shop.state(&id), "ended");
    shop.audit_is_sound();
}

fn sweep(shop: &Shop<'_>) -> Command {
    let mut sweep = shop.jit.command(&cron(), &["sweep"]);
    sweep
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    sweep
}

/// The server has carried out the GRANT, and hears of its COMMIT later.
fn commit_is_late(shop: &Shop<'_>, proxy: &Proxy) {
    let gate = shop.jit.path("gate");
    let mut sweep = sweep(shop)
        .env(
            "JIT_FAILPOINT",
            format!("postgres-uncommitted=wait:{}", gate.display()),
        )
        .spawn()
        .expect("the program is there");
    assert!(proxy.falls_silent(&mut sweep), "it was not held");
    proxy.breaks(Fault::Stall {
        way: Way::There,
        after: 0,
        time: LATE,
    });
    std::fs::write(&gate, "").expect("our own folder");
    ends_in_order(sweep);
}

/// The server has the GRANT as a prepared statement, and is told later to carry it out.
fn grant_is_late(shop: &Shop<'_>, proxy: &Proxy) {
    proxy.breaks(Fault::Late {
        words: &["GRANT SELECT"],
        time: LATE,
    });
    ends_in_order(sweep(shop).spawn().expect("the program is there"));
}
