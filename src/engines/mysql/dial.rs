//! Getting in: endpoints in order, TLS, who answers, and a session that no default of the server bends.
//!
//! Sources: facts-mysql, findings 3, 8 and 9 and "Algorithms, Connect"; MySQL manual 5.1.8 (system variables),
//! MariaDB knowledge base "Server System Variables".

use foldhash::HashMap;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::account::{Account, user_of};
use super::ask::ask;
use super::relay::Relay;
use super::render::RevokeWords;
use crate::access::{Grantee, ServerIdentity};
use crate::engines::address::{Address, Endpoint};
use crate::engines::tls::Secured;
use crate::engines::{EngineError, Flavour, Kind, hosts, password};

/// What the server said of itself and of us when it let us in.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) flavour: Flavour,
    pub(super) identity: ServerIdentity,
    /// The account that we are, by `CURRENT_USER()`.
    pub(super) me: Account,
    /// The user that GRANT writes into `tables_priv.Grantor`: that of `USER()`, with the client's host behind it,
    /// which differs from bastion to bastion. So grantors are compared by user alone.
    pub(super) grantor: String,
    /// Whether names of databases and tables compare with case (`lower_case_table_names` 0).
    pub(super) exact_tables: bool,
    /// MySQL: database names in `mysql.db` are literal (`partial_revokes`).
    pub(super) partial_revokes: bool,
    pub(super) mandatory_roles: String,
    pub(super) words: RevokeWords,
    /// Our own connection's number.
    pub(super) session: u64,
    /// How the way to it is protected, where it is.
    pub(super) secured: Option<Secured>,
}

impl Server {
    pub(super) fn is_mariadb(&self) -> bool {
        self.flavour.kind == Kind::Mariadb
    }
}

/// A connection that stands, and the way it takes.
pub(super) struct Line {
    pub(super) conn: Conn,
    /// None where the driver talks to the server itself, by its RSA key. Dropped after the connection.
    pub(super) relay: Option<Relay>,
}

/// Tries the endpoints in order; takes the first that answers and can be written to.
pub(super) async fn dial(address: &Address) -> Result<(Line, Server), EngineError> {
    hosts::first_writable(address, async |endpoint, secret| {
        try_endpoint(address, endpoint, secret).await
    })
    .await
}

async fn try_endpoint(
    address: &Address,
    endpoint: &Endpoint,
    secret: Option<&SecretString>,
) -> Result<(Line, Server), EngineError> {
    let options = || {
        OptsBuilder::default()
            .user(Some(address.user.as_str()))
            .pass(secret.map(|secret| secret.expose_secret().to_owned()))
            .prefer_socket(false)
            .stmt_cache_size(64)
            .connect_attribute("program_name", "jit")
    };
    let has_password = secret.is_some_and(|secret| !secret.expose_secret().is_empty());
    let relay = Relay::open(address, endpoint, has_password).await?;
    let by_relay = options()
        .socket(Some(relay.socket().to_owned()))
        .enable_cleartext_plugin(true);
    let (conn, relay) = match (Conn::new(by_relay).await, endpoint) {
        (Err(_), Endpoint::Tcp { host, port }) if relay.wants_key() => {
            let direct = options().ip_or_hostname(host.as_str()).tcp_port(*port);
            (Conn::new(direct).await, None)
        }
        (conn, _) => (conn, Some(relay)),
    };
    let conn = conn.map_err(|error| {
        let verdict = relay.as_ref().and_then(Relay::verdict);
        verdict.unwrap_or_else(|| {
            let secured = relay.as_ref().and_then(Relay::secured);
            refusal(address, endpoint, secret.is_some(), secured.as_ref(), error)
        })
    })?;
    let mut line = Line { conn, relay };
    let mut server = prepare(&mut line.conn, address, endpoint).await?;
    server.secured = line.relay.as_ref().and_then(Relay::secured);
    Ok((line, server))
}

/// The driver's errors without its debug forms, which could show what was sent.
pub(super) fn in_words(error: &Error) -> String {
    match error {
        Error::Io(IoError::Io(error)) => error.to_string(),
        Error::Io(IoError::Tls(error)) => error.to_string(),
        Error::Server(error) => format!("{} ({})", error.message, error.code),
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            format!("the account uses the authentication plugin {name}, which jit does not speak")
        }
        Error::Driver(error) => match error {
            DriverError::FromValue { .. } | DriverError::FromRow { .. } => {
                "an answer of an unexpected type".to_owned()
            }
            other => other.to_string(),
        },
        Error::Url(_) | Error::Other(_) => "the driver failed".to_owned(),
    }
}

/// Who is to blame for a connection that did not come about.
fn refusal(
    address: &Address,
    endpoint: &Endpoint,
    has_password: bool,
    secured: Option<&Secured>,
    error: Error,
) -> EngineError {
    let mut why = in_words(&error);
    let denies = match &error {
        Error::Server(error) => !matches!(error.code, 1040 | 1203),
        Error::Driver(_) => true,
        _ => false,
    };
    if !denies {
        if matches!(&error, Error::Server(error) if error.code == 1040) {
            why += "; for the next time, `jit doctor` says how one is kept for jit";
        }
        return unreachable(endpoint, why);
    }
    if !has_password {
        why += &format!(
            "; no password is set, and none is in {}",
            password::habits(address.dialect)
        );
        if std::env::var_os("MYSQL_PWD").is_some() {
            why += "; MYSQL_PWD is not read, but by a target's password: {env: MYSQL_PWD}";
        }
    }
    // The server does not say that it is this.
    if address.client_certificate.is_none()
        && secured.is_some_and(|known| known.sight.asked_for_ours)
    {
        why += "; if the account requires a client certificate, set sslcert= and sslkey= in the target's url";
    }
    denied(address, endpoint, why)
}

