//! From an address to a prepared session: endpoints in order, TLS, time limits, and no standby.

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engines::address::{Address, Endpoint, TlsMode};
use crate::engines::{EngineError, password, tls};

use super::identity::{self, Answered};
use super::link::{Link, causes};

/// A session on the first endpoint that answers, lets us in and can be written to.
///
/// # Errors
/// Of the endpoints' errors the first that says more than `Unreachable`.
pub async fn open(address: &Address) -> Result<(Link, Answered), EngineError> {
    let mut failures: Vec<EngineError> = Vec::new();
    for endpoint in &address.endpoints {
        let tried = tokio::time::timeout(address.connect_timeout, enter(address, endpoint)).await;
        match tried {
            Ok(Ok(entered)) => return Ok(entered),
            Ok(Err(error)) => failures.push(error),
            Err(_) => failures.push(EngineError::Unreachable {
                address: endpoint.to_string(),
                why: format!(
                    "no answer within {} s",
                    address.connect_timeout.as_secs_f64()
                ),
            }),
        }
    }
    Err(summed_up(address, failures))
}

/// One error for several endpoints: all of them named, in the first one's kind that says most.
fn summed_up(address: &Address, mut failures: Vec<EngineError>) -> EngineError {
    let best = failures
        .iter()
        .position(|error| !matches!(error, EngineError::Unreachable { .. }));
    match (best, failures.len()) {
        (Some(place), _) => failures.swap_remove(place),
        (None, 1) => failures.swap_remove(0),
        (None, _) => EngineError::Unreachable {
            address: address.shown(),
            why: match failures.is_empty() {
                true => "the address names no endpoint".to_owned(),
                false => failures
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; "),
            },
        },
    }
}

/// Connects to one endpoint, prepares the session and finds out who answers.
async fn enter(address: &Address, endpoint: &Endpoint) -> Result<(Link, Answered), EngineError> {
    let password =
        password::read_for(address, endpoint)
            .await
            .map_err(|why| EngineError::NoPassword {
                address: endpoint.to_string(),
                why,
            })?;
    let link = connect(address, endpoint, password.as_ref()).await?;
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
    let denied = |why: String| EngineError::Denied {
        address: endpoint.to_string(),
        user: address.user.clone(),
        why,
    };
    let mut config = Config::new();
    config
        .user(&address.user)
        .application_name("jit")
        .dbname(address.database.as_deref().unwrap_or(&address.user))
        .connect_timeout(address.connect_timeout)
        .keepalives_idle(std::time::Duration::from_secs(30));
    if let Some(password) = password {
        config.password(password.expose_secret());
    }
    let secured = match endpoint {
        Endpoint::Tcp { host, port } => {
            config.host(host).port(*port);
            address.tls != TlsMode::Disable
        }
        Endpoint::Socket { path, port } => {
            config.host_path(path).port(*port);
            // Nobody is between the two ends of a socket, and Postgres has no TLS there.
            false
        }
    };
    config.ssl_mode(match (secured, address.tls) {
        (false, _) | (_, TlsMode::Disable) => SslMode::Disable,
        (true, TlsMode::Prefer) => SslMode::Prefer,
        (true, TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull) => SslMode::Require,
    });
    let shown = format!(
        "{endpoint}/{}",
        address.database.as_deref().unwrap_or(&address.user)
    );
    let take = |error: tokio_postgres::Error| refusal(address, endpoint, &error);
    if secured {
        let tls = MakeRustlsConnect::new(tls::configuration(address).map_err(denied)?);
        let (client, connection) = config.connect(tls).await.map_err(take)?;
        Ok(Link::new(
            client,
            connection,
            shown,
            address.statement_timeout,
            address.verbose,
        ))
    } else {
        let plain = tokio_postgres::NoTls;
        let (client, connection) = config.connect(plain).await.map_err(take)?;
        Ok(Link::new(
            client,
            connection,
            shown,
            address.statement_timeout,
            address.verbose,
        ))
    }
}

/// Why nobody let us in.
fn refusal(address: &Address, endpoint: &Endpoint, error: &tokio_postgres::Error) -> EngineError {
    let at = endpoint.to_string();
    let Some(db) = error.as_db_error() else {
        let why = causes(error);
        // The driver's own words for a server that asks where nothing is configured.
        if why.contains("password missing") {
            return EngineError::NoPassword {
                address: at,
                why: "the server asks for one and none is configured".to_owned(),
            };
        }
        return match is_about_trust(error) {
            true => EngineError::Denied {
                address: at,
                user: address.user.clone(),
                why,
            },
            false => EngineError::Unreachable { address: at, why },
        };
    };
    let why = format!("{} ({})", db.message(), db.code().code());
    // 28: authorisation; 3D000: no such database; 42501: no CONNECT. Others (57P03 starting up, 53300 too many
    // connections) say that it cannot be had now.
    match db.code().code() {
        code if code.starts_with("28") || code == "3D000" || code == "42501" => {
            EngineError::Denied {
                address: at,
                user: address.user.clone(),
                why,
            }
        }
        _ => EngineError::Unreachable { address: at, why },
    }
}

/// Whether TLS or the exchange of passwords failed, rather than the network.
fn is_about_trust(error: &tokio_postgres::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.is::<rustls::Error>() {
            return true;
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
            && inner.is::<rustls::Error>()
        {
            return true;
        }
        next = cause.source();
    }
    let text = causes(error);
    ["TLS", "tls", "authentication"]
        .iter()
        .any(|word| text.contains(word))
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
