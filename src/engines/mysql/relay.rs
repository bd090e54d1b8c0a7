//! The way to a server: TLS of our own, and no password for whoever has not proven who it is.
//!
//! The driver builds its own TLS, which can neither skip the name (`verify-ca`) nor read a revocation list, says
//! little of why it refused, gives the password itself to any server that asks inside any TLS, and misreads one in
//! 256 of MariaDB's random challenges. So the driver talks to a Unix socket of this process instead, and what it says is
//! passed on: until the server has let us in, packet by packet, with the switch to TLS put in between and requests for
//! the password judged; from then on as it comes. Sources: MySQL's source documentation, "Connection Phase"; MariaDB's "Connecting".
//!
//! The socket has a random name that no file bears (Linux's abstract namespace), so a full disk is no hindrance, and
//! takes one connection, from this process alone.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::greeting::{CLIENT_SSL, Greeting, ends_readably, switched_to};
use crate::engines::address::{Address, Endpoint, TlsMode};
use crate::engines::tls::{self, Secured};
use crate::engines::{EngineError, hosts};

/// A server never greets, nor asks for a password, with more than this.
const LONGEST: usize = 1 << 20;

/// By it `caching_sha2_password` asks for the password itself ("perform_full_authentication").
const WANTS_ALL: &[u8] = &[1, 4];

/// COM_QUIT, as a packet.
const QUIT: [u8; 5] = [1, 0, 0, 0, 1];

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Shared with the task that passes on.
#[derive(Default)]
struct Shared {
    /// Why the connection was ended by us.
    verdict: Option<EngineError>,
    secured: Option<Secured>,
    /// See [`Relay::wants_key`].
    wants_key: bool,
}

/// One connection's way. Ends with it.
pub(super) struct Relay {
    socket: String,
    shared: Arc<Mutex<Shared>>,
    upstream: Upstream,
    task: JoinHandle<()>,
}

/// What writes to the server, once it has let us in.
type Upstream = Arc<tokio::sync::Mutex<Option<WriteHalf<Box<dyn Wire>>>>>;

impl Relay {
    /// Connects to the server and waits for the driver on [`Self::socket`].
    pub(super) async fn open(
        address: &Address,
        endpoint: &Endpoint,
        has_password: bool,
    ) -> Result<Self, EngineError> {
        let unreachable = |error: io::Error| EngineError::Unreachable {
            address: endpoint.to_string(),
            why: error.to_string(),
        };
        let (host, tls, stream): (_, _, Box<dyn Wire>) = match endpoint {
            Endpoint::Tcp { host, port } => {
                let untrusted = |why| EngineError::Untrusted {
                    address: endpoint.to_string(),
                    why,
                };
                let tls = match address.tls {
                    TlsMode::Disable => None,
                    _ => Some(tls::Client::new(address, host).map_err(untrusted)?),
                };
                let stream = hosts::tcp(host, *port).await.map_err(unreachable)?;
                (host.clone(), tls, Box::new(stream))
            }
            Endpoint::Socket { path, .. } => {
                let stream = UnixStream::connect(path).await.map_err(unreachable)?;
                (String::new(), None, Box::new(stream))
            }
        };
        let mut name = [0_u8; 16];
        getrandom::fill(&mut name)
            .map_err(|error| unreachable(io::Error::other(error.to_string())))?;
        let socket = format!("\0jit-{}", hex::encode(name));
        let listener = UnixListener::bind(&socket).map_err(unreachable)?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let upstream = Upstream::default();
        let passing = Passing {
            address: address.clone(),
            endpoint: endpoint.clone(),
            host,
            has_password,
            encrypted: false,
            shared: shared.clone(),
            upstream: upstream.clone(),
        };
        let task = tokio::spawn(async move {
            let shared = passing.shared.clone();
            if let Err(error) = passing.run(listener, stream, tls).await {
                lock(&shared).verdict.get_or_insert(error);
            }
        });
        Ok(Self {
            socket,
            shared,
            upstream,
            task,
        })
    }

    /// Where the driver connects to.
    pub(super) fn socket(&self) -> &str {
        &self.socket
    }

    /// Why the connection was ended by us, if it was: it says more than the driver, which saw only the end.
    pub(super) fn verdict(&self) -> Option<EngineError> {
        lock(&self.shared).verdict.clone()
    }

    /// How the connection is protected; nothing where the server has no TLS and needs none.
    pub(super) fn secured(&self) -> Option<Secured> {
        lock(&self.shared).secured.clone()
    }

    /// Whether it was ended because the server wants the password by its RSA key: the driver does that only where
    /// it sees the network itself.
    pub(super) fn wants_key(&self) -> bool {
        lock(&self.shared).wants_key
    }
}

