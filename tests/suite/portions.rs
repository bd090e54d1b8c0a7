//! What is due goes in portions; `JIT_PORTION=1` makes one of each request. Laws 2 and 9 hold across them.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::audit_first::every_line_once;
use crate::support::host::Host;
use crate::support::jit::{Output, run};
use crate::support::mount::SmallDisk;
use crate::support::people::{Person, alice, bob, carol, cron, mallory};
use crate::support::server::Server;
use crate::support::shop::Shop;
use crate::support::{on_every_server, on_postgres};

on_every_server!(
    what_is_given_back_between_two_portions_owes_all_it_has,
    who_holds_the_same_column_since_the_same_second_is_no_stranger,
);
on_postgres!(
    a_ledger_that_cannot_be_written_stops_no_portion,
    a_portion_that_cannot_be_recorded_leaves_the_others,
    many_portions_are_given_and_taken_each_once,
    busy_targets_share_the_room,
);

/// A sweep in portions of one request, unless they share a privilege.
fn sweep(shop: &Shop<'_>, more: &[(&str, &str)]) -> Output {
    let mut command: Command = shop.jit.command(&cron(), &["sweep"]);
    command.env("JIT_PORTION", "1").envs(more.iter().copied());
    run(&mut command, "")
}

fn four() -> [Person; 4] {
    [alice(), bob(), carol(), mallory()]
}

/// Four people's email for a short while, given, and due.
fn due(shop: &Shop<'_>) -> Vec<String> {
    let ids: Vec<String> = four()
        .iter()
        .map(|person| shop.ask(person, "email", "3s", &["--purpose", "support"]))
        .collect();
    shop.sweep().ok();
    for person in four() {
        assert!(shop.reads(&person.name, "email"), "{}", person.name);
    }
    std::thread::sleep(Duration::from_millis(3200));
    ids
}

/// Two are given the same column one after the other, in one second. On MySQL the row that is left when the first is
/// taken looks like that of a renamed account; the lease that goes on explains it.
fn who_holds_the_same_column_since_the_same_second_is_no_stranger(server: &Server) {
    let shop = Shop::on(server);
    for round in 0..6 {
        let flags = ["--purpose", "support"];
        let asked = [alice(), bob()].map(|person| {
            let id = shop.ask(&person, "email", "1h", &flags);
            (person, id)
        });
        sweep(&shop, &[]).ok();
        let [first, second] = match round % 2 {
            0 => asked,
            _ => {
                let [a, b] = asked;
                [b, a]
            }
        };
        shop.jit(&first.0, &["return", &first.1]).ok();
        shop.sweep().ok();
        assert_eq!(shop.state(&first.1), "ended", "{:#}", shop.show(&first.1));
        assert!(!shop.reads(&first.0.name, "email"));
        assert!(shop.reads(&second.0.name, "email"));
        shop.jit(&second.0, &["return", &second.1]).ok();
        shop.sweep().ok();
        assert_eq!(shop.state(&second.1), "ended");
    }
    assert!(shop.events("kept").is_empty());
}

/// One request shares a privilege with each of two that are due, and is given back while the first of them is being
/// taken: in the second one's portion only the shared lease is known, and the request must not end by that alone.
fn what_is_given_back_between_two_portions_owes_all_it_has(server: &Server) {
    let shop = Shop::on(server);
    let ask = |columns: &str, ttl: &str| {
        let flags = ["--purpose", "support"];
        shop.ask(&alice(), columns, ttl, &flags)
    };
    let first = ask("email", "2s");
    let second = ask("phone", "2s");
    let both = ask("email,phone", "1h");
    shop.sweep().ok();
    assert!(shop.reads("jitalice", "email, phone"));
    std::thread::sleep(Duration::from_millis(2200));
    // Long enough that the inbox is drained before all portions are through.
    let more = [("JIT_FAILPOINT", "revoke-announced=slow:3000")];
    let output = std::thread::scope(|scope| {
        let sweeping = scope.spawn(|| sweep(&shop, &more));
        std::thread::sleep(Duration::from_millis(1500));
        shop.jit(&alice(), &["return", &both]).ok();
        sweeping.join().expect("a sweep")
    })
    .ok();
    for word in ["law:", "ledger"] {
        assert!(!output.err.contains(word), "{output}");
    }
    for id in [&first, &second, &both] {
        assert_eq!(shop.state(id), "ended", "{:#}", shop.show(id));
    }
    for column in ["email", "phone"] {
        assert!(!shop.has_row("jitalice", "customers", column), "{column}");
    }
    let covered = shop.events("kept");
    assert_eq!(covered.len(), 2, "{covered:#?}");
    let taken = shop.events("revoked");
    assert_eq!(taken.len(), 1, "{taken:#?}");
    assert_eq!(taken[0]["request"], both.as_str());
    let all = serde_json::json!(["email", "phone"]);
    assert_eq!(taken[0]["columns"], all, "with all it has");
    every_line_once(&shop);
}

