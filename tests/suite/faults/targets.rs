//! A wire that hangs is the trouble of one target: what others owe and wait for is done while it hangs.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::host::Host;
use crate::support::on_every_server;
use crate::support::people::{alice, bob};
use crate::support::proxy::{Fault, Held, Proxy, Way};
use crate::support::server::{Kind, Server};
use crate::support::torture::{self, Chance};
use crate::support::{mariadb, mysql, postgres};

use super::load::ends_in_order;

on_every_server!(a_wire_that_hangs_delays_no_other_target);

/// Longer than `jit` is told to wait there: the test ends it.
const HANGS: Duration = Duration::from_secs(300);
/// For so many seconds `jit` waits for the far one, and the others are long done by then.
const PATIENCE: u64 = 120;

fn a_wire_that_hangs_delays_no_other_target(server: &Server) {
    let proxy = Proxy::to(server.host(), server.port());
    let (second, third) = match server.kind() {
        Kind::Postgres => (mysql::shared(), mariadb::shared()),
        Kind::Mysql => (postgres::shared(), mariadb::shared()),
        Kind::Mariadb => (postgres::shared(), mysql::shared()),
    };
    for mut chance in torture::rounds(2) {
        let host = Host::new(&[("far", server), ("second", second), ("third", third)]);
        let mut blocks = host.blocks();
        let database = &host.at("far").database;
        blocks[0] = blocks[0].replace(
            &format!(":{}/{database}", server.port()),
            &format!(
                ":{}/{database}?sslmode=disable&connect_timeout={PATIENCE}&statement_timeout={PATIENCE}s",
                proxy.port()
            ),
        );
        host.configure(&blocks);
        let far = host.lease(&alice(), "far", "email", "1h");
        let near = host.lease(&alice(), "second", "email", "1h");
        for id in [&far, &near] {
            host.jit(&alice(), &["return", id]).ok();
        }
        let asked = host.ask(&bob(), "third", "phone", "1h");

        proxy.breaks(fault(&mut chance));
        let mut sweep = host
            .sweep_command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a sweep");
        let begun = Instant::now();
        while host.state(&near) != "ended" || host.state(&asked) != "active" {
            still_runs(&mut sweep);
            let waited = begun.elapsed().as_secs();
            assert!(waited < PATIENCE / 2, "the others wait for it");
            std::thread::sleep(Duration::from_millis(20));
        }
        still_runs(&mut sweep);
        assert!(!host.reads("second", "jitalice", "email"));
        assert!(host.reads("third", "jitbob", "phone"));
        let held = match chance.one_in(2) {
            true => Held::Arrives,
            false => Held::IsLost,
        };
        assert!(proxy.is_whole(held) > 0, "the wire was used");
        ends_in_order(sweep);

        host.sweep().ok();
        assert_eq!(host.state(&far), "ended");
        assert!(!host.reads("far", "jitalice", "email"));
        host.audit_is_sound();
    }
}

#[track_caller]
fn still_runs(sweep: &mut Child) {
    let ended = sweep.try_wait().expect("our own child");
    assert!(
        ended.is_none(),
        "it did not wait for the far one: {ended:?}"
    );
}

fn fault(chance: &mut Chance) -> Fault {
    match chance.round % 3 {
        // Somewhere in the visit the peer is lost, and neither end is told.
        0 => Fault::Stall {
            way: Way::There,
            // The shortest visit sends more.
            after: 300 + chance.below(1000),
            time: HANGS,
        },
        1 => Fault::Slow {
            each: chance.millis(2000, 5000),
        },
        // Connections are taken, and nobody answers.
        _ => Fault::Stall {
            way: Way::Back,
            after: 0,
            time: HANGS,
        },
    }
}
