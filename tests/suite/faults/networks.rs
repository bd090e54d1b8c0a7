//! Networks whose kernel drops packets, one way or both: connections are half open, answers are lost after the server
//! has carried out what was asked, and what nobody waits for any more is sent again when the network is whole. And
//! wires on which packets take seconds, overtake each other, and are lost or doubled.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::jit::Install;
use crate::support::network::{Bad, Drops, Network};
use crate::support::on_every_server;
use crate::support::proxy::{Fault, Held, Proxy};
use crate::support::server::{Kind, Server};
use crate::support::torture::{self, Chance};

use super::load::{Load, ends_in_order, struck};

on_every_server!(
    dropped_packets_leave_nothing_behind,
    late_doubled_and_swapped_packets_leave_nothing_behind
);

/// A shop is used for so many rounds.
const ROUNDS: u64 = 24;
/// What a sweep takes longer than only where it waited for a packet: the shortest timeout is 2 s.
const UNDISTURBED: Duration = Duration::from_millis(1900);

fn dropped_packets_leave_nothing_behind(server: &Server) {
    let network = Network::new();
    let proxy = Proxy::at(network.listener(), server.host(), server.port());
    nothing_is_left_behind(server, &proxy, |load, chance| {
        let packets = match chance.round % 3 {
            0 => Drops::Back,
            1 => Drops::There,
            _ => Drops::Both,
        };
        // A wire of some length, so that there is a middle of the visit.
        proxy.breaks(Fault::Slow {
            each: chance.millis(2, 15),
        });
        let took = disturbed(load, &network, &proxy, chance, || network.drops(packets));
        network.heals();
        // Pauses between two attempts are about as long as the network was broken.
        (took, Duration::from_secs(4))
    });
}

fn late_doubled_and_swapped_packets_leave_nothing_behind(server: &Server) {
    let network = Network::new();
    let mut wire = network.long_wire();
    let proxy = Proxy::at(wire.listener(), server.host(), server.port());
    nothing_is_left_behind(server, &proxy, |load, chance| {
        wire.is(Bad {
            delay: chance.millis(1, 8),
            ..Bad::default()
        });
        // Nothing but that it counts anew.
        proxy.breaks(Fault::Slow {
            each: Duration::ZERO,
        });
        let bad = bad(chance);
        let took = disturbed(load, &network, &proxy, chance, || wire.is(bad));
        wire.is(Bad::default());
        (took, bad.delay + bad.jitter + Duration::from_secs(2))
    });
}

/// Rounds of one sweep that `breaks` disturbs, and one that nothing disturbs. `breaks` leaves the network whole; it says
/// how long its sweep took, and how long packets may still be on their way.
fn nothing_is_left_behind(
    server: &Server,
    proxy: &Proxy,
    mut breaks: impl FnMut(&Load<'_>, &mut Chance) -> (Duration, Duration),
) {
    let begun = Instant::now();
    let mut load = impatient(server, proxy);
    let (mut faults, mut strikes) = (0_usize, 0_usize);
    for mut chance in torture::rounds(3) {
        if chance.round % ROUNDS == ROUNDS - 1 {
            std::mem::replace(&mut load, impatient(server, proxy)).end();
        }
        load.more(&mut chance);
        let (took, settles) = breaks(&load, &mut chance);
        faults += 1;
        strikes += usize::from(took > UNDISTURBED);
        // Some of what comes late, or is sent again, comes before the next sweep, some after it.
        std::thread::sleep(chance.millis(0, 1500));
        proxy.is_whole(Held::Arrives);
        let swept = load.nothing_is_left_behind();
        std::thread::sleep(settles);
        load.is_still_so(&swept);
    }
    load.end();
    struck(server, begun, strikes, faults);
}

/// Longer than anybody waits; in any order, and now and then twice; or with many missing.
fn bad(chance: &mut Chance) -> Bad {
    match chance.round % 3 {
        0 => Bad {
            delay: chance.millis(1000, 5000),
            jitter: chance.millis(0, 1000),
            ..Bad::default()
        },
        1 => Bad {
            delay: chance.millis(100, 400),
            jitter: chance.millis(300, 800),
            twice: 30,
            ..Bad::default()
        },
        _ => Bad {
            delay: chance.millis(50, 300),
            lost: [20, 35, 50][chance.below(3)],
            ..Bad::default()
        },
    }
}

/// A shop whose target is reached by the wire, and not waited for long.
fn impatient<'s>(server: &'s Server, proxy: &Proxy) -> Load<'s> {
    let load = Load::new(server);
    let tls = tls(&load.shop.jit, server);
    let options = format!("{tls}&connect_timeout=2&statement_timeout=2s");
    load.shop.reach_at(&proxy.address(), &options);
    load
}

/// MySQL asks for the password itself, which no network gets in clear text.
pub fn tls(jit: &Install, server: &Server) -> String {
    if server.kind() != Kind::Mysql {
        return "sslmode=disable".to_owned();
    }
    let ca = jit.path("etc/ca.pem");
    std::fs::copy(server.data().join("ca.pem"), &ca).expect("MySQL made one");
    std::fs::set_permissions(&ca, Permissions::from_mode(0o644)).expect("own file");
    format!("sslmode=verify-ca&sslrootcert={}", ca.display())
}

/// Between a statement and the next thing that happens: where what is dropped matters most.
fn places(kind: Kind) -> [&'static str; 4] {
    match kind {
        Kind::Postgres => [
            "postgres-uncommitted",
            "postgres-committed",
            "grant-sent",
            "revoke-sent",
        ],
        Kind::Mysql | Kind::Mariadb => ["mysql-sent", "mysql-sent", "grant-sent", "revoke-sent"],
    }
}

/// A sweep at the other end of the network, which breaks behind some bytes, or while the sweep is held at a place of
/// its way. How long it took.
fn disturbed(
    load: &Load<'_>,
    network: &Network,
    proxy: &Proxy,
    chance: &mut Chance,
    breaks: impl FnOnce(),
) -> Duration {
    let mut command = load.sweep_command(chance);
    let held = (!chance.one_in(3)).then(|| {
        let place = places(load.shop.server.kind())[chance.below(4)];
        let gate = load.shop.jit.path("gate");
        let _ = std::fs::remove_file(&gate);
        let wait = format!("{place}=wait:{}", gate.display());
        command.env("JIT_FAILPOINT", wait);
        gate
    });
    let magnitude = 7 + chance.below(8);
    let after = chance.below(1 << magnitude);
    let begun = Instant::now();
    let mut sweep = network
        .inside(&command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is there");
    let mut waited = Duration::ZERO;
    match held {
        None => {
            while proxy.passed().iter().sum::<usize>() < after
                && sweep.try_wait().expect("our own child").is_none()
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            breaks();
        }
        Some(gate) => {
            proxy.falls_silent(&mut sweep);
            breaks();
            waited = begun.elapsed();
            std::fs::write(gate, "").expect("our own folder");
        }
    }
    ends_in_order(sweep);
    begun.elapsed().saturating_sub(waited)
}
