//! Servers that die: `kill -9` of the real one at a random moment of a sweep, or of two.

use std::time::Instant;

use crate::support::on_every_server_and_postgres_18;
use crate::support::server::{Kind, Server};
use crate::support::torture;

use super::load::{FIGURES, Load, ends_in_order};

on_every_server_and_postgres_18!(a_server_killed_at_any_moment_leaves_nothing_behind);

/// A shop is used for so many rounds.
const ROUNDS: u64 = 12;

fn a_server_killed_at_any_moment_leaves_nothing_behind(server: &Server) {
    // One of its own: it is killed.
    let options: &[&str] = match server.kind() {
        Kind::Postgres => &["fsync=on"],
        Kind::Mysql | Kind::Mariadb => &[],
    };
    let own = server.another(options);
    let begun = Instant::now();
    let mut load = Load::new(&own);
    for mut chance in torture::rounds(5) {
        if chance.round % ROUNDS == ROUNDS - 1 {
            std::mem::replace(&mut load, Load::new(&own)).end();
        }
        load.more(&mut chance);
        let mut sweeps = vec![load.start_sweep(&mut chance)];
        if chance.one_in(4) {
            sweeps.push(load.start_sweep(&mut chance));
        }
        std::thread::sleep(chance.millis(20, 900));
        own.kill_9();
        let at_once = chance.one_in(2);
        if at_once {
            own.start();
        }
        for sweep in sweeps {
            ends_in_order(sweep);
        }
        if !at_once {
            if chance.one_in(3) {
                ends_in_order(load.start_sweep(&mut chance));
            }
            own.start();
        }
        load.nothing_is_left_behind();
    }
    load.end();
    eprintln!(
        "{own:?}: from seed {}, {:.0} s; {FIGURES}",
        torture::seed(),
        begun.elapsed().as_secs_f64()
    );
}
