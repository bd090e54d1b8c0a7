//! Networks whose kernel drops packets, one way or both: connections are half open, answers are lost after the server
//! has carried out what was asked, and what nobody waits for any more is sent again when the network is whole.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::network::{Drops, Network};
use crate::support::on_every_server;
use crate::support::proxy::{Fault, Held, Proxy};
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::torture::{self, Chance};

use super::load::{Load, ends_in_order, struck};

on_every_server!(dropped_packets_leave_nothing_behind);

/// A shop is used for so many rounds.
const ROUNDS: u64 = 24;
/// What a sweep takes longer than only where it waited for a packet: the shortest timeout is 2 s.
const UNDISTURBED: Duration = Duration::from_millis(1900);

fn dropped_packets_leave_nothing_behind(server: &Server) {
    let network = Network::new();
    let proxy = Proxy::at(network.listener(), server.host(), server.port());
    let begun = Instant::now();
    let load = || {
        let load = Load::new(server);
        let tls = tls(&load.shop);
        let options = format!("{tls}&connect_timeout=2&statement_timeout=2s");
        load.shop.reach_at(&proxy.address(), &options);
        load
    };
    let mut used = load();
    let (mut faults, mut strikes) = (0_usize, 0_usize);
    for mut chance in torture::rounds(3) {
        if chance.round % ROUNDS == ROUNDS - 1 {
            std::mem::replace(&mut used, load()).end();
        }
        used.more(&mut chance);
        faults += 1;
        strikes += usize::from(disturbed(&used, &network, &proxy, &mut chance) > UNDISTURBED);
        network.heals();
        // Some of what is sent again comes before the next sweep, some after it.
        std::thread::sleep(chance.millis(0, 1500));
        proxy.is_whole(Held::Arrives);
        let swept = used.nothing_is_left_behind();
        // Pauses between two attempts are about as long as the network was broken.
        std::thread::sleep(Duration::from_secs(4));
        used.is_still_so(&swept);
    }
    used.end();
    struck(server, begun, strikes, faults);
}

/// MySQL asks for the password itself, which no network gets in clear text.
fn tls(shop: &Shop<'_>) -> String {
    if shop.server.kind() != Kind::Mysql {
        return "sslmode=disable".to_owned();
    }
    let ca = shop.jit.path("etc/ca.pem");
    std::fs::copy(shop.server.data().join("ca.pem"), &ca).expect("MySQL made one");
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
fn disturbed(load: &Load<'_>, network: &Network, proxy: &Proxy, chance: &mut Chance) -> Duration {
    let packets = match chance.round % 3 {
        0 => Drops::Back,
        1 => Drops::There,
        _ => Drops::Both,
    };
    // A wire of some length, so that there is a middle of the visit.
    proxy.breaks(Fault::Slow {
        each: chance.millis(2, 15),
    });
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
            network.drops(packets);
        }
        Some(gate) => {
            proxy.falls_silent(&mut sweep);
            network.drops(packets);
            waited = begun.elapsed();
            std::fs::write(gate, "").expect("our own folder");
        }
    }
    ends_in_order(sweep);
    begun.elapsed().saturating_sub(waited)
}
