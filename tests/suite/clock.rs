//! Time: a lease ends when it should even if somebody turns the clock, and nothing is given by a clock that is
//! behind. The wall clock is really another one for the program (libfaketime); the boot clock is the machine's.

use std::time::Duration;

use jit::access::Ttl;

use crate::support::jit::{Output, run};
use crate::support::people::{Person, alice, bob, carol, cron, root};
use crate::support::server::Server;
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_postgres};

/// Runs a command with its wall clock set: `-1d`, `+90m`.
pub fn at(shop: &Shop<'_>, offset: &str, person: &Person, arguments: &[&str]) -> Output {
    run(&mut shop.jit.command_at(offset, person, arguments), "")
}

on_every_server!(
    a_clock_set_back_grants_nothing_and_leases_end_by_elapsed_time,
    a_clock_set_forward_ends_leases_and_moves_no_expiry,
);

fn a_clock_set_back_grants_nothing_and_leases_end_by_elapsed_time(server: &Server) {
    let shop = Shop::on(server);
    let short = shop.lease(&alice(), "email", "6s");
    let long = shop.lease(&alice(), "phone", "1h");
    let expiry = shop.show(&long)["expires_at"].clone();
    let asked = shop.ask(&bob(), "email", "1h", &["--purpose", "support"]);
    let refused = at(&shop, "-1d", &cron(), &["sweep"]);
    assert!(refused.err.contains("clock"), "{refused}");
    assert_eq!(shop.state(&asked), "approved");
    assert!(!shop.reads("jitbob", "email"), "nothing is granted");
    at(&shop, "-1d", &cron(), &["doctor"])
        .exit(1)
        .says("FAIL clock");
    assert_eq!(shop.state(&short), "active");

    // By the wall clock it has a day and some seconds left; by the boot clock it is over.
    std::thread::sleep(Duration::from_secs(6));
    at(&shop, "-1d", &cron(), &["sweep"]);
    assert_eq!(shop.state(&short), "ended");
    assert!(!shop.reads("jitalice", "email"));
    assert_eq!(shop.state(&long), "active");
    assert!(
        !shop.reads("jitbob", "email"),
        "sweeping does not cure the clock"
    );

    // It says so until a person accepts it, who must be an operator.
    at(&shop, "-1d", &cron(), &["ledger", "clock"])
        .exit(1)
        .says("behind");
    assert_ne!(
        at(&shop, "-1d", &alice(), &["ledger", "clock", "--accept"]).code,
        0
    );
    at(&shop, "-1d", &carol(), &["ledger", "clock", "--accept"]).ok();
    at(&shop, "-1d", &cron(), &["sweep"]).ok();
    assert!(shop.reads("jitbob", "email"));
    assert_eq!(
        shop.show(&long)["expires_at"],
        expiry,
        "nothing moves an expiry"
    );
    let accepted = shop.events("clock_accepted");
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0]["actor"], "jitcarol");
    at(&shop, "-1d", &cron(), &["audit", "verify"]).ok();
}

fn a_clock_set_forward_ends_leases_and_moves_no_expiry(server: &Server) {
    let shop = Shop::on(server);
    let lease = shop.lease(&alice(), "email", "1h");
    let view = shop.show(&lease);
    let open = shop.ask(&bob(), "phone", "1h", &[]);
    at(&shop, "+2h", &cron(), &["sweep"]).ok();
    assert_eq!(shop.state(&lease), "ended");
    assert!(!shop.reads("jitalice", "email"));
    assert_eq!(shop.show(&lease)["expires_at"], view["expires_at"]);
    assert_eq!(shop.state(&open), "pending");
    // The right time again is two hours behind what was seen: nothing is granted until somebody says so.
    let asked = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    shop.sweep().says("clock");
    assert!(!shop.reads("jitalice", "email"));
    shop.jit(&root(), &["ledger", "clock", "--accept"]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&asked), "active");
    shop.audit_is_sound();
}

on_postgres!(
    until_is_the_next_such_local_time_also_when_clocks_change,
    a_minute_behind_is_a_clock_and_no_fraud,
    what_a_crash_left_is_not_finished_by_a_clock_set_back,
    who_has_not_swept_lately_does_not_grant_on_approve,
);