fn unreachable(endpoint: &Endpoint, why: String) -> EngineError {
    EngineError::Unreachable {
        address: endpoint.to_string(),
        why,
    }
}

fn denied(address: &Address, endpoint: &Endpoint, why: String) -> EngineError {
    EngineError::Denied {
        address: endpoint.to_string(),
        user: address.user.clone(),
        why,
    }
}

/// Finds out who answers and pins everything that a server's or an account's defaults could bend.
async fn prepare(
    conn: &mut Conn,
    address: &Address,
    endpoint: &Endpoint,
) -> Result<Server, EngineError> {
    let failed = |error: Error| match &error {
        // The password has expired: the server takes nothing but a new one.
        Error::Server(server) if server.code == 1820 => denied(address, endpoint, in_words(&error)),
        _ => unreachable(endpoint, in_words(&error)),
    };
    conn.query_drop("SET NAMES utf8mb4").await.map_err(failed)?;
    let (version, comment, me, user, session): (String, String, String, String, u64) = conn
        .query_first(include_str!("sql/server.sql"))
        .await
        .map_err(failed)?
        .ok_or_else(|| unreachable(endpoint, "it says nothing of itself".to_owned()))?;
    let mariadb = version.contains("MariaDB") || comment.contains("MariaDB");
    let numbers = numbers(&version);
    let least = if mariadb { (10, 6, 0) } else { (8, 0, 0) };
    if numbers < least {
        let why = format!("it is version {version}; jit needs MySQL 8.0 or MariaDB 10.6, or later");
        return Err(denied(address, endpoint, why));
    }

    // The server gives up before we do, so that an answer says what became of a statement.
    let ours = address.statement_timeout.as_secs_f64();
    let lock = ((ours / 2.0) as u64).clamp(1, 5);
    let (settings, limits) = match mariadb {
        true => (
            include_str!("sql/session_mariadb.sql"),
            (lock, lock, ours * 0.8).into(),
        ),
        false => (
            include_str!("sql/session_mysql.sql"),
            (lock, lock, (ours * 800.0) as u64).into(),
        ),
    };
    ask(conn, settings, limits).await.map_err(failed)?;
    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE")
        .await
        .map_err(failed)?;

    let variables: HashMap<String, String> = conn
        .query::<(String, String), _>(include_str!("sql/variables.sql"))
        .await
        .map_err(failed)?
        .into_iter()
        .collect();
    let variable = |name: &str| variables.get(name).map_or("", String::as_str);
    let is_on = |name: &str| !matches!(variable(name), "" | "OFF" | "0" | "NO_LOCK");
    if is_on("read_only") || is_on("super_read_only") {
        return Err(unreachable(
            endpoint,
            "it is read-only: a replica, or switched so".to_owned(),
        ));
    }
    Ok(Server {
        flavour: Flavour {
            kind: if mariadb { Kind::Mariadb } else { Kind::Mysql },
            version,
        },
        identity: ServerIdentity {
            address: endpoint.to_string().into(),
            database: String::new().into(),
            system: system(mariadb, &variable).into(),
        },
        me: Account::from(&Grantee(me.into())),
        grantor: user_of(&user).to_owned(),
        exact_tables: variable("lower_case_table_names") == "0",
        partial_revokes: is_on("partial_revokes"),
        mandatory_roles: variable("mandatory_roles").to_owned(),
        words: if !mariadb && numbers >= (8, 0, 30) {
            RevokeWords::Lenient
        } else {
            RevokeWords::Strict
        },
        session,
        secured: None,
    })
}

/// What stays. MySQL has `server_uuid`. MariaDB has nothing in its data that SQL can read: `server_uid` hashes the
/// network card and the port, so it differs in every new container and is equal for two servers on one host and
/// port; the host's name, port and data directory are the most stable there is. A MariaDB whose host is renamed
/// counts as another server, which is the safe side: its leases are shown, and never touched until a person decides.
fn system<'v>(mariadb: bool, variable: &dyn Fn(&str) -> &'v str) -> String {
    if !mariadb {
        return variable("server_uuid").to_owned();
    }
    let mut hash = Sha256::new();
    for name in ["hostname", "port", "datadir"] {
        hash.update(variable(name).as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}

/// `10.11.19-MariaDB` → (10, 11, 19). MariaDB may put `5.5.5-` in front for old clients.
fn numbers(version: &str) -> (u32, u32, u32) {
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut parts = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(numbers("9.7.4-2"), (9, 7, 4));
        assert_eq!(numbers("10.11.19-MariaDB-0+deb12u1"), (10, 11, 19));
        assert_eq!(numbers("5.5.5-10.6.1-MariaDB"), (10, 6, 1));
    }

    #[test]
    fn mariadbs_identity_follows_host_port_and_data() {
        let system = |port: &'static str| {
            system(true, &move |name| match name {
                "port" => port,
                "hostname" => "db1",
                _ => "/var/lib/mysql/",
            })
        };
        assert_eq!(system("3306"), system("3306"));
        assert_ne!(system("3306"), system("3307"));
    }
}
