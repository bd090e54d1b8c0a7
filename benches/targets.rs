//! Twenty targets of which one does not answer.

use std::io::BufRead;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::choice;
use crate::measure::{Cost, cost, exits};
use crate::support::host::Host;
use crate::support::people::{alice, bob, carol, cron, dave, mallory};
use crate::support::postgres;
use crate::sweep::expire;
use crate::table::{Goal, Row};

/// Columns of each target's table.
const COLUMNS: usize = 1_000;

const POLICY: &str = r"
version: 1
policies:
  - name: wide-{name}
    target: {name}
    table: public.t
    columns: ['c*']
    allow:
      - {who: [jitalice, jitbob, jitmallory, jitcarol, jitdave], max: 2h, approval: auto}
";

pub fn rows() -> Vec<Row> {
    let server = postgres::fresh(&["fsync=on", "log_statement=none"]);
    let hole = Hole::new();
    let names: Vec<String> = (1..=19).map(|n| format!("t{n:02}")).collect();
    let named: Vec<_> = names.iter().map(|name| (name.as_str(), &server)).collect();
    let host = Host::new(&named);
    for name in &names {
        let columns: Vec<String> = (1..=COLUMNS).map(|n| format!("c{n} int")).collect();
        let sql = format!("CREATE TABLE public.t ({})", columns.join(", "));
        host.at(name).dba(&sql);
        let policy = POLICY.replace("{name}", name);
        let path = host.jit.path(format!("etc/policies/{name}.yaml"));
        std::fs::write(path, policy).expect("root may");
        host.set_up(name);
    }
    let without = host.blocks();
    let mut with = without.clone();
    with.push(format!(
        "  dead:\n    url: postgres://jit_admin@127.0.0.1:{}/shop\n    password: {{file: '{{dir}}/secrets/shop'}}\n",
        hole.address.port()
    ));
    // People, and columns of each of them. A request goes as a whole: the last has one a target.
    choice::sizes([vec![(5, 2)], vec![(5, 20)], vec![(5, 200), (1, 1_000)]])
        .into_iter()
        .flatten()
        .flat_map(|each| sized(&host, &names, [&without, &with], each))
        .collect()
}

fn sized(
    host: &Host<'_>,
    names: &[String],
    [without, with]: [&[String]; 2],
    (people, columns): (usize, usize),
) -> Vec<Row> {
    let leases = people * columns;
    let mut sides: [Vec<Cost>; 4] = Default::default();
    for _ in 0..choice::rounds() {
        for (blocks, dead, side) in [(without, false, 0), (with, true, 2)] {
            lease(host, names, people, columns);
            host.configure(blocks);
            // Whether it is dead is known from the sweeps before, as it is a minute after it died.
            quiet(host, dead);
            assert_eq!(expire(&host.jit.ledger()), names.len() * leases);
            let begun = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("after 1970");
            let whole = match dead {
                false => cost(&mut sweep(host)),
                true => exits(&mut sweep(host), 5),
            };
            sides[side].push(Cost {
                wall: last_revoked(host) - begun.as_secs_f64(),
                ..whole
            });
            sides[side + 1].push(whole);
            host.configure(without);
            quiet(host, false);
        }
    }
    let [alone, alone_whole, last, whole] = sides;
    let all = names.len() * leases;
    vec![
        Row {
            what: format!("20 targets, 1 dead: until {all} of {people} each are taken"),
            against: "the 19 alone".into(),
            ours: last,
            theirs: alone,
            goal: Goal::AtMost(1.3),
        },
        Row {
            what: format!("20 targets, 1 dead, {all} of {people} each: until the sweep ends"),
            against: "the 19 alone".into(),
            ours: whole,
            theirs: alone_whole,
            goal: Goal::None,
        },
    ]
}

fn sweep(host: &Host<'_>) -> Command {
    host.jit.command(&cron(), &["sweep"])
}

fn quiet(host: &Host<'_>, dead: bool) {
    exits(&mut sweep(host), if dead { 5 } else { 0 });
}

fn lease(host: &Host<'_>, names: &[String], people: usize, columns: usize) {
    let columns: Vec<String> = (1..=columns).map(|n| format!("c{n}")).collect();
    let columns = format!("public.t:{}", columns.join(","));
    for name in names {
        let all = [alice(), bob(), mallory(), carol(), dave()];
        for person in &all[..people] {
            let ask = ["request", name, &columns, "--for", "1h", "--reason", "many"];
            host.jit(person, &ask).ok();
        }
    }
    quiet(host, false);
}

/// When the last of the leases was seen gone, in seconds since 1970.
fn last_revoked(host: &Host<'_>) -> f64 {
    let trail = std::fs::File::open(host.jit.audit()).expect("the trail");
    let revoked = std::io::BufReader::new(trail)
        .lines()
        .map(|line| line.expect("text"))
        .filter(|line| line.contains("\"event\":\"revoked\""))
        .last()
        .expect("some were");
    let event: serde_json::Value = serde_json::from_str(&revoked).expect("an event");
    let at: jit::access::At =
        serde_json::from_value(event["ended_at"].clone()).expect("an instant");
    at.millis() as f64 / 1000.0
}

/// A place that drops packets: a listener whose queue is full, so that the kernel answers nobody any more.
struct Hole {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Hole {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut waiting = Vec::new();
        while let Ok(one) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            waiting.push(one);
        }
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }
}
