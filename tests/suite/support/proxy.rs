//! A wire between `jit` and a server that breaks as it is told. Plain TCP: whatever is sent arrives once or never, and
//! perhaps late.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    There,
    /// To the client.
    Back,
}

/// What is wrong with the wire, from when it is set. Bytes and statements of all connections count together.
#[derive(Clone, Debug)]
pub enum Fault {
    /// So many bytes pass this way; with the next one the connection is cut, and if `for_good` every later one too.
    Cut {
        way: Way,
        after: usize,
        for_good: bool,
    },
    /// The `nth` packet that has one of these words reaches the server; the answer to it, or to the packet so many
    /// `behind` it, does not come back, and the connection is cut.
    Swallow {
        words: &'static [&'static str],
        nth: usize,
        behind: usize,
    },
    /// Behind so many bytes this way nothing passes on any connection for that time; then it arrives.
    Stall {
        way: Way,
        after: usize,
        time: Duration,
    },
    /// The first packet that has one of these words reaches the server, and the next one of that connection does not:
    /// nothing passes on any connection for that time, then it arrives.
    Late {
        words: &'static [&'static str],
        time: Duration,
    },
    /// Each packet takes so much longer.
    Slow { each: Duration },
}

const SILENCE: Duration = Duration::from_millis(500);

/// What becomes of what is held back when the faults stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Arrives,
    IsLost,
}

/// A port, usually of loopback, that leads to another one.
pub struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
}

struct Wire {
    to: (&'static str, u16),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    /// There and back.
    passed: [usize; 2],
    seen: usize,
    /// The connection whose answers are swallowed, and how many more packets go there before that.
    armed: Option<(usize, usize)>,
    stalled_until: Option<Instant>,
    /// Packets that are held back now.
    held: usize,
    loses: bool,
    connections: usize,
    hits: usize,
}

/// What to do with one packet.
enum Verdict {
    Pass,
    Late(Duration),
    Hold,
    /// So many of its bytes still pass.
    Cut(usize),
}

impl Proxy {
    /// Leads to that port, and breaks nothing yet. It lives as long as the test program.
    pub fn to(host: &'static str, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of loopback");
        Self::at(listener, host, port)
    }

    /// The same from another port.
    pub fn at(listener: TcpListener, host: &'static str, port: u16) -> Self {
        let address = listener.local_addr().expect("bound");
        let wire = Arc::new(Wire {
            to: (host, port),
            state: Mutex::default(),
        });
        let accepting = wire.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.clone().connect(client);
            }
        });
        Self { address, wire }
    }

    /// Where it is, as `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on.
    pub fn breaks(&self, fault: Fault) {
        let mut state = self.wire.state();
        *state = State {
            fault: Some(fault),
            connections: state.connections,
            held: state.held,
            ..State::default()
        };
    }

    /// The faults stop, and nothing is on its way any more when this returns. How often the fault struck.
    pub fn is_whole(&self, held: Held) -> usize {
        let mut state = self.wire.state();
        state.fault = None;
        state.armed = None;
        state.stalled_until = None;
        state.loses = held == Held::IsLost;
        let hits = state.hits;
        drop(state);
        while self.wire.state().held > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.wire.state().loses = false;
        hits
    }

    /// How often the fault has struck by now.
    pub fn struck(&self) -> usize {
        self.wire.state().hits
    }

    /// Waits until nothing has passed for longer than anything takes between two packets of a client that nothing
    /// holds. Whether the client still runs then.
    pub fn falls_silent(&self, client: &mut Child) -> bool {
        let (mut last, mut since) = (0, Instant::now());
        while last == 0 || since.elapsed() < SILENCE {
            if client.try_wait().expect("our own child").is_some() {
                return false;
            }
            let passed = self.passed().iter().sum();
            if passed != last {
                (last, since) = (passed, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Bytes there and back since the last fault was set.
    pub fn passed(&self) -> [usize; 2] {
        self.wire.state().passed
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.to) else {
            return; // the client sees it closed, as by a server that is not there
        };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let mut state = self.state();
        state.connections += 1;
        let id = state.connections;
        drop(state);
        let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        let back = self.clone();
        std::thread::spawn(move || self.carry(id, Way::There, from_client, server));
        std::thread::spawn(move || back.carry(id, Way::Back, from_server, client));
    }

    fn carry(&self, id: usize, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 65_536];
        loop {
            let length = match from.read(&mut buffer) {
                Ok(0) | Err(_) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(length) => length,
            };
            let packet = &buffer[..length];
            let verdict = self.state().judge(id, way, packet);
            let passes = match verdict {
                Verdict::Pass => length,
                Verdict::Late(time) => {
                    std::thread::sleep(time);
                    length
                }
                Verdict::Hold => {
                    if self.hold() {
                        length
                    } else {
                        0
                    }
                }
                Verdict::Cut(passes) => passes,
            };
            let sent = to.write_all(&packet[..passes]);
            if matches!(verdict, Verdict::Hold) {
                self.state().held -= 1;
            }
            if passes < length || sent.is_err() {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    /// Waits until things pass again; whether this one does, or is lost.
    fn hold(&self) -> bool {
        loop {
            let state = self.state();
            match state.stalled_until {
                Some(until) if Instant::now() < until => {}
                _ => return !state.loses,
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl State {
    fn judge(&mut self, id: usize, way: Way, packet: &[u8]) -> Verdict {
        let passed = self.passed[way as usize];
        self.passed[way as usize] += packet.len();
        let total = self.passed[way as usize];
        match self.fault.clone() {
            None => Verdict::Pass,
            Some(Fault::Slow { each }) => {
                self.hits += 1;
                Verdict::Late(each)
            }
            Some(Fault::Cut {
                way: which,
                after,
                for_good,
            }) => {
                let again = for_good && self.hits > 0;
                if again || (way == which && self.hits == 0 && total > after) {
                    self.hits += 1;
                    return Verdict::Cut(if again { 0 } else { after - passed });
                }
                Verdict::Pass
            }
            Some(Fault::Stall {
                way: which,
                after,
                time,
            }) => {
                if way == which && self.hits == 0 && total > after {
                    self.hits += 1;
                    self.stalled_until = Some(Instant::now() + time);
                }
                self.pass_unless_stalled()
            }
            Some(Fault::Late { words, time }) => {
                if self.stalled_until.is_none() && way == Way::There {
                    if self.armed.is_some_and(|(armed, _)| armed == id) {
                        self.hits += 1;
                        self.stalled_until = Some(Instant::now() + time);
                    } else if self.armed.is_none() && holds_one(packet, words) {
                        self.armed = Some((id, 0));
                    }
                }
                self.pass_unless_stalled()
            }
            Some(Fault::Swallow { words, nth, behind }) => {
                match (&mut self.armed, way) {
                    (Some((armed, more)), Way::There) if *armed == id => {
                        *more = more.saturating_sub(1);
                    }
                    (Some((armed, 0)), Way::Back) if *armed == id => {
                        self.armed = None;
                        self.hits += 1;
                        return Verdict::Cut(0);
                    }
                    (None, Way::There) if self.hits == 0 && holds_one(packet, words) => {
                        self.seen += 1;
                        if self.seen == nth {
                            self.armed = Some((id, behind));
                        }
                    }
                    _ => {}
                }
                Verdict::Pass
            }
        }
    }

    fn pass_unless_stalled(&mut self) -> Verdict {
        match self.stalled_until {
            Some(until) if Instant::now() < until => {
                self.held += 1;
                Verdict::Hold
            }
            _ => Verdict::Pass,
        }
    }
}

fn holds_one(packet: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| {
        packet
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    })
}
