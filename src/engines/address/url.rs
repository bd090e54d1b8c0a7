//! A target's URL, read part by part.

use std::path::PathBuf;
use std::time::Duration;

use super::{Address, ChannelBinding, Dialect, Endpoint, TlsMode, service};
use crate::engines::password::{self, PasswordSource};

/// What a URL or a section of the service file says; what it leaves out is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub endpoints: Vec<Endpoint>,
    pub user: Option<String>,
    pub database: Option<String>,
    pub tls: Option<TlsMode>,
    pub roots: Option<Roots>,
    pub revocation_list: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub channel_binding: Option<ChannelBinding>,
    pub connect_timeout: Option<Duration>,
    pub statement_timeout: Option<Duration>,
    pub service: Option<String>,
}

/// What `sslrootcert` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    File(PathBuf),
    /// The operating system's, by libpq's word `system`.
    System,
}

/// The keys of a URL's query, for the error that names the nearest one.
const KEYS: [&str; 12] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "channel_binding",
    "connect_timeout",
    "statement_timeout",
    "target_session_attrs",
    "service",
    "host",
    "socket",
];

pub(super) fn parse(url: &str) -> Result<Address, String> {
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
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (user, hosts),
        None => ("", authority),
    };
    if user.contains(':') {
        return Err(
            "the url holds a password; take it out and give it by `password:` (file, env, command, credential)"
                .to_owned(),
        );
    }
    let user = decoded(user, "user")?;
    let database = decoded(database, "database")?;
    let mut parts = Parts {
        user: (!user.is_empty()).then_some(user),
        database: (!database.is_empty()).then_some(database),
        ..Parts::default()
    };
    let port = default_port(dialect);
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        parts.endpoints.push(endpoint(host, port)?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value, name)?;
        match name {
            "host" | "socket" if value.starts_with('/') => {
                let port = match parts.endpoints.first() {
                    Some(Endpoint::Tcp { port, .. } | Endpoint::Socket { port, .. }) => *port,
                    None => port,
                };
                let path = PathBuf::from(value);
                parts.endpoints = vec![Endpoint::Socket { path, port }];
            }
            "host" | "socket" => {
                return Err(format!(
                    "the url's {name} is the whole path of a Unix socket; a host's name goes before the database"
                ));
            }
            _ => parts.set(dialect, name, &value)?,
        }
    }
    finished(dialect, parts)
}

fn default_port(dialect: Dialect) -> u16 {
    match dialect {
        Dialect::Postgres => 5432,
        Dialect::Mysql => 3306,
    }
}

