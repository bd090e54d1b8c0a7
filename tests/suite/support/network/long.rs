//! A wire whose packets take their time, beside a namespace's short one. `wire.py` carries them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::{End, ends};

/// What becomes of each packet from now on, in either direction. What is on its way keeps its time of arrival.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bad {
    /// One way.
    pub delay: Duration,
    /// Up to so much more, by chance: packets overtake each other.
    pub jitter: Duration,
    /// The shares of a hundred that never arrive, and that arrive twice.
    pub lost: u32,
    pub twice: u32,
}

pub struct LongWire {
    carrier: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    machine: End,
}

impl LongWire {
    pub(super) fn to(holder: u32) -> Self {
        let [machine, client] = ends(holder);
        let program = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/suite/support/network/wire.py"
        );
        let mut carrier = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "python3", program])
            .args(["1", &machine.device, &client.device])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv");
        let mut wire = Self {
            orders: carrier.stdin.take(),
            answers: BufReader::new(carrier.stdout.take().expect("a pipe")),
            carrier,
            machine,
        };
        wire.answered("made");
        let into = ["link", "set", &client.device, "netns", &holder.to_string()];
        wire.machine.ip(&into);
        wire.machine.is_up();
        client.is_up();
        wire
    }

    fn answered(&mut self, word: &str) {
        let mut line = String::new();
        let _ = self.answers.read_line(&mut line);
        assert_eq!(line.trim(), word, "python3 and /dev/net/tun carry a wire");
    }

    /// A port at the machine's end.
    pub fn listener(&self) -> TcpListener {
        TcpListener::bind((self.machine.address, 0)).expect("our own address")
    }

    /// From now on.
    pub fn is(&mut self, bad: Bad) {
        let order = json!({
            "delay": bad.delay.as_secs_f64(),
            "jitter": bad.jitter.as_secs_f64(),
            "lost": f64::from(bad.lost) / 100.0,
            "twice": f64::from(bad.twice) / 100.0,
        });
        let orders = self.orders.as_mut().expect("taken only by drop");
        writeln!(orders, "{order}").expect("the carrier lives");
        self.answered("so it is");
    }
}

impl Drop for LongWire {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.carrier.wait();
    }
}
