//! A network of its own for a client, whose kernel drops packets: nobody is told, no connection is ended, and what is
//! sent again arrives when the network is whole. A second wire may lead there on which packets take seconds, overtake
//! each other, and are lost or doubled. Needs root, as CI has it.

mod long;

pub use long::{Bad, LongWire};

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::process::{around, must};

/// Which packets are dropped, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drops {
    There,
    Back,
    Both,
}

/// A network namespace, joined with the machine's by one wire. It ends with whoever made it.
pub struct Network {
    /// Holds the namespace; the wire goes with it.
    holder: Child,
    /// The ends of the wire: the machine's and the client's.
    ends: [End; 2],
}

struct End {
    device: String,
    address: Ipv4Addr,
    /// What a command must be called by to work at this end.
    at: Vec<String>,
}

/// An Ethernet address that nobody has: a packet to it arrives and is thrown away.
const NOBODY: &str = "02:00:00:00:00:ff";

impl Network {
    pub fn new() -> Self {
        let holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "--"])
            .args(["sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("setpriv");
        let namespace = format!("/proc/{}/ns/net", holder.id());
        let begun = Instant::now();
        while std::fs::read_link(&namespace).ok() == std::fs::read_link("/proc/self/ns/net").ok() {
            assert!(begun.elapsed() < Duration::from_secs(10), "unshare --net");
            std::thread::sleep(Duration::from_millis(5));
        }
        let network = Self {
            ends: ends(holder.id()),
            holder,
        };
        let [machine, client] = &network.ends;
        let holder = network.holder.id().to_string();
        machine.ip(&[
            "link",
            "add",
            &machine.device,
            "type",
            "veth",
            "peer",
            "name",
            &client.device,
            "netns",
            &holder,
        ]);
        network.ends.iter().for_each(End::is_up);
        network
    }

    /// One more wire to the same namespace.
    pub fn long_wire(&self) -> LongWire {
        LongWire::to(self.holder.id())
    }

    /// A port at the machine's end.
    pub fn listener(&self) -> TcpListener {
        TcpListener::bind((self.ends[0].address, 0)).expect("our own address")
    }

    /// The same command at the client's end.
    pub fn inside(&self, command: &Command) -> Command {
        let at = &self.ends[1].at;
        let mut inside = Command::new(&at[0]);
        inside.args(&at[1..]).arg("--");
        around(inside, command)
    }

    /// From now on.
    pub fn drops(&self, packets: Drops) {
        let [machine, client] = &self.ends;
        if packets != Drops::Back {
            client.misses(machine);
        }
        if packets != Drops::There {
            machine.misses(client);
        }
    }

    /// Every packet arrives again.
    pub fn heals(&self) {
        let [machine, client] = &self.ends;
        for (from, to) in [(machine, client), (client, machine)] {
            from.ip(&[
                "neigh",
                "flush",
                "to",
                &to.address.to_string(),
                "nud",
                "all",
            ]);
        }
    }
}

/// Both ends of a new wire to that process's namespace, not made yet.
fn ends(holder: u32) -> [End; 2] {
    static MADE: AtomicU32 = AtomicU32::new(0);
    // Of the range for benchmarks (RFC 2544), which is nobody's; four addresses a wire.
    let nth = (std::process::id() * 64 + MADE.fetch_add(1, Ordering::Relaxed)) % 0x8000;
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + nth * 4;
    let end = |side: &str, plus: u32, at: &[String]| End {
        device: format!("jit{nth}{side}"),
        address: Ipv4Addr::from(first + plus),
        at: at.to_vec(),
    };
    let enter = ["nsenter".to_owned(), format!("--net=/proc/{holder}/ns/net")];
    [end("m", 1, &[]), end("c", 2, &enter)]
}

impl End {
    fn is_up(&self) {
        let address = format!("{}/30", self.address);
        self.ip(&["address", "add", &address, "dev", &self.device]);
        self.ip(&["link", "set", &self.device, "up"]);
    }

    fn ip(&self, arguments: &[&str]) {
        let words: Vec<&str> = self.at.iter().map(String::as_str).chain(["ip"]).collect();
        must(Command::new(words[0]).args(&words[1..]).args(arguments));
    }

    /// What this end sends to the other one goes to nobody.
    fn misses(&self, other: &Self) {
        let address = other.address.to_string();
        self.ip(&[
            "neigh",
            "replace",
            &address,
            "lladdr",
            NOBODY,
            "nud",
            "permanent",
            "dev",
            &self.device,
        ]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