impl Parts {
    /// One key of a URL's query; the service file knows the same ones.
    pub(super) fn set(&mut self, dialect: Dialect, name: &str, value: &str) -> Result<(), String> {
        let mysql = dialect == Dialect::Mysql;
        match name {
            "sslmode" => self.tls = Some(tls_mode(name, value, false)?),
            "ssl-mode" if mysql => self.tls = Some(tls_mode(name, value, true)?),
            "sslrootcert" if value == "system" => self.roots = Some(Roots::System),
            "sslrootcert" => self.roots = Some(Roots::File(file(name, value)?)),
            "ssl-ca" if mysql => self.roots = Some(Roots::File(file(name, value)?)),
            "sslcrl" => self.revocation_list = Some(file(name, value)?),
            "ssl-crl" if mysql => self.revocation_list = Some(file(name, value)?),
            "sslcert" => self.certificate = Some(file(name, value)?),
            "ssl-cert" if mysql => self.certificate = Some(file(name, value)?),
            "sslkey" => self.key = Some(file(name, value)?),
            "ssl-key" if mysql => self.key = Some(file(name, value)?),
            "channel_binding" if mysql => {
                return Err(
                    "channel_binding is Postgres's; on MySQL use sslmode=verify-full".into(),
                );
            }
            "channel_binding" => {
                self.channel_binding = Some(match value {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => {
                        return Err(format!(
                            "channel_binding {value:?} is none of disable, prefer, require"
                        ));
                    }
                });
            }
            "connect_timeout" => self.connect_timeout = Some(seconds(name, value, true)?),
            "statement_timeout" => self.statement_timeout = Some(seconds(name, value, false)?),
            "target_session_attrs" if matches!(value, "read-write" | "primary") => {}
            "target_session_attrs" => {
                return Err(format!(
                    "target_session_attrs={value} cannot be served: GRANT needs a host that can be written, and the \
                     first such one of the url is taken; leave it out"
                ));
            }
            "service" if mysql => {
                return Err("service= is Postgres's; write host and user into the url".into());
            }
            "service" if value.is_empty() => return Err("the url's service has no name".into()),
            "service" => self.service = Some(value.to_owned()),
            "password" | "sslpassword" | "passwd" | "pwd" => {
                return Err(
                    "the url holds a password; take it out and give it by `password:`".to_owned(),
                );
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    /// What is said here, and where nothing is, what the other says.
    fn or(self, other: Self) -> Self {
        Self {
            endpoints: match self.endpoints.is_empty() {
                true => other.endpoints,
                false => self.endpoints,
            },
            user: self.user.or(other.user),
            database: self.database.or(other.database),
            tls: self.tls.or(other.tls),
            roots: self.roots.or(other.roots),
            revocation_list: self.revocation_list.or(other.revocation_list),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
            channel_binding: self.channel_binding.or(other.channel_binding),
            connect_timeout: self.connect_timeout.or(other.connect_timeout),
            statement_timeout: self.statement_timeout.or(other.statement_timeout),
            service: self.service.or(other.service),
        }
    }
}

/// A key that is none of ours: drivers have many words for TLS, and each of them is led to the one.
fn unknown(key: &str) -> String {
    const OF_TLS: [&str; 9] = [
        "ssl",
        "tls",
        "usessl",
        "requiressl",
        "require_ssl",
        "verifyservercertificate",
        "sslaccept",
        "ssl_mode",
        "ssl-verify-server-cert",
    ];
    if OF_TLS.contains(&key.to_lowercase().as_str()) {
        return format!(
            "the url's key {key:?} is not known; TLS is set by \
             sslmode=disable|prefer|require|verify-ca|verify-full"
        );
    }
    let plain = key.to_lowercase().replace(['-', '_'], "");
    let near = KEYS
        .iter()
        .map(|known| (strsim::levenshtein(&known.replace('_', ""), &plain), known))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    match near {
        Some((_, known)) => format!("the url's key {key:?} is not known; did you mean {known}?"),
        None => format!(
            "the url's key {key:?} is not known; known are {}",
            KEYS.join(", ")
        ),
    }
}

fn tls_mode(name: &str, value: &str, mysqls: bool) -> Result<TlsMode, String> {
    let known = [
        ("DISABLED", TlsMode::Disable),
        ("PREFERRED", TlsMode::Prefer),
        ("REQUIRED", TlsMode::Require),
        ("VERIFY_CA", TlsMode::VerifyCa),
        ("VERIFY_IDENTITY", TlsMode::VerifyFull),
    ];
    known
        .into_iter()
        .find(|(mysql, mode)| match mysqls {
            true => mysql.eq_ignore_ascii_case(value),
            false => mode.word() == value,
        })
        .map(|(_, mode)| mode)
        .ok_or_else(|| {
            let words = known.map(|(mysql, mode)| if mysqls { mysql } else { mode.word() });
            format!("{name} {value:?} is none of {}", words.join(", "))
        })
}

fn file(name: &str, value: &str) -> Result<PathBuf, String> {
    match value.is_empty() {
        true => Err(format!("the url's {name} names no file")),
        false => Ok(PathBuf::from(value)),
    }
}

/// 1 s to 300 s. A bare number is seconds for libpq's `connect_timeout`; for `statement_timeout` servers would read
/// it as milliseconds, so there the unit must be said.
fn seconds(name: &str, value: &str, bare: bool) -> Result<Duration, String> {
    let asked = match value.parse::<u64>() {
        Ok(number) if bare => Duration::from_secs(number),
        Ok(number) => {
            return Err(format!("{name} needs a unit: {name}={number}s"));
        }
        Err(_) => humantime::parse_duration(value)
            .map_err(|_| format!("{name} {value:?} is no length of time, like 10s"))?,
    };
    match (1..=300).contains(&asked.as_secs()) {
        true => Ok(asked),
        false => Err(format!("{name} {value:?} is not within 1s and 300s")),
    }
}

/// Puts defaults where nothing is said, and refuses what contradicts itself.
fn finished(dialect: Dialect, url: Parts) -> Result<Address, String> {
    let mut unresolved = None;
    let mut parts = url;
    if let Some(name) = parts.service.clone() {
        match service::parts(&name) {
            Ok(more) => parts = parts.or(more),
            Err(why) => unresolved = Some(why),
        }
    }
    let known = unresolved.is_none();
    if known && parts.endpoints.is_empty() {
        return Err("the url names no host".to_owned());
    }
    if known && dialect == Dialect::Postgres && parts.database.is_none() {
        return Err("the url names no database; write postgres://user@host/database".to_owned());
    }
    let user = match (parts.user, dialect) {
        (Some(user), _) => user,
        (None, Dialect::Postgres) if known => {
            return Err("the url names no user; write postgres://user@host/database".to_owned());
        }
        (None, Dialect::Postgres) => String::new(),
        (None, Dialect::Mysql) => match password::option_files_user() {
            Ok(user) => user,
            Err(why) => {
                unresolved = Some(why);
                String::new()
            }
        },
    };
    let client_certificate = match (parts.certificate, parts.key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("sslcert and sslkey go together".to_owned()),
    };
    let local = parts.endpoints.iter().all(Endpoint::is_local);
    let asks_to_verify = parts.roots.is_some() || parts.revocation_list.is_some();
    let tls = parts.tls.unwrap_or(match local && !asks_to_verify {
        true => TlsMode::Prefer,
        false => TlsMode::VerifyFull,
    });
    if asks_to_verify && !tls.verifies() {
        return Err(format!(
            "sslmode={} does not look at the server's certificate, so sslrootcert and sslcrl would mean nothing; use \
             verify-full or verify-ca",
            tls.word()
        ));
    }
    // As libpq: anybody can have a certificate that one of the system's roots has signed.
    if parts.roots == Some(Roots::System) && tls != TlsMode::VerifyFull {
        return Err("sslrootcert=system goes with sslmode=verify-full only".to_owned());
    }
    if client_certificate.is_some() && tls == TlsMode::Disable {
        return Err("sslmode=disable sends no client certificate; leave sslcert out".to_owned());
    }
    let channel_binding = parts.channel_binding.unwrap_or(ChannelBinding::Prefer);
    if channel_binding == ChannelBinding::Require
        && matches!(tls, TlsMode::Disable | TlsMode::Prefer)
    {
        return Err(
            "channel_binding=require needs TLS: use it with sslmode=require, verify-ca or verify-full"
                .to_owned(),
        );
    }
    Ok(Address {
        dialect,
        endpoints: parts.endpoints,
        user,
        database: parts.database,
        password: PasswordSource::Default,
        typed: None,
        tls,
        root_certificate: match parts.roots {
            Some(Roots::File(path)) => Some(path),
            Some(Roots::System) | None => None,
        },
        revocation_list: parts.revocation_list,
        client_certificate,
        channel_binding,
        service: parts.service,
        unresolved,
        grantor: "jit_grantor".to_owned(),
        connect_timeout: parts.connect_timeout.unwrap_or(Duration::from_secs(5)),
        statement_timeout: parts.statement_timeout.unwrap_or(Duration::from_secs(10)),
        verbose: false,
    })
}

/// `host`, `host:port`, `[::1]:port`, or the encoded path of a Unix socket.
pub(super) fn endpoint(host: &str, default_port: u16) -> Result<Endpoint, String> {
    let (host, port) = if let Some(inner) = host.strip_prefix('[') {
        let (address, rest) = inner.split_once(']').ok_or_else(|| {
            format!("the url's host {host:?} opens a bracket and never closes it")
        })?;
        let port = match rest.strip_prefix(':') {
            None if !rest.is_empty() => {
                return Err(format!(
                    "the url's host {host:?} goes on behind its bracket"
                ));
            }
            port => port,
        };
        (address.to_owned(), port)
    } else if host.matches(':').count() > 1 {
        return Err(format!(
            "the url's host {host:?} looks like an IPv6 address; write it in brackets: [::1]:5432"
        ));
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
    if host.is_empty() {
        return Err("the url names a port without a host".to_owned());
    }
    if host.starts_with('/') {
        return Ok(Endpoint::Socket {
            path: PathBuf::from(host),
            port,
        });
    }
    Ok(Endpoint::Tcp { host, port })
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
            .filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
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
        let address = parse("postgres://jit_admin@db1/shop?sslmode=verify-full").unwrap();
        assert_eq!(address.user, "jit_admin");
        assert_eq!(address.shown(), "db1:5432");
        assert_eq!(address.tls, TlsMode::VerifyFull);
        let address = parse("mysql://jit_admin@127.0.0.1:3307/billing").unwrap();
        assert_eq!(address.tls, TlsMode::Prefer);
        assert_eq!(address.database.as_deref(), Some("billing"));
        let address = parse("postgres://j@%2Fvar%2Frun%2Fpostgresql/shop").unwrap();
        assert_eq!(address.shown(), "/var/run/postgresql");
        let address = parse("postgres://j@a:1,[::1]:2/shop").unwrap();
        assert_eq!(address.endpoints.len(), 2);
        assert_eq!(address.tls, TlsMode::VerifyFull);
    }

    #[test]
    fn the_words_are_the_same_on_both_engines() {
        let query = "sslmode=verify-ca&sslrootcert=/ca&sslcrl=/crl&sslcert=/c&sslkey=/k&connect_timeout=7\
                     &statement_timeout=20s&target_session_attrs=read-write";
        for scheme in ["postgres", "mysql"] {
            let address = parse(&format!("{scheme}://j@db,db2:99/shop?{query}")).unwrap();
            assert_eq!(address.tls, TlsMode::VerifyCa);
            assert_eq!(address.root_certificate, Some("/ca".into()));
            assert_eq!(address.revocation_list, Some("/crl".into()));
            assert_eq!(address.client_certificate, Some(("/c".into(), "/k".into())));
            assert_eq!(address.connect_timeout, Duration::from_secs(7));
            assert_eq!(address.statement_timeout, Duration::from_secs(20));
        }
    }

    #[test]
    fn mysqls_own_words_mean_the_same_on_mysql_and_nothing_on_postgres() {
        let query = "ssl-mode=verify_identity&ssl-ca=/ca&ssl-crl=/crl&ssl-cert=/c&ssl-key=/k";
        let address = parse(&format!("mysql://j@db/shop?{query}")).unwrap();
        assert_eq!(address.tls, TlsMode::VerifyFull);
        assert_eq!(address.root_certificate, Some("/ca".into()));
        assert_eq!(address.client_certificate, Some(("/c".into(), "/k".into())));
        for pair in query.split('&') {
            let error = parse(&format!("postgres://j@db/shop?{pair}")).unwrap_err();
            assert!(error.contains("did you mean ssl"), "{error}");
        }
        for (words, ours) in [
            ("useSSL=true", "sslmode="),
            ("ssl_mode=REQUIRED", "sslmode="),
            ("sslmode=REQUIRED", "verify-full"),
            ("ssl-mode=require", "VERIFY_IDENTITY"),
            ("sslrootcrt=/ca", "sslrootcert"),
        ] {
            let error = parse(&format!("mysql://j@db/shop?{words}")).unwrap_err();
            assert!(error.contains(ours), "{error}");
        }
    }

    #[test]
    fn what_asks_to_verify_is_verified_and_never_silently_without_effect() {
        let tls = |url: &str| parse(url).map(|address| address.tls);
        assert_eq!(tls("mysql://j@db/"), Ok(TlsMode::VerifyFull));
        assert_eq!(tls("mysql://j@[::1]/"), Ok(TlsMode::Prefer));
        assert_eq!(
            tls("mysql://j@127.0.0.1/?sslrootcert=/ca"),
            Ok(TlsMode::VerifyFull)
        );
        assert_eq!(
            tls("postgres://j@localhost/d?sslrootcert=system"),
            Ok(TlsMode::VerifyFull)
        );
        for (query, why) in [
            ("sslmode=require&sslrootcert=/ca", "mean nothing"),
            ("sslmode=prefer&sslcrl=/crl", "mean nothing"),
            ("sslmode=verify-ca&sslrootcert=system", "verify-full only"),
            ("sslmode=disable&sslcert=/c&sslkey=/k", "leave sslcert out"),
            ("sslcert=/c", "go together"),
            ("sslmode=disable&channel_binding=require", "needs TLS"),
        ] {
            let error = parse(&format!("postgres://j@db/shop?{query}")).unwrap_err();
            assert!(error.contains(why), "{query}: {error}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for url in [
            "postgres://j:hunter2@db/shop",
            "postgres://j@db/shop?password=hunter2",
            "postgres://j@db/shop?sslpassword=hunter2",
            "mysql://j@db/shop?pwd=hunter2",
        ] {
            let error = parse(url).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("password"), "{error}");
        }
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (url, why) in [
            ("db/shop", "scheme"),
            ("oracle://j@db/shop", "neither"),
            ("postgres://db/shop", "user"),
            ("postgres://j@db", "database"),
            ("postgres://j@/shop", "host"),
            ("postgres://j@:5432/shop", "host"),
            ("postgres://j@db:x/shop", "port"),
            ("postgres://j@::1/shop", "brackets"),
            ("postgres://j@[::1]5432/shop", "behind"),
            ("postgres://j@db/shop?sslmode=yes", "sslmode"),
            ("postgres://j@db/shop?speed=fast", "not known"),
            ("postgres://j@db/shop?host=db2", "whole path"),
            ("postgres://j@db/sh%op", "hexadecimal"),
            ("postgres://j@db/sh%+1op", "hexadecimal"),
            ("postgres://j@db/shop?connect_timeout=0", "within"),
            ("postgres://j@db/shop?statement_timeout=1000", "1000s"),
            ("postgres://j@db/shop?target_session_attrs=any", "written"),
            ("mysql://j@db/shop?service=x", "Postgres"),
            ("mysql://j@db/shop?channel_binding=require", "verify-full"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