/// Says goodbye to the server: nobody may be left to pass on what the driver says last.
impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        if let Ok(mut upstream) = self.upstream.try_lock()
            && let Some(server) = upstream.as_mut()
        {
            let goodbye = async {
                server.write_all(&QUIT).await?;
                server.flush().await?;
                server.shutdown().await
            };
            let _ = goodbye.now_or_never();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the task knows.
struct Passing {
    address: Address,
    endpoint: Endpoint,
    host: String,
    has_password: bool,
    encrypted: bool,
    shared: Arc<Mutex<Shared>>,
    upstream: Upstream,
}

impl Passing {
    async fn run(
        mut self,
        listener: UnixListener,
        mut server: Box<dyn Wire>,
        tls: Option<tls::Client>,
    ) -> Result<(), EngineError> {
        let mut driver = own(listener).await.map_err(|e| self.lost(e))?;
        let first = Packet::read(&mut server).await.map_err(|e| self.lost(e))?;
        let greeting = Greeting::read(&first.body);
        first.write(&mut driver).await.map_err(|e| self.lost(e))?;
        let Some(greeting) = greeting else {
            // It has refused us already (too many connections, host blocked): the driver reads why.
            return Ok(());
        };
        let mut answer = Packet::read(&mut driver).await.map_err(|e| self.lost(e))?;
        let mut shift = 0;
        match tls {
            Some(tls) if greeting.has_tls => {
                // A server reads flags and character set from this packet alone: they must be the driver's own.
                let (Some(start), Some(flags)) = (answer.body.get(..32), answer.body.first_chunk())
                else {
                    return Err(self.lost(io::ErrorKind::InvalidData.into()));
                };
                let flags = (u32::from_le_bytes(*flags) | CLIENT_SSL).to_le_bytes();
                let mut request = start.to_vec();
                request[..4].copy_from_slice(&flags);
                answer.body[..4].copy_from_slice(&flags);
                let request = Packet {
                    number: answer.number,
                    body: request,
                };
                request.write(&mut server).await.map_err(|e| self.lost(e))?;
                server = self.handshake(server, tls).await?;
                shift = 1;
            }
            Some(_) if self.address.tls != TlsMode::Prefer => {
                return Err(self.untrusted(tls::no_tls_there(self.address.tls)));
            }
            _ => {}
        }
        answer.number = answer.number.wrapping_add(shift);
        answer.write(&mut server).await.map_err(|e| self.ended(e))?;
        let let_in = self
            .enter(&mut driver, &mut server, greeting.plugin, shift)
            .await?;
        if let_in {
            // From here on the driver knows best what its end means.
            let _ = self.pass(driver, server).await;
        }
        Ok(())
    }

    async fn handshake(
        &mut self,
        server: Box<dyn Wire>,
        tls: tls::Client,
    ) -> Result<Box<dyn Wire>, EngineError> {
        let connected = TlsConnector::from(tls.config)
            .connect(tls.name, server)
            .await;
        let secured = |version: String, cipher: String| Secured {
            version,
            cipher,
            sight: tls.seen.sight(),
        };
        let stream = connected.map_err(|error| {
            let sight = tls.seen.sight();
            match tls::explained(&self.address, &self.host, &sight, &error) {
                Some(why) => self.untrusted(why),
                None => self.lost(error),
            }
        })?;
        let session = stream.get_ref().1;
        let version = session
            .protocol_version()
            .and_then(|version| version.as_str())
            .unwrap_or_default()
            .replace('_', ".");
        let cipher = session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default()
            .replace("TLS13_", "TLS_");
        lock(&self.shared).secured = Some(secured(version, cipher));
        self.encrypted = true;
        Ok(Box::new(stream))
    }

    /// Passes packets on until the server has said yes or no; whether it was yes.
    async fn enter(
        &self,
        driver: &mut UnixStream,
        server: &mut Box<dyn Wire>,
        mut plugin: String,
        shift: u8,
    ) -> Result<bool, EngineError> {
        let mut from_greeting = true;
        loop {
            // The driver says nothing before it has a whole packet: no half of one is lost by the other's coming.
            tokio::select! {
                packet = Packet::read(driver) => {
                    // The driver gives up: it says why itself.
                    let Ok(mut packet) = packet else { return Ok(false) };
                    packet.number = packet.number.wrapping_add(shift);
                    packet.write(server).await.map_err(|e| self.ended(e))?;
                }
                packet = Packet::read(server) => {
                    let mut packet = packet.map_err(|e| self.ended(e))?;
                    packet.number = packet.number.wrapping_sub(shift);
                    if let Some(next) = switched_to(&packet.body) {
                        plugin = next;
                        from_greeting = false;
                    }
                    self.judge(&plugin, from_greeting, &mut packet.body)?;
                    packet.write(driver).await.map_err(|e| self.lost(e))?;
                    match packet.body.first() {
                        Some(0x00) => return Ok(true),
                        Some(0xff) => return Ok(false),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Whether the driver may see what the server asks for.
    fn judge(
        &self,
        plugin: &str,
        from_greeting: bool,
        body: &mut Vec<u8>,
    ) -> Result<(), EngineError> {
        // Nobody is between the two ends of a socket: there it may ask for the password itself.
        let on_socket = matches!(self.endpoint, Endpoint::Socket { .. });
        let proven = on_socket || self.encrypted && self.address.tls.verifies();
        // Encrypted and on this machine: a server there has what it asks for already.
        let at_home = self.encrypted && self.endpoint.is_local();
        let switches = body.first() == Some(&0xfe);
        let refused = || Err(self.untrusted(tls::unproven(self.encrypted)));
        match plugin {
            "mysql_clear_password" if !proven => refused(),
            "sha256_password" if !(proven || at_home) => refused(),
            // Inside TLS it wants the very answer that the driver knows by another name.
            "sha256_password" if switches => {
                *body = [b"\xfemysql_clear_password\0".as_slice(), &[0]].concat();
                Ok(())
            }
            // Whether the server asks for the password depends on what it remembers of the last time. A connection
            // that works until the server is started anew would be a trap, so both answers are refused.
            "caching_sha2_password"
                if body.first() == Some(&0x01) && !proven && !self.endpoint.is_local() =>
            {
                refused()
            }
            // Encrypted by the server's RSA key, which proves nothing, and on loopback need not.
            "caching_sha2_password" if body == WANTS_ALL && !(on_socket || self.encrypted) => {
                lock(&self.shared).wants_key = true;
                refused()
            }
            // The driver takes for granted that there is one.
            "parsec" if !self.has_password => Err(EngineError::NoPassword {
                address: self.endpoint.to_string(),
                why: "the server asks for one and none is configured".to_owned(),
            }),
            "client_ed25519" | "parsec" if switches && !ends_readably(body) => {
                Err(self.lost(alien()))
            }
            // It needs a challenge of its own, and has got none: the driver does not look.
            "parsec" if from_greeting && !matches!(body.first(), Some(0 | 0xff)) => {
                Err(self.lost(alien()))
            }
            _ => Ok(()),
        }
    }

    /// Passes on what comes, both ways, until one side ends.
    async fn pass(&self, driver: UnixStream, server: Box<dyn Wire>) -> io::Result<()> {
        let (from_server, to_server) = tokio::io::split(server);
        let (from_driver, to_driver) = tokio::io::split(driver);
        *self.upstream.lock().await = Some(to_server);
        tokio::select! {
            ended = down(from_server, to_driver) => ended,
            ended = self.up(from_driver) => ended,
        }
    }

    async fn up(&self, mut from: ReadHalf<UnixStream>) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            let mut upstream = self.upstream.lock().await;
            let Some(server) = upstream.as_mut() else {
                return Ok(());
            };
            if count == 0 {
                return server.shutdown().await;
            }
            server.write_all(&buffer[..count]).await?;
            server.flush().await?;
        }
    }

    fn lost(&self, error: io::Error) -> EngineError {
        EngineError::Unreachable {
            address: self.endpoint.to_string(),
            why: error.to_string(),
        }
    }

    /// An end right behind the handshake: with TLS 1.3 a server refuses our certificate only then.
    fn ended(&self, error: io::Error) -> EngineError {
        let secured = lock(&self.shared).secured.clone();
        match secured
            .and_then(|known| tls::explained(&self.address, &self.host, &known.sight, &error))
        {
            Some(why) => self.untrusted(why),
            None => self.lost(error),
        }
    }

    fn untrusted(&self, why: String) -> EngineError {
        EngineError::Untrusted {
            address: self.endpoint.to_string(),
            why,
        }
    }
}

async fn down(mut from: ReadHalf<Box<dyn Wire>>, mut to: WriteHalf<UnixStream>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}

/// The driver's connection: nobody else's.
async fn own(listener: UnixListener) -> io::Result<UnixStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        let peer = stream.peer_cred()?.pid();
        if peer == Some(std::process::id().cast_signed()) {
            return Ok(stream);
        }
    }
}

/// What no server of MySQL's or MariaDB's kind says.
fn alien() -> io::Error {
    let why = "it does not speak the protocol of MySQL";
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// One packet of the connection phase.
struct Packet {
    number: u8,
    body: Vec<u8>,
}

impl Packet {
    async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut header = [0; 4];
        from.read_exact(&mut header).await?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        if length > LONGEST {
            return Err(alien());
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).await?;
        Ok(Self {
            number: header[3],
            body,
        })
    }

    async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let length = (self.body.len() as u32).to_le_bytes();
        let header = [length[0], length[1], length[2], self.number];
        to.write_all(&[&header, self.body.as_slice()].concat())
            .await?;
        to.flush().await
    }
}
