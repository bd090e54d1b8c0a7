//! A server whose clock is an hour off: what is whose, and until when, is told by other things.

use crate::support::jit::run;
use crate::support::on_every_server;
use crate::support::people::cron;
use crate::support::server::Server;
use crate::support::torture;

use super::load::Load;

on_every_server!(a_server_an_hour_off_changes_nothing);

fn a_server_an_hour_off_changes_nothing(server: &Server) {
    for offset in ["-1h", "+1h"] {
        let own = server.another_by_clock(offset);
        let mut load = Load::new(&own);
        load.shop
            .jit(&cron(), &["doctor"])
            .exit(1)
            .says("the server's clock differs from ours by");
        for mut chance in torture::rounds(2).take(10) {
            load.more(&mut chance);
            run(&mut load.sweep_command(&mut chance), "").ok();
            load.nothing_is_left_behind();
        }
        load.end();
    }
}
