//! Networks that break: connections cut at any byte, answers lost after the server has committed, packets that come
//! late or after the client has given up.

use std::time::{Duration, Instant};

use crate::support::on_every_server_and_postgres_18;
use crate::support::proxy::{Fault, Held, Proxy, Way};
use crate::support::server::{Kind, Server};
use crate::support::torture::{self, Chance};

use super::load::{Load, ends_in_order, struck};

on_every_server_and_postgres_18!(a_wire_that_breaks_anywhere_leaves_nothing_behind);

/// Without TLS, and with patience for less than the wire can stall.
const IMPATIENT: &str = "sslmode=disable&connect_timeout=2&statement_timeout=2s";
/// A shop is used for so many rounds.
const ROUNDS: u64 = 24;

/// What changes something on the server, as it stands in a packet.
const CHANGES: &[&str] = &["GRANT SELECT", "REVOKE SELECT", "COMMIT"];

fn a_wire_that_breaks_anywhere_leaves_nothing_behind(server: &Server) {
    let proxy = Proxy::to(server.host(), server.port());
    let begun = Instant::now();
    let mut load = load(server, &proxy);
    let (mut faults, mut strikes) = (0_usize, 0_usize);
    for mut chance in torture::rounds(8) {
        if chance.round % ROUNDS == ROUNDS - 1 {
            std::mem::replace(&mut load, self::load(server, &proxy)).end();
        }
        load.more(&mut chance);
        proxy.breaks(fault(&mut chance, server.kind()));
        ends_in_order(load.start_sweep(&mut chance));
        if chance.one_in(4) {
            ends_in_order(load.start_sweep(&mut chance));
        }
        let held = match chance.one_in(2) {
            true => Held::Arrives,
            false => Held::IsLost,
        };
        faults += 1;
        strikes += usize::from(proxy.is_whole(held) > 0);
        // What arrived late is carried out by now: the server is no part of the wire.
        std::thread::sleep(Duration::from_millis(100));
        load.nothing_is_left_behind();
    }
    load.end();
    struck(server, begun, strikes, faults);
}

/// A shop whose target is reached by the wire.
fn load<'s>(server: &'s Server, proxy: &Proxy) -> Load<'s> {
    let load = Load::new(server);
    load.shop.reach_at(&proxy.address(), IMPATIENT);
    load
}

fn fault(chance: &mut Chance, kind: Kind) -> Fault {
    let way = match chance.one_in(2) {
        true => Way::There,
        false => Way::Back,
    };
    // From the first bytes of the login to the last of a sweep.
    let magnitude = 7 + chance.below(9);
    let after = chance.below(1 << magnitude);
    match chance.round % 8 {
        0 | 3 | 6 => Fault::Cut {
            way,
            after,
            for_good: chance.one_in(3),
        },
        2 => Fault::Stall {
            way,
            after: after / 2,
            // On Postgres an answer is waited for five seconds longer than the server may take.
            time: match kind {
                Kind::Postgres => chance.millis(500, 9000),
                Kind::Mysql | Kind::Mariadb => chance.millis(500, 4000),
            },
        },
        5 => Fault::Slow {
            each: chance.millis(1, 40),
        },
        // A prepared statement is two packets there.
        _ => Fault::Swallow {
            words: CHANGES,
            nth: 1 + chance.below(4),
            behind: chance.below(2),
        },
    }
}
