//! A wire that hangs, or takes seconds, is the trouble of one target: what others owe and wait for is done meanwhile.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::host::Host;
use crate::support::network::{Bad, Network};
use crate::support::on_every_server;
use crate::support::people::{alice, bob};
use crate::support::proxy::{Fault, Held, Proxy, Way};
use crate::support::server::{Kind, Server};
use crate::support::torture::{self, Chance};
use crate::support::{mariadb, mysql, postgres};

use super::load::ends_in_order;
use super::networks::tls;

on_every_server!(
    a_wire_that_hangs_delays_no_other_target,
    a_wire_of_five_seconds_delays_no_other_target
);

/// Longer than `jit` is told to wait there: the test ends it.
const HANGS: Duration = Duration::from_secs(300);
/// For so many seconds `jit` waits for the far one, and the others are long done by then.
const PATIENCE: u64 = 120;

fn a_wire_that_hangs_delays_no_other_target(server: &Server) {
    let proxy = Proxy::to(server.host(), server.port());
    for mut chance in torture::rounds(2) {
        let host = host(server);
        let mut blocks = host.blocks();
        let database = &host.at("far").database;
        blocks[0] = blocks[0].replace(
            &format!(":{}/{database}", server.port()),
            &format!(
                ":{}/{database}?sslmode=disable&{}",
                proxy.port(),
                patience()
            ),
        );
        host.configure(&blocks);
        let tasks = Tasks::given(&host);
        proxy.breaks(fault(&mut chance));
        let sweep = tasks.are_done_but_for_the_far_one(host.sweep_command());
        let held = match chance.one_in(2) {
            true => Held::Arrives,
            false => Held::IsLost,
        };
        assert!(proxy.is_whole(held) > 0, "the wire was used");
        ends_in_order(sweep);
        tasks.are_done();
    }
}

/// Every packet to one server takes five seconds, and every packet back.
fn a_wire_of_five_seconds_delays_no_other_target(server: &Server) {
    let network = Network::new();
    let mut wire = network.long_wire();
    let host = host(server);
    let mut blocks = host.blocks();
    for (block, (name, shop)) in blocks.iter_mut().zip(&host.targets) {
        let (own, port) = (shop.server.host(), shop.server.port());
        let listener = match name.as_str() {
            "far" => wire.listener(),
            _ => network.listener(),
        };
        let proxy = Proxy::at(listener, own, port);
        let tls = tls(&host.jit, shop.server);
        *block = block.replace(
            &format!("{own}:{port}/{}", shop.database),
            &format!("{}/{}?{tls}&{}", proxy.address(), shop.database, patience()),
        );
    }
    host.configure(&blocks);
    let tasks = Tasks::given(&host);
    wire.is(Bad {
        delay: Duration::from_secs(5),
        ..Bad::default()
    });
    let sweep = tasks.are_done_but_for_the_far_one(network.inside(&host.sweep_command()));
    wire.is(Bad::default());
    ends_in_order(sweep);
    tasks.are_done();
}

fn host(server: &Server) -> Host<'_> {
    let (second, third) = match server.kind() {
        Kind::Postgres => (mysql::shared(), mariadb::shared()),
        Kind::Mysql => (postgres::shared(), mariadb::shared()),
        Kind::Mariadb => (postgres::shared(), mysql::shared()),
    };
    Host::new(&[("far", server), ("second", second), ("third", third)])
}

fn patience() -> String {
    format!("connect_timeout={PATIENCE}&statement_timeout={PATIENCE}s")
}

/// What the next sweep has to do: to take at the far one and at another one, and to give at a third.
struct Tasks<'h> {
    host: &'h Host<'h>,
    far: String,
    near: String,
    asked: String,
}

impl<'h> Tasks<'h> {
    fn given(host: &'h Host<'h>) -> Self {
        let far = host.lease(&alice(), "far", "email", "1h");
        let near = host.lease(&alice(), "second", "email", "1h");
        for id in [&far, &near] {
            host.jit(&alice(), &["return", id]).ok();
        }
        let asked = host.ask(&bob(), "third", "phone", "1h");
        Self {
            host,
            far,
            near,
            asked,
        }
    }

    /// Sweeps, and waits until all the others are done while it waits for the far one.
    fn are_done_but_for_the_far_one(&self, mut sweep: Command) -> Child {
        let mut sweep = sweep
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a sweep");
        let begun = Instant::now();
        while self.host.state(&self.near) != "ended" || self.host.state(&self.asked) != "active" {
            still_runs(&mut sweep);
            let waited = begun.elapsed().as_secs();
            assert!(waited < PATIENCE / 2, "the others wait for it");
            std::thread::sleep(Duration::from_millis(20));
        }
        still_runs(&mut sweep);
        assert!(!self.host.reads("second", "jitalice", "email"));
        assert!(self.host.reads("third", "jitbob", "phone"));
        sweep
    }

    fn are_done(&self) {
        self.host.sweep().ok();
        assert_eq!(self.host.state(&self.far), "ended");
        assert!(!self.host.reads("far", "jitalice", "email"));
        self.host.audit_is_sound();
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