fn a_minute_behind_is_a_clock_and_no_fraud(server: &Server) {
    let shop = Shop::on(server);
    let asked = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
    at(&shop, "-50s", &cron(), &["sweep"]).ok();
    assert_eq!(shop.state(&asked), "active");
    let granted = shop.show(&asked);
    let time = |key: &str| {
        chrono::DateTime::parse_from_rfc3339(granted[key].as_str().expect("a time"))
            .expect("RFC 3339")
    };
    let left = time("expires_at").signed_duration_since(chrono::Utc::now());
    assert!(left.num_minutes() < 60, "never later than asked");
}

fn what_a_crash_left_is_not_finished_by_a_clock_set_back(server: &Server) {
    let shop = Shop::on(server);
    for place in ["intent-audited", "grant-sent"] {
        let asked = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
        let killed = run(&mut shop.sweep_at(&format!("{place}=kill")), "");
        assert_eq!(killed.code, 137, "{killed}");
        at(&shop, "-1d", &cron(), &["sweep"]);
        at(&shop, "-1d", &cron(), &["sweep"]);
        assert_eq!(shop.state(&asked), "failed", "{place}");
        assert!(!shop.reads("jitalice", "email"), "{place}");
        shop.sweep().ok();
    }
    shop.audit_is_sound();
}

/// Access that nobody takes back is not given.
fn who_has_not_swept_lately_does_not_grant_on_approve(server: &Server) {
    let shop = Shop::on(server);
    let settings = shop.jit.path("etc/config.yaml");
    let text = std::fs::read_to_string(&settings).expect("the settings");
    std::fs::write(
        &settings,
        text.replace("targets:\n", "sweep_within: 3s\ntargets:\n"),
    )
    .expect("root may");
    let first = shop.ask(&alice(), "email", "1h", &[]);
    let second = shop.ask(&alice(), "phone", "1h", &[]);
    shop.sweep().ok();
    // carol is an operator: her command drains and grants, as long as somebody sweeps.
    shop.jit(&carol(), &["approve", &first, "--yes"])
        .ok()
        .says("active");
    assert!(shop.reads("jitalice", "email"));
    std::thread::sleep(Duration::from_millis(3200));
    shop.jit(&carol(), &["approve", &second, "--yes"])
        .ok()
        .says("no sweep");
    assert_eq!(shop.state(&second), "approved");
    assert!(!shop.reads("jitalice", "phone"));
    shop.jit(&cron(), &["doctor"]).exit(1).says("sweep_within");
    shop.sweep().ok();
    assert_eq!(shop.state(&second), "active");
    assert!(shop.reads("jitalice", "phone"));
}

/// Central Europe, by its rule and not by its name, which a machine without tzdata does not know.
const ZONE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// In spring 02:30 is skipped, in autumn it comes twice. What is asked for is a span of real time, by either.
fn until_is_the_next_such_local_time_also_when_clocks_change(server: &Server) {
    let shop = Shop::on(server);
    let columns = format!("{}:email", shop.table("customers"));
    let asked = |now: &str, until: &str| -> Ttl {
        let then = chrono::DateTime::parse_from_rfc3339(now).expect("RFC 3339");
        let ahead = then.signed_duration_since(chrono::Utc::now());
        let arguments = [
            "request",
            "shop",
            &columns,
            "--until",
            until,
            "--reason",
            "x",
            "--dry-run",
        ];
        let offset = format!("{:+}s", ahead.num_seconds());
        let mut command = shop.jit.command_at(&offset, &alice(), &arguments);
        command.env("TZ", ZONE);
        let output = run(&mut command, "");
        let span = output
            .err
            .split_once("(in ")
            .and_then(|(_, rest)| rest.split_once(')'));
        let (span, _) = span.unwrap_or_else(|| panic!("no span in {output}"));
        Ttl::parse(span).unwrap_or_else(|error| panic!("{error}: {output}"))
    };
    for (now, until, minutes) in [
        ("2027-03-28T00:30:00Z", "03:30", 60),
        ("2027-03-28T00:30:00Z", "01:45", 15),
        // not on that day
        ("2027-03-28T00:30:00Z", "02:30", 24 * 60),
        ("2027-10-30T23:30:00Z", "02:30", 60),
        ("2027-10-30T23:30:00Z", "03:30", 180),
        // once more, an hour later
        ("2027-10-31T00:40:00Z", "02:30", 50),
        ("2027-10-31T01:40:00Z", "02:30", 24 * 60 - 10),
    ] {
        let wanted = Ttl::from_secs(60 * minutes);
        let off = asked(now, until).millis().abs_diff(wanted.millis());
        assert!(
            off <= 120_000,
            "until {until} at {now}: {} and not {wanted}",
            asked(now, until)
        );
    }
}
