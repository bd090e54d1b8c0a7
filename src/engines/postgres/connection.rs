//! From an address to a prepared session: endpoints in order, TLS, time limits, and no standby.

use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engines::address::{self, Address, Endpoint, TlsMode};
use crate::engines::tls::{self, Seen};
use crate::engines::{EngineError, hosts, password};

use super::guard::{ClearText, Guarded, GuardedTls};
use super::identity::{self, Answered};
use super::link::{Link, Made, causes};

/// A session on the first endpoint that answers, lets us in and can be written to.
///
/// # Errors
/// See [`hosts::first_writable`].
pub async fn open(address: &Address) -> Result<(Link, Answered), EngineError> {
    hosts::first_writable(address, async |endpoint, secret| {
        enter(address, endpoint, secret).await
    })
    .await
}

/// Connects to one endpoint, prepares the session and finds out who answers.
async fn enter(
    address: &Address,
    endpoint: &Endpoint,
    password: Option<&SecretString>,
) -> Result<(Link, Answered), EngineError> {
    let link = connect(address, endpoint, password).await?;
    link.run(&prepared(address)).await?;
    let answered = identity::of(&link, endpoint).await?;
    if let Some(why) = answered.read_only.clone() {
        return Err(EngineError::Unreachable {
            address: endpoint.to_string(),
            why,
        });
    }
    Ok((link, answered))
}

async fn connect(
    address: &Address,
    endpoint: &Endpoint,
    password: Option<&SecretString>,
) -> Result<Link, EngineError> {
    let mut config = Config::new();
    config
        .user(&address.user)
        .application_name("jit")
        .dbname(address.database.as_deref().unwrap_or(&address.user))
        .channel_binding(match address.channel_binding {
            address::ChannelBinding::Disable => ChannelBinding::Disable,
            address::ChannelBinding::Prefer => ChannelBinding::Prefer,
            address::ChannelBinding::Require => ChannelBinding::Require,
        });
    if let Some(password) = password {
        config.password(password.expose_secret());
    }
    let unreachable = |error: std::io::Error| EngineError::Unreachable {
        address: endpoint.to_string(),
        why: error.to_string(),
    };
    let shown = format!(
        "{endpoint}/{}",
        address.database.as_deref().unwrap_or(&address.user)
    );
    let made = Made {
        shown,
        statement_timeout: address.statement_timeout,
        verbose: address.verbose,
        seen: None,
    };
    let refused = |seen: Option<&Seen>, error| refusal(address, endpoint, seen, error);
    match endpoint {
        // Nobody is between the two ends of a socket, and Postgres has no TLS there.
        Endpoint::Socket { path, port } => {
            let stream = UnixStream::connect(path.join(format!(".s.PGSQL.{port}")))
                .await
                .map_err(unreachable)?;
            config.ssl_mode(SslMode::Disable);
            let (client, connection) = config
                .connect_raw(stream, NoTls)
                .await
                .map_err(|error| refused(None, error))?;
            Ok(Link::new(client, connection, made))
        }
        Endpoint::Tcp { host, port } => {
            let tls =
                match address.tls {
                    TlsMode::Disable => None,
                    _ => Some(tls::Client::new(address, host).map_err(|why| {
                        EngineError::Untrusted {
                            address: endpoint.to_string(),
                            why,
                        }
                    })?),
                };
            let stream = hosts::tcp(host, *port).await.map_err(unreachable)?;
            let stream = Guarded::plain(stream, tls.is_some());
            let Some(tls) = tls else {
                config.ssl_mode(SslMode::Disable);
                let (client, connection) = config
                    .connect_raw(stream, NoTls)
                    .await
                    .map_err(|error| refused(None, error))?;
                return Ok(Link::new(client, connection, made));
            };
            config.ssl_mode(match address.tls {
                TlsMode::Prefer => SslMode::Prefer,
                _ => SslMode::Require,
            });
            let mut maker = MakeRustlsConnect::new((*tls.config).clone());
            let handshake =
                MakeTlsConnect::<Guarded<TcpStream>>::make_tls_connect(&mut maker, host)
                    .map_err(|error| unreachable(std::io::Error::other(error)))?;
            let guarded = GuardedTls {
                inner: handshake,
                proven: address.tls.verifies(),
            };
            let (client, connection) = config
                .connect_raw(stream, guarded)
                .await
                .map_err(|error| refused(Some(&tls.seen), error))?;
            let seen = Some(tls.seen);
            Ok(Link::new(client, connection, Made { seen, ..made }))
        }
    }
}

