//! Where a target is and how to get in.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::password::{self, PasswordSource};

pub(super) mod service;
mod url;

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

impl TlsMode {
    /// As the URL writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Whether the server's certificate is looked at.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

/// Whether SCRAM is bound to the TLS connection, in libpq's words. Postgres only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// Host and port, or the folder (Postgres) or file (MySQL) of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Tcp { host: String, port: u16 },
    Socket { path: PathBuf, port: u16 },
}

impl Endpoint {
    /// Whether what is sent there stays on this machine: a Unix socket, `localhost`, or a loopback address.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Socket { .. } => true,
            Self::Tcp { host, .. } => {
                host == "localhost"
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }
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
    /// What a person typed when asked, for this one run; it stands before `password`.
    pub typed: Option<SecretString>,
    pub tls: TlsMode,
    /// A PEM file of roots instead of the system's.
    pub root_certificate: Option<PathBuf>,
    /// A PEM file of certificates that their issuers have called back.
    pub revocation_list: Option<PathBuf>,
    /// PEM files of our own certificate and key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    pub channel_binding: ChannelBinding,
    /// Postgres: the section of the service file that gives what the URL leaves out.
    pub service: Option<String>,
    /// Why the service, or the user that the URL leaves out, could not be had. Whoever connects is told; whoever
    /// only reads the settings may have no access to those files and needs none.
    pub unresolved: Option<String>,
    /// Postgres: the NOLOGIN role that holds what we may give. Default `jit_grantor`.
    pub grantor: String,
    /// For each host.
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    /// Say each statement and its time on standard error (`-v`).
    pub verbose: bool,
}

impl Address {
    /// For messages: the first endpoint, and how many more.
    pub fn shown(&self) -> String {
        match self.endpoints.as_slice() {
            [] => match &self.service {
                Some(service) => format!("service {service}"),
                None => "nowhere".to_owned(),
            },
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first} (or {} more)", rest.len()),
        }
    }

    /// Whether a password for the first host is at hand, as far as can be told without running a command.
    pub fn knows_password(&self) -> bool {
        self.typed.is_some() || password::is_at_hand(self)
    }

    /// Reads a target's URL: `postgres://user@host:port,host2/db?sslmode=…`, `mysql://user@host/db`.
    ///
    /// docs/settings.md lists the query's keys: libpq's words on both engines, and MySQL's own where they mean the
    /// same. Without `sslmode`, TLS is `verify-full`, except for sockets and loopback, where it is `prefer`; naming a
    /// root certificate asks for `verify-full` too. Reads the service file where `service=` names a section of it,
    /// and `~/.my.cnf` where a MySQL URL names no user; what fails there is `unresolved`, not an error.
    ///
    /// # Errors
    /// A sentence that names the part at fault, never the whole URL: a password in it is refused and not shown.
    pub fn parse(url: &str) -> Result<Self, String> {
        url::parse(url)
    }
}