fn a_ledger_that_cannot_be_written_stops_no_portion(server: &Server) {
    let shop = Shop::on(server);
    let ids = due(&shop);
    let disk = SmallDisk::over(&shop.jit.path("var/lib/jit/ledger"), "16m");
    disk.read_only(true);
    let output = sweep(&shop, &[]);
    for person in four() {
        assert!(
            !shop.has_row(&person.name, "customers", "email"),
            "the REVOKE of {} is sent: {output}",
            person.name
        );
    }
    assert!([5, 6].contains(&output.code), "loud: {output}");
    disk.read_only(false);
    sweep(&shop, &[]).ok();
    for id in &ids {
        assert_eq!(shop.state(id), "ended");
    }
    every_line_once(&shop);
    drop(disk);
}

/// The ledger takes everything but what is said of one request.
fn a_portion_that_cannot_be_recorded_leaves_the_others(server: &Server) {
    let shop = Shop::on(server);
    let ids = due(&shop);
    let ledger = rusqlite::Connection::open(shop.jit.ledger()).expect("the ledger");
    for id in &ids[..2] {
        ledger
            .execute_batch(&format!(
                "CREATE TRIGGER no_{id} BEFORE UPDATE ON requests WHEN NEW.id = '{id}'
                 BEGIN SELECT RAISE(ABORT, 'not this one'); END"
            ))
            .expect("a trigger");
    }
    let output = sweep(&shop, &[]);
    for person in four() {
        assert!(
            !shop.has_row(&person.name, "customers", "email"),
            "the REVOKE of {} is sent: {output}",
            person.name
        );
    }
    assert_ne!(output.code, 0, "loud: {output}");
    for (place, id) in ids.iter().enumerate() {
        let ended = shop.state(id) == "ended";
        assert_eq!(ended, place >= 2, "{id}: {output}");
    }
    for id in &ids[..2] {
        ledger
            .execute_batch(&format!("DROP TRIGGER no_{id}"))
            .expect("made above");
    }
    drop(ledger);
    sweep(&shop, &[]).ok();
    for id in &ids {
        assert_eq!(shop.state(id), "ended");
    }
    every_line_once(&shop);
}

fn many_portions_are_given_and_taken_each_once(server: &Server) {
    let shop = Shop::on(server);
    let ids: Vec<String> = four()
        .iter()
        .flat_map(|person| ["email", "phone"].map(|column| (person.clone(), column)))
        .map(|(person, column)| shop.ask(&person, column, "4s", &["--purpose", "support"]))
        .collect();
    sweep(&shop, &[]).ok();
    for id in &ids {
        assert_eq!(shop.state(id), "active");
    }
    assert_eq!(shop.events("granted").len(), ids.len());
    std::thread::sleep(Duration::from_millis(4200));
    sweep(&shop, &[]).ok();
    for id in &ids {
        assert_eq!(shop.state(id), "ended");
    }
    assert_eq!(shop.events("revoking").len(), ids.len());
    assert_eq!(shop.events("revoked").len(), ids.len());
    every_line_once(&shop);
}

/// What there is to do on several targets at once shares the room for portions; one alone has all of it.
fn busy_targets_share_the_room(server: &Server) {
    let host = Host::new(&[("one", server), ("two", server), ("three", server)]);
    let ask = |target: &str| -> Vec<String> {
        let asked = four().into_iter().flat_map(|person| {
            ["email", "phone"].map(|column| host.ask(&person, target, column, "8s"))
        });
        asked.collect()
    };
    // Eight requests of one lease weigh 24; at one table half as much more is taken along.
    let sweep = || {
        let mut command = host.sweep_command();
        run(command.env("JIT_PORTION", "16"), "").ok();
    };
    // The lines about a portion's requests follow each other, and then come those about what became of them.
    let portions = |before: usize, begins: &str, target: &str| {
        let events = host.jit.events().split_off(before);
        let of_target = events.into_iter().filter(|event| event["target"] == target);
        let mut last = Value::Null;
        let mut first_of = |event: &Value| {
            let before = std::mem::replace(&mut last, event["event"].clone());
            last == begins && before != last
        };
        of_target.filter(|event| first_of(event)).count()
    };
    for (busy, wanted) in [(&["one"][..], 1), (&["one", "two", "three"][..], 2)] {
        let ids: Vec<String> = busy.iter().flat_map(|target| ask(target)).collect();
        let before = host.jit.events().len();
        sweep();
        for id in &ids {
            assert_eq!(host.state(id), "active");
        }
        for target in busy {
            assert_eq!(portions(before, "granting", target), wanted, "{target}");
        }
        let before = host.jit.events().len();
        std::thread::sleep(Duration::from_millis(8200));
        sweep();
        for id in &ids {
            assert_eq!(host.state(id), "ended");
        }
        for target in busy {
            assert_eq!(portions(before, "revoking", target), wanted, "{target}");
        }
    }
}
