//! Where a target is and how to get in.

use std::path::PathBuf;
use std::time::Duration;

use super::password::PasswordSource;

/// Which protocol the URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Postgres,
    /// MySQL and MariaDB: the server says which.
    Mysql,
}

/// How far the connection is protected, in libpq's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Host and port, or the folder (Postgres) or file (MySQL) of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Tcp { host: String, port: u16 },
    Socket { path: PathBuf, port: u16 },
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Socket { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// Everything needed to connect to one target. Made by `commands` from the settings.
#[derive(Clone, Debug)]
pub struct Address {
    pub dialect: Dialect,
    /// Tried in order; the first that answers and can be written to is taken.
    pub endpoints: Vec<Endpoint>,
    pub user: String,
    /// Postgres: needed. MySQL: the database that unqualified tables mean, never a default database of the session.
    pub database: Option<String>,
    pub password: PasswordSource,
    pub tls: TlsMode,
    /// A PEM file of roots instead of the system's.
    pub root_certificate: Option<PathBuf>,
    /// PEM files of our own certificate and key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Postgres: the NOLOGIN role that holds what we may give. Default `jit_grantor`.
    pub grantor: String,
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    /// Say each statement and its time on standard error (`-v`).
    pub verbose: bool,
}

impl Address {
    /// For messages: the first endpoint, and how many more.
    pub fn shown(&self) -> String {
        match self.endpoints.as_slice() {
            [] => "nowhere".to_owned(),
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first} (or {} more)", rest.len()),
        }
    }

    /// Reads a target's URL: `postgres://user@host:port,host2/db?sslmode=…`, `mysql://user@host/db`.
    ///
    /// Query keys: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `connect_timeout`, `host` (socket folder),
    /// `socket`. Without `sslmode`, TLS is `verify-full`, except for sockets and loopback, where it is `prefer`.
    ///
    /// # Errors
    /// A sentence that names the part at fault, never the whole URL: a password in it is refused and not shown.
    pub fn parse(url: &str) -> Result<Self, String> {
        parse(url)
    }
}

fn parse(url: &str) -> Result<Address, String> {
    let (scheme, rest) = url.split_once("://").ok_or(
        "the url has no scheme; write postgres://user@host/database or mysql://user@host/database",
    )?;
    let dialect = match scheme {
        "postgres" | "postgresql" => Dialect::Postgres,
        "mysql" | "mariadb" => Dialect::Mysql,
        other => {
            return Err(format!(
                "the url's scheme {other:?} is neither postgres nor mysql"
            ));
        }
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority
        .rsplit_once('@')
        .ok_or("the url names no user; write postgres://user@host/database")?;
    if user.contains(':') {
        return Err(
            "the url holds a password; take it out and give it by `password:` (file, env, command, credential)"
                .to_owned(),
        );
    }
    let user = decoded(user, "user")?;
    if user.is_empty() {
        return Err("the url names no user".to_owned());
    }
    let database = decoded(database, "database")?;
    let default_port = match dialect {
        Dialect::Postgres => 5432,
        Dialect::Mysql => 3306,
    };

    let mut socket: Option<PathBuf> = None;
    let mut tls = None;
    let mut root_certificate = None;
    let (mut certificate, mut key) = (None, None);
    let mut connect_timeout = Duration::from_secs(5);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value, name)?;
        match name {
            "sslmode" => {
                tls = Some(match value.as_str() {
                    "disable" => TlsMode::Disable,
                    "prefer" => TlsMode::Prefer,
                    "require" => TlsMode::Require,
                    "verify-ca" => TlsMode::VerifyCa,
                    "verify-full" => TlsMode::VerifyFull,
                    _ => {
                        return Err(format!(
                            "sslmode {value:?} is none of disable, prefer, require, verify-ca, verify-full"
                        ));
                    }
                });
            }
            "sslrootcert" => root_certificate = Some(PathBuf::from(value)),
            "sslcert" => certificate = Some(PathBuf::from(value)),
            "sslkey" => key = Some(PathBuf::from(value)),
            "connect_timeout" => {
                let secs: u64 = value
                    .parse()
                    .map_err(|_| format!("connect_timeout {value:?} is not a number of seconds"))?;
                connect_timeout = Duration::from_secs(secs.clamp(1, 300));
            }
            "host" | "socket" if value.starts_with('/') => socket = Some(PathBuf::from(value)),
            "password" => {
                return Err(
                    "the url holds a password; take it out and give it by `password:`".to_owned(),
                );
            }
            other => return Err(format!("the url's key {other:?} is not known")),
        }
    }

    let mut endpoints = Vec::new();
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        endpoints.push(endpoint(host, default_port)?);
    }
    if let Some(path) = socket {
        let port = match endpoints.first() {
            Some(Endpoint::Tcp { port, .. } | Endpoint::Socket { port, .. }) => *port,
            None => default_port,
        };
        endpoints = vec![Endpoint::Socket { path, port }];
    }
    if endpoints.is_empty() {
        return Err("the url names no host".to_owned());
    }
    if dialect == Dialect::Postgres && database.is_empty() {
        return Err("the url names no database; write postgres://user@host/database".to_owned());
    }
    let client_certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("sslcert and sslkey go together".to_owned()),
    };
    let local = endpoints.iter().all(is_local);
    Ok(Address {
        dialect,
        endpoints,
        user,
        database: (!database.is_empty()).then_some(database),
        password: PasswordSource::Default,
        tls: tls.unwrap_or(if local {
            TlsMode::Prefer
        } else {
            TlsMode::VerifyFull
        }),
        root_certificate,
        client_certificate,
        grantor: "jit_grantor".to_owned(),
        connect_timeout,
        statement_timeout: Duration::from_secs(10),
        verbose: false,
    })
}

