//! A statement that was on its way when its sweep gave it up, and arrives after the next one has ended the request.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::mount::SmallDisk;
use crate::support::on_every_server;
use crate::support::people::{alice, cron};
use crate::support::proxy::{Fault, Held, Proxy, Way};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;

use super::load::ends_in_order;

on_every_server!(
    what_arrives_after_it_was_given_up_opens_nothing,
    what_arrives_after_it_was_given_up_takes_nothing,
    what_arrives_late_takes_nothing_that_others_gave,
    what_a_ledger_did_not_hear_of_takes_nothing_later,
);

/// What is late longer than anybody waits for it: until the wire is whole.
const LATE: Duration = Duration::from_secs(300);

fn what_arrives_after_it_was_given_up_opens_nothing(server: &Server) {
    let shop = Shop::on(server);
    let wire = Wire::to(&shop);
    let id = ask(&shop);
    wire.sweep_is_given_up(&["GRANT SELECT"]);
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    wire.delivers();
    assert!(!shop.reads("jitalice", "email"), "it came after all");
    assert_eq!(shop.state(&id), "ended");
    shop.audit_is_sound();
}

/// The next lease of that column is not taken by the REVOKE of the last one.
fn what_arrives_after_it_was_given_up_takes_nothing(server: &Server) {
    let shop = Shop::on(server);
    let first = given_back(&shop);
    let wire = Wire::to(&shop);
    wire.sweep_is_given_up(&["REVOKE "]);
    the_next_lease_stays(&wire, &first);
}

/// A DBA has done by hand what the REVOKE was to do, and then gives the column for good.
fn what_arrives_late_takes_nothing_that_others_gave(server: &Server) {
    let shop = Shop::on(server);
    let id = given_back(&shop);
    let wire = Wire::to(&shop);
    wire.sweep_is_given_up(&["REVOKE "]);
    let column = format!("SELECT (email) ON {}", shop.table("customers"));
    let alice = shop.account("jitalice");
    // On Postgres that row is ours, and locked; the DBA's own is another.
    if server.kind() != Kind::Postgres {
        shop.dba(&format!("REVOKE {column} FROM {alice}"));
    }
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    shop.dba(&format!("GRANT {column} TO {alice}"));
    wire.delivers();
    assert!(shop.reads("jitalice", "email"), "it came after all");
    shop.audit_is_sound();
}

/// The ledger could take neither the announcement of the REVOKE nor its outcome.
fn what_a_ledger_did_not_hear_of_takes_nothing_later(server: &Server) {
    let shop = Shop::on(server);
    let first = shop.lease(&alice(), "email", "2s");
    let disk = SmallDisk::over(&shop.jit.path("var/lib/jit/ledger"), "16m");
    std::thread::sleep(Duration::from_millis(2200));
    disk.read_only(true);
    let wire = Wire::to(&shop);
    wire.sweep_is_given_up(&["REVOKE "]);
    disk.read_only(false);
    the_next_lease_stays(&wire, &first);
    drop(disk);
}

/// A sweep ends this request, another gives the same column again, and then comes what was on its way.
fn the_next_lease_stays(wire: &Wire<'_>, first: &str) {
    let shop = wire.shop;
    shop.sweep().ok();
    assert_eq!(shop.state(first), "ended");
    assert!(!shop.reads("jitalice", "email"));
    let second = ask(shop);
    shop.sweep().ok();
    wire.delivers();
    assert!(shop.reads("jitalice", "email"), "it came after all");
    assert_eq!(shop.state(&second), "active");
    shop.audit_is_sound();
}

/// A lease that no sweep has taken yet.
fn given_back(shop: &Shop<'_>) -> String {
    let id = ask(shop);
    shop.sweep().ok();
    shop.jit(&alice(), &["return", &id]).ok();
    id
}

fn ask(shop: &Shop<'_>) -> String {
    shop.ask(&alice(), "email", "1h", &["--purpose", "support"])
}

/// A wire to the shop's server that one sweep goes by.
struct Wire<'s> {
    shop: &'s Shop<'s>,
    proxy: Proxy,
}

impl<'s> Wire<'s> {
    fn to(shop: &'s Shop<'s>) -> Self {
        let proxy = Proxy::to(shop.server.host(), shop.server.port());
        Self { shop, proxy }
    }

    /// A sweep whose statement is on its way for longer than it waits, and still on its way when this returns: on
    /// Postgres the COMMIT, otherwise what has the prepared statement with these words carried out. On a busy machine a
    /// sweep may not even log in within its 2 s; then the next one is tried.
    fn sweep_is_given_up(&self, words: &'static [&'static str]) {
        let reach = "sslmode=disable&connect_timeout=2&statement_timeout=2s";
        let [direct, wired] = self.shop.reach_at(&self.proxy.address(), reach);
        let is_late = (0..5).any(|_| {
            let mut sweep = self.shop.jit.command(&cron(), &["sweep"]);
            sweep
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            match self.shop.server.kind() {
                Kind::Postgres => self.commit_is_late(sweep),
                Kind::Mysql | Kind::Mariadb => {
                    self.proxy.breaks(Fault::Late { words, time: LATE });
                    ends_in_order(sweep.spawn().expect("the program is there"));
                }
            }
            self.proxy.struck() > 0
        });
        assert!(is_late, "no sweep came as far as its statement");
        self.shop.edit("etc/config.yaml", &wired, &direct);
    }

    fn commit_is_late(&self, mut sweep: Command) {
        let gate = self.shop.jit.path("gate");
        let point = format!("postgres-uncommitted=wait:{}", gate.display());
        let sweep = sweep.env("JIT_FAILPOINT", point).spawn();
        let mut sweep = sweep.expect("the program is there");
        if !self.proxy.falls_silent(&mut sweep) {
            return ends_in_order(sweep);
        }
        self.proxy.breaks(Fault::Stall {
            way: Way::There,
            after: 0,
            time: LATE,
        });
        std::fs::write(&gate, "").expect("our own folder");
        ends_in_order(sweep);
    }

    /// What was held back arrives.
    fn delivers(&self) {
        let held = self.proxy.is_whole(Held::Arrives);
        assert!(held > 0, "nothing was held back");
        std::thread::sleep(Duration::from_secs(1));
    }
}
