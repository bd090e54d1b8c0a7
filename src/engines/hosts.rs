//! Several hosts of one target: the first that answers, lets us in and can be written to.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::sockopt;
use secrecy::SecretString;
use tokio::net::{TcpSocket, TcpStream};

use super::address::{Address, Endpoint};
use super::{EngineError, password};

/// Tries the hosts in order, each with its own password and bounded in time.
///
/// # Errors
/// One host: its own error. Several: what each of them said, in the kind of the one that says most.
pub async fn first_writable<T>(
    address: &Address,
    enter: impl AsyncFn(&Endpoint, Option<&SecretString>) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    if let Some(why) = &address.unresolved {
        return Err(EngineError::Unreachable {
            address: address.shown(),
            why: why.clone(),
        });
    }
    let mut failures = Vec::new();
    for endpoint in &address.endpoints {
        match one(address, endpoint, &enter).await {
            Ok(entered) => return Ok(entered),
            Err(error) => failures.push(error),
        }
    }
    Err(summed_up(address, failures))
}

async fn one<T>(
    address: &Address,
    endpoint: &Endpoint,
    enter: &impl AsyncFn(&Endpoint, Option<&SecretString>) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    // A command that makes a token has a limit of its own.
    let secret =
        password::read_for(address, endpoint)
            .await
            .map_err(|why| EngineError::NoPassword {
                address: endpoint.to_string(),
                why,
            })?;
    tokio::time::timeout(address.connect_timeout, enter(endpoint, secret.as_ref()))
        .await
        .unwrap_or_else(|_| {
            Err(EngineError::Unreachable {
                address: endpoint.to_string(),
                why: format!(
                    "no answer within {} s",
                    address.connect_timeout.as_secs_f64()
                ),
            })
        })
}

/// One error for several hosts: all of them named, in the kind that says most.
fn summed_up(address: &Address, mut failures: Vec<EngineError>) -> EngineError {
    let Some(telling) = failures
        .iter()
        .enumerate()
        .min_by_key(|(place, error)| (rank(error), *place))
        .map(|(place, _)| place)
    else {
        return EngineError::Unreachable {
            address: address.shown(),
            why: "the address names no host".to_owned(),
        };
    };
    if failures.len() == 1 {
        return failures.swap_remove(telling);
    }
    let said = failures
        .iter()
        .map(|error| format!("\"{error}\""))
        .collect::<Vec<_>>()
        .join(", ");
    let why = format!("no host of {} can be used: {said}", failures.len());
    let address = address.shown();
    match failures.swap_remove(telling) {
        EngineError::Untrusted { .. } => EngineError::Untrusted { address, why },
        EngineError::Denied { user, .. } => EngineError::Denied { address, user, why },
        EngineError::NoPassword { .. } => EngineError::NoPassword { address, why },
        EngineError::Unreachable { .. } => EngineError::Unreachable { address, why },
        // What such a host says is about itself alone, and has its own cure.
        other => other,
    }
}

fn rank(error: &EngineError) -> u8 {
    match error {
        EngineError::Untrusted { .. } => 1,
        EngineError::Denied { .. } => 2,
        EngineError::NoPassword { .. } => 3,
        EngineError::Unreachable { .. } => 4,
        _ => 0,
    }
}

/// A connection whose end is noticed although nothing is sent for long.
pub async fn tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = match TcpStream::connect((host, port)).await {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            by_hand(host, port, error).await?
        }
        connected => connected?,
    };
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, std::time::Duration::from_secs(30))?;
    Ok(stream)
}

/// Below are ports of well-known services.
const ROOTS: u16 = 512;
/// From here on, anybody's.
const FREE: u16 = 1024;

/// The kernel gives a connection a port of its own out of a range (`ip_local_port_range`), and has none left: any user
/// of this host can have taken all of them. So we take one: first of those that only root can take, and who has
/// CAP_NET_BIND_SERVICE, then of the others.
async fn by_hand(host: &str, port: u16, none_left: Error) -> std::io::Result<TcpStream> {
    for to in tokio::net::lookup_host((host, port)).await? {
        for own in (ROOTS..FREE).rev().chain(FREE..=u16::MAX) {
            match from(own, to).await {
                // Taken, or root's: on some hosts these begin elsewhere.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::AddrInUse
                            | ErrorKind::AddrNotAvailable
                            | ErrorKind::PermissionDenied
                    ) => {}
                done => return done,
            }
        }
    }
    Err(none_left)
}

async fn from(own: u16, to: SocketAddr) -> std::io::Result<TcpStream> {
    let (socket, any) = match to {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    };
    socket.bind((any, own).into())?;
    socket.connect(to).await
}