fn endpoint(host: &str, default_port: u16) -> Result<Endpoint, String> {
    let (host, port) = if let Some(inner) = host.strip_prefix('[') {
        let (address, rest) = inner.split_once(']').ok_or_else(|| {
            format!("the url's host {host:?} opens a bracket and never closes it")
        })?;
        (address.to_owned(), rest.strip_prefix(':'))
    } else {
        match host.rsplit_once(':') {
            Some((name, port)) => (decoded(name, "host")?, Some(port)),
            None => (decoded(host, "host")?, None),
        }
    };
    let port = match port {
        None => default_port,
        Some(text) => text
            .parse()
            .map_err(|_| format!("the url's port {text:?} is not a port"))?,
    };
    if host.starts_with('/') {
        return Ok(Endpoint::Socket {
            path: PathBuf::from(host),
            port,
        });
    }
    Ok(Endpoint::Tcp { host, port })
}

fn is_local(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Socket { .. } => true,
        Endpoint::Tcp { host, .. } => {
            host == "localhost"
                || host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
}

/// Percent-decoding of one part.
fn decoded(text: &str, part: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let pair = [rest.next().unwrap_or(b' '), rest.next().unwrap_or(b' ')];
        let value = std::str::from_utf8(&pair)
            .ok()
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or_else(|| {
                format!("the url's {part} has a \"%\" that two hexadecimal digits do not follow")
            })?;
        bytes.push(value);
    }
    String::from_utf8(bytes).map_err(|_| format!("the url's {part} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_settings_of_the_contract() {
        let address = Address::parse("postgres://jit_admin@db1/shop?sslmode=verify-full").unwrap();
        assert_eq!(address.user, "jit_admin");
        assert_eq!(address.shown(), "db1:5432");
        assert_eq!(address.tls, TlsMode::VerifyFull);
        let address = Address::parse("mysql://jit_admin@127.0.0.1:3307/billing").unwrap();
        assert_eq!(address.tls, TlsMode::Prefer);
        assert_eq!(address.database.as_deref(), Some("billing"));
        let address = Address::parse("postgres://j@%2Fvar%2Frun%2Fpostgresql/shop").unwrap();
        assert_eq!(address.shown(), "/var/run/postgresql");
        let address = Address::parse("postgres://j@a:1,[::1]:2/shop").unwrap();
        assert_eq!(address.endpoints.len(), 2);
        assert_eq!(address.tls, TlsMode::VerifyFull);
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let error = Address::parse("postgres://j:hunter2@db/shop").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
        let error = Address::parse("postgres://j@db/shop?password=hunter2").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (url, why) in [
            ("db/shop", "scheme"),
            ("oracle://j@db/shop", "neither"),
            ("postgres://db/shop", "user"),
            ("postgres://j@db", "database"),
            ("postgres://j@/shop", "host"),
            ("postgres://j@db:x/shop", "port"),
            ("postgres://j@db/shop?sslmode=yes", "sslmode"),
            ("postgres://j@db/shop?speed=fast", "not known"),
            ("postgres://j@db/sh%op", "hexadecimal"),
        ] {
            assert!(Address::parse(url).unwrap_err().contains(why), "{url}");
        }
    }
}
