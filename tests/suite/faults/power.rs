//! The power goes behind any effect of a sweep: what was not fsynced is lost, while the database server, on another
//! machine, keeps what it was told. Whatever it was given has its intent on the disk, in the ledger and in the audit
//! file; and one sweep later nothing is left behind.

use std::time::Instant;

use crate::support::jit::run;
use crate::support::on_every_server;
use crate::support::power::Disk;
use crate::support::server::Server;
use crate::support::torture;

use super::load::{FIGURES, Load};

on_every_server!(what_was_not_synced_is_not_missed);

/// A shop is used for so many rounds.
const ROUNDS: u64 = 16;
/// A sweep with this work comes to fewer places.
const PLACES: usize = 60;

fn what_was_not_synced_is_not_missed(server: &Server) {
    let begun = Instant::now();
    let mut load = Load::new(server);
    let (mut kills, mut lost) = (0, 0);
    for mut chance in torture::rounds(6) {
        if chance.round % ROUNDS == ROUNDS - 1 {
            std::mem::replace(&mut load, Load::new(server)).end();
        }
        load.more(&mut chance);
        let jit = &load.shop.jit;
        let disk = Disk::of(&[jit.path("var/lib/jit"), jit.path("var/log/jit")]);
        let trace = jit.path("trace");
        let mut command = load.sweep_command(&mut chance);
        let place = 1 + chance.below(PLACES);
        command.env("JIT_FAILPOINT", format!("any=kill:{place}"));
        let output = run(&mut Disk::traced(&command, &trace), "");
        assert!([0, 137].contains(&output.code), "{output}");
        kills += usize::from(output.code == 137);
        lost += disk.loses_power(&trace, &mut chance);
        load.everything_given_is_written_down();
        load.nothing_is_left_behind();
    }
    load.end();
    eprintln!(
        "{server:?}: from seed {}, {:.0} s; {kills} sweeps killed, {lost} changes of files lost; {FIGURES}",
        torture::seed(),
        begun.elapsed().as_secs_f64()
    );
    assert!(kills > 0 && lost > 0, "nothing was tried");
}
