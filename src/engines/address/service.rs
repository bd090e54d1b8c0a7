//! libpq's service file: what a URL with `service=NAME` leaves out.
//!
//! The manual's "The Connection Service File". Where it is: `$PGSERVICEFILE`, else `~/.pg_service.conf`; a section
//! that is not there is looked for in `$PGSYSCONFDIR/pg_service.conf`. `PGSERVICE` alone is not followed: where a
//! target leads is said by the settings, not by whose environment it happens to be.

use std::path::{Path, PathBuf};

use super::Dialect;
use super::url::{Parts, endpoint};
use crate::engines::password::private;

/// Debian's and the Red Hat packages' own places; libpq has one of them compiled in.
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql"];

/// Keys that libpq has and that change neither where we end up nor how it is protected.
const OF_NO_CONCERN: [&str; 11] = [
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "gssencmode",
    "options",
    "load_balance_hosts",
];

type Pairs = Vec<(String, String)>;

/// What that section says of the connection, without its password.
pub(super) fn parts(name: &str) -> Result<Parts, String> {
    let (path, pairs) = section(name)?;
    of_pairs(pairs).map_err(|why| format!("service {name} in {}: {why}", path.display()))
}

/// The password of that section, if it holds one.
pub fn password(name: &str) -> Result<Option<secrecy::SecretString>, String> {
    let (path, pairs) = section(name)?;
    let found = pairs.into_iter().find(|(key, _)| key == "password");
    if found.is_some() {
        private::refuse_if_others_read(&path)?;
    }
    Ok(found.map(|(_, value)| value.into()))
}

/// The files that are looked at, in their order.
fn files() -> Vec<PathBuf> {
    let own = std::env::var_os("PGSERVICEFILE")
        .map(PathBuf::from)
        .or_else(|| private::home().map(|home| home.join(".pg_service.conf")));
    let system = match std::env::var_os("PGSYSCONFDIR") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => SYSTEM_FOLDERS.iter().map(PathBuf::from).collect(),
    };
    own.into_iter()
        .chain(
            system
                .into_iter()
                .map(|folder| folder.join("pg_service.conf")),
        )
        .collect()
}

fn section(name: &str) -> Result<(PathBuf, Pairs), String> {
    let files = files();
    for path in &files {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        // Who can write it decides who gets our password.
        private::refuse_if_others_write(path)?;
        if let Some(pairs) = named(&text, name, path)? {
            return Ok((path.clone(), pairs));
        }
    }
    let looked: Vec<String> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Err(format!(
        "there is no service {name}; looked for in {}",
        looked.join(", ")
    ))
}

/// The pairs of one section; `None` where the file has no such section.
fn named(text: &str, name: &str, path: &Path) -> Result<Option<Pairs>, String> {
    let mut found: Option<Pairs> = None;
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if rest.strip_suffix(']').is_some_and(|title| title == name) {
                found = Some(Vec::new());
            }
        } else if let Some(pairs) = &mut found {
            // The line may hold a password, so it is not repeated.
            let (key, value) = line.split_once('=').ok_or_else(|| {
                format!("line {} of {} is no key=value", place + 1, path.display())
            })?;
            pairs.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(found)
}

fn of_pairs(pairs: Pairs) -> Result<Parts, String> {
    let mut parts = Parts::default();
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for (key, value) in pairs {
        match key.as_str() {
            "host" => hosts = value.split(',').map(str::to_owned).collect(),
            "port" => ports = value.split(',').map(str::to_owned).collect(),
            "dbname" => parts.database = Some(value),
            "user" => parts.user = Some(value),
            "password" => {}
            "service" => return Err("a service cannot name another service".to_owned()),
            key if OF_NO_CONCERN.contains(&key) => {}
            key => parts.set(Dialect::Postgres, key, &value)?,
        }
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err("it has not as many ports as hosts".to_owned());
    }
    for (place, host) in hosts.iter().enumerate() {
        let port = ports
            .get(place)
            .or(ports.first())
            .map_or("", String::as_str);
        let port = match port {
            "" => 5432,
            text => text
                .parse()
                .map_err(|_| format!("port {text:?} is not a port"))?,
        };
        // An address of IPv6 stands without brackets here.
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.clone(),
        };
        parts.endpoints.push(endpoint(&host, port)?);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::address::{Endpoint, TlsMode};

    const TEXT: &str = "# ours\n[other]\nhost=no\n\n[shop]\nhost = db1,::1\nport=5433,5434\ndbname=shop\nuser=j\n\
                        password=hunter2\nsslmode=verify-ca\napplication_name=x\n[shop2]\nhost=late\n";

    fn read(text: &str, name: &str) -> Result<Option<Parts>, String> {
        named(text, name, Path::new("/svc"))?
            .map(of_pairs)
            .transpose()
    }

    #[test]
    fn a_section_gives_hosts_database_user_and_protection() {
        let parts = read(TEXT, "shop").unwrap().expect("a section");
        let at = |host: &str, port| Endpoint::Tcp {
            host: host.to_owned(),
            port,
        };
        assert_eq!(parts.endpoints, [at("db1", 5433), at("::1", 5434)]);
        assert_eq!(parts.database.as_deref(), Some("shop"));
        assert_eq!(parts.user.as_deref(), Some("j"));
        assert_eq!(parts.tls, Some(TlsMode::VerifyCa));
        assert!(!format!("{parts:?}").contains("hunter2"));
        assert_eq!(read(TEXT, "sho").unwrap(), None);
    }

    #[test]
    fn what_a_section_says_wrong_is_an_error_that_repeats_no_line() {
        for (text, why) in [
            ("[s]\nhost=a,b\nport=1,2,3\n", "ports"),
            ("[s]\nhost=a\nport=x\n", "port"),
            ("[s]\nservice=t\n", "another service"),
            ("[s]\nsslmode=maybe\n", "sslmode"),
            ("[s]\nrequire_auth=none\n", "require_auth"),
            ("[s]\nhunter2\n", "line 2"),
        ] {
            let error = read(text, "s").unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