/// Why nobody let us in.
fn refusal(
    address: &Address,
    endpoint: &Endpoint,
    seen: Option<&Seen>,
    error: tokio_postgres::Error,
) -> EngineError {
    let at = endpoint.to_string();
    let untrusted = |why: String| EngineError::Untrusted {
        address: at.clone(),
        why,
    };
    let denied = |why: String| EngineError::Denied {
        address: at.clone(),
        user: address.user.clone(),
        why,
    };
    if let Some(db) = error.as_db_error() {
        let mut why = format!("{} ({})", db.message(), db.code().code());
        // 28: authorisation; 3D000: no such database; 42501: no CONNECT. Others (57P03 starting up, 53300 too many
        // connections) say that it cannot be had now.
        let code = db.code().code();
        if !(code.starts_with("28") || code == "3D000" || code == "42501") {
            if code == "53300" {
                why += "; for the next time, `jit doctor` says how one is kept for jit";
            }
            return EngineError::Unreachable { address: at, why };
        }
        if address.client_certificate.is_none() && why.contains("client certificate") {
            why += "; set sslcert= and sslkey= in the target's url";
        }
        return denied(why);
    }
    if let Some(ClearText { encrypted }) = found::<ClearText>(&error) {
        return untrusted(tls::unproven(*encrypted));
    }
    let why = causes(&error);
    if let (Some(seen), Endpoint::Tcp { host, .. }) = (seen, endpoint)
        && let Some(why) = tls::explained(address, host, &seen.sight(), &error)
    {
        return untrusted(why);
    }
    if why.contains("server does not support TLS") {
        return untrusted(tls::no_tls_there(address.tls));
    }
    if why.contains("channel binding") {
        return untrusted(format!(
            "{why}; channel_binding=require asks for it, and only scram-sha-256 inside TLS has it"
        ));
    }
    // The driver's own words for a server that asks where nothing is configured.
    if why.contains("password missing") {
        let habits = password::habits(address.dialect);
        return EngineError::NoPassword {
            address: at,
            why: format!("the server asks for one; none is set, and none is in {habits}"),
        };
    }
    match why.contains("authentication") {
        true => denied(why),
        false => EngineError::Unreachable { address: at, why },
    }
}

/// An error of that type among the causes of another.
fn found<'e, E: std::error::Error + 'static>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<E>() {
            return Some(found);
        }
        next = match cause
            .downcast_ref::<std::io::Error>()
            .and_then(|io| io.get_ref())
        {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

/// What every session of ours starts with. A role's or database's own settings do not reach past it: names resolve
/// in the system's schema only, no SET ROLE is in force, waits are bounded, literals read as we write them.
fn prepared(address: &Address) -> String {
    format!(
        "SET ROLE NONE; SET search_path = pg_catalog, pg_temp; \
         SET statement_timeout = {limit}; SET lock_timeout = {lock}; \
         SET idle_in_transaction_session_timeout = {idle}; \
         SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed'; \
         SET client_min_messages = notice; SET jit = off",
        limit = address.statement_timeout.as_millis(),
        lock = (address.statement_timeout / 3).as_millis().clamp(1, 3000),
        idle = (address.statement_timeout * 6).as_millis(),
    )
}
