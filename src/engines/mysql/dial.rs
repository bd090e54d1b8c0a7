//! Getting in: endpoints in order, TLS, who answers, and a session that no default of the server bends.
//!
//! Sources: facts-mysql, findings 3, 8 and 9 and "Algorithms, Connect"; MySQL manual 5.1.8 (system variables),
//! MariaDB knowledge base "Server System Variables".

use std::collections::HashMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, IoError, Opts, OptsBuilder};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::account::{Account, user_of};
use super::render::RevokeWords;
use super::tls::{self, Tls};
use crate::access::{Grantee, ServerIdentity};
use crate::engines::address::{Address, Endpoint};
use crate::engines::{EngineError, Flavour, Kind, password};

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
}

impl Server {
    pub(super) fn is_mariadb(&self) -> bool {
        self.flavour.kind == Kind::Mariadb
    }
}

/// Why one endpoint was not taken.
enum Attempt {
    Unreachable(String),
    Denied(String),
}

/// Tries the endpoints in order; takes the first that answers and can be written to.
pub(super) async fn dial(address: &Address) -> Result<(Conn, Server), EngineError> {
    let secret = password::read(address)
        .await
        .map_err(|why| EngineError::NoPassword {
            address: address.shown(),
            why,
        })?;
    let mut first: Option<EngineError> = None;
    for endpoint in &address.endpoints {
        let attempt = tokio::time::timeout(
            address.connect_timeout,
            try_endpoint(address, endpoint, secret.as_ref()),
        )
        .await
        .unwrap_or_else(|_| {
            Err(Attempt::Unreachable(format!(
                "no answer within {} s",
                address.connect_timeout.as_secs()
            )))
        });
        let error = match attempt {
            Ok(found) => return Ok(found),
            Err(Attempt::Unreachable(why)) => EngineError::Unreachable {
                address: endpoint.to_string(),
                why,
            },
            Err(Attempt::Denied(why)) => EngineError::Denied {
                address: endpoint.to_string(),
                user: address.user.clone(),
                why,
            },
        };
        // A refusal says more than a silence.
        if first.is_none()
            || matches!(
                (&first, &error),
                (
                    Some(EngineError::Unreachable { .. }),
                    EngineError::Denied { .. }
                )
            )
        {
            first = Some(error);
        }
    }
    Err(first.unwrap_or_else(|| EngineError::Unreachable {
        address: address.shown(),
        why: "the address names no host".to_owned(),
    }))
}

async fn try_endpoint(
    address: &Address,
    endpoint: &Endpoint,
    secret: Option<&SecretString>,
) -> Result<(Conn, Server), Attempt> {
    let mut builder = OptsBuilder::default()
        .user(Some(address.user.as_str()))
        .pass(secret.map(|secret| secret.expose_secret().to_owned()))
        .prefer_socket(false)
        .stmt_cache_size(64)
        .connect_attribute("program_name", "jit");
    builder = match endpoint {
        Endpoint::Tcp { host, port } => builder.ip_or_hostname(host.as_str()).tcp_port(*port),
        Endpoint::Socket { path, .. } => builder.socket(Some(path.to_string_lossy().into_owned())),
    };
    let mut conn = match tls::of(address, endpoint).map_err(Attempt::Denied)? {
        Tls::None => Conn::new(Opts::from(builder)).await.map_err(refusal)?,
        Tls::With { options, or_none } => {
            match Conn::new(Opts::from(builder.clone().ssl_opts(options))).await {
                Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if or_none => {
                    Conn::new(Opts::from(builder)).await.map_err(refusal)?
                }
                other => other.map_err(refusal)?,
            }
        }
    };
    let server = prepare(&mut conn, address, endpoint).await?;
    Ok((conn, server))
}

/// The driver's errors without its debug forms, which could show what was sent.
pub(super) fn in_words(error: &Error) -> String {
    match error {
        Error::Io(IoError::Io(error)) => error.to_string(),
        Error::Io(IoError::Tls(error)) => format!("TLS: {error}"),
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
fn refusal(error: Error) -> Attempt {
    let words = in_words(&error);
    match error {
        Error::Server(error) if error.code == 1040 || error.code == 1203 => {
            Attempt::Unreachable(words)
        }
        Error::Server(_) | Error::Driver(_) | Error::Io(IoError::Tls(_)) => Attempt::Denied(words),
        // rustls reports a certificate that does not fit as an I/O error of this kind.
        Error::Io(IoError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            Attempt::Denied(format!("TLS: {words}"))
        }
        _ => Attempt::Unreachable(words),
    }
}

/// Finds out who answers and pins everything that a server's or an account's defaults could bend.
async fn prepare(
    conn: &mut Conn,
    address: &Address,
    endpoint: &Endpoint,
) -> Result<Server, Attempt> {
    let failed = |error: Error| match &error {
        // The password has expired: the server takes nothing but a new one.
        Error::Server(server) if server.code == 1820 => Attempt::Denied(in_words(&error)),
        _ => Attempt::Unreachable(in_words(&error)),
    };
    conn.query_drop("SET NAMES utf8mb4").await.map_err(failed)?;
    let (version, comment, me, user, session): (String, String, String, String, u64) = conn
        .query_first(include_str!("sql/server.sql"))
        .await
        .map_err(failed)?
        .ok_or_else(|| Attempt::Unreachable("it says nothing of itself".to_owned()))?;
    let mariadb = version.contains("MariaDB") || comment.contains("MariaDB");
    let numbers = numbers(&version);
    let least = if mariadb { (10, 6, 0) } else { (8, 0, 0) };
    if numbers < least {
        return Err(Attempt::Denied(format!(
            "it is version {version}; jit needs MySQL 8.0 or MariaDB 10.6, or later"
        )));
    }

    // The server gives up before we do, so that an answer says what became of a statement.
    let ours = address.statement_timeout.as_secs_f64();
    let lock = ((ours / 2.0) as u64).clamp(1, 5);
    let settings = if mariadb {
        conn.exec_drop(
            include_str!("sql/session_mariadb.sql"),
            (lock, lock, ours * 0.8),
        )
    } else {
        conn.exec_drop(
            include_str!("sql/session_mysql.sql"),
            (lock, lock, (ours * 800.0) as u64),
        )
    };
    settings.await.map_err(failed)?;
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
        return Err(Attempt::Unreachable(
            "it is read-only: a replica, or switched so".to_owned(),
        ));
    }
    Ok(Server {
        flavour: Flavour {
            kind: if mariadb { Kind::Mariadb } else { Kind::Mysql },
            version,
        },
        identity: ServerIdentity {
            address: endpoint.to_string(),
            database: String::new(),
            system: system(mariadb, &variable),
        },
        me: Account::from(&Grantee(me)),
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
