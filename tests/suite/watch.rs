//! `jit sweep --watch`: what runs where there is no cron.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::on_postgres;
use crate::support::people::{alice, cron};
use crate::support::server::Server;
use crate::support::shop::Shop;

on_postgres!(
    a_watch_sweeps_until_it_is_told_to_end,
    a_watch_that_could_never_sweep_does_not_begin,
);

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ends it, however the test ends.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_watch_sweeps_until_it_is_told_to_end(server: &Server) {
    let shop = Shop::on(server);
    let said = shop.jit.path("said");
    let mut command = shop.jit.command(&cron(), &["sweep", "--watch", "1s"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).unwrap());
    let mut watch = Watch(command.spawn().unwrap());
    let said = || fs::read_to_string(&said).unwrap();

    let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    until("it gives", || shop.reads("jitalice", "email"));

    // Policies that cannot be read are told of, and what must go goes.
    let policies = shop.jit.path("etc/policies/shop.yaml");
    let whole = fs::read_to_string(&policies).unwrap();
    fs::write(&policies, "policies: [").unwrap();
    until("it tells of the policies", || said().contains("shop.yaml"));
    shop.jit(&alice(), &["return", &id]).ok();
    until("it takes", || !shop.reads("jitalice", "email"));
    assert_eq!(shop.state(&id), "ended");

    // It goes by what is there now, settings that are no settings among it.
    fs::write(&policies, whole.replace("max: 2h", "max: 3h")).unwrap();
    let settings = shop.jit.path("etc/config.yaml");
    let whole = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, "targets: [").unwrap();
    until("it tells of the settings", || {
        said().contains("config.yaml")
    });
    fs::write(&settings, whole).unwrap();
    let longer = shop.ask(&alice(), "email", "3h", &["--purpose", "support"]);
    until("it gives again", || shop.reads("jitalice", "email"));
    assert_eq!(shop.state(&longer), "active");

    let pid = Pid::from_child(&watch.0);
    kill_process(pid, Signal::TERM).unwrap();
    until("it ends", || {
        rustix::process::test_kill_process(pid).is_err() || is_over(pid)
    });
    let status = watch.0.wait().unwrap();
    assert_eq!(status.code(), Some(0), "as its last sweep did: {}", said());
    assert!(shop.reads("jitalice", "email"), "it leaves what is lent");
    shop.audit_is_sound();
}

/// Whether it has ended and waits to be looked at.
fn is_over(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.contains(") Z "))
}

fn a_watch_that_could_never_sweep_does_not_begin(server: &Server) {
    let shop = Shop::on(server);
    let watch = |words: &[&str]| {
        let words = [&["sweep", "--watch", "1s"], words].concat();
        shop.jit(&cron(), &words)
    };
    let said = watch(&["--target", "nowhere"]).exit(4);
    assert!(said.err.contains("there is no target nowhere"), "{said}");
    let said = shop.jit(&alice(), &["sweep", "--watch", "1s"]).exit(3);
    assert!(said.err.contains("is no operator"), "{said}");
    shop.jit(&cron(), &["sweep", "--watch", "soon"]).exit(2);
    fs::write(shop.jit.path("etc/config.yaml"), "targets: [").unwrap();
    let said = watch(&[]).exit(8);
    assert!(said.err.contains("config.yaml"), "{said}");
}
