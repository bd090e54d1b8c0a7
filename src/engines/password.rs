//! Where a password comes from. It is read anew for each connection and never leaves this room in words.

use std::path::PathBuf;
use std::process::Stdio;

use secrecy::SecretString;

use super::address::{Address, Dialect, Endpoint};

/// The `password:` key of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// Not set: the client's own habits — PGPASSWORD, then ~/.pgpass; or `[client]` of ~/.my.cnf; or none at all.
    Default,
    File(PathBuf),
    Env(String),
    /// A program and its arguments; the first line that it prints is the password.
    Command(Vec<String>),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Reads the password for the first endpoint, if there is one. The error says what failed, never what was read.
pub async fn read(address: &Address) -> Result<Option<SecretString>, String> {
    match address.endpoints.first() {
        Some(endpoint) => read_for(address, endpoint).await,
        None => Err("the address names no endpoint".to_owned()),
    }
}

/// Reads the password for one endpoint: a password file may know another for each.
pub async fn read_for(
    address: &Address,
    endpoint: &Endpoint,
) -> Result<Option<SecretString>, String> {
    match &address.password {
        PasswordSource::Default => default(address, endpoint),
        PasswordSource::File(path) => read_file(path).map(Some),
        PasswordSource::Env(name) => match std::env::var(name) {
            Ok(value) => Ok(Some(value.into())),
            Err(_) => Err(format!("the variable {name} is not set, or is not UTF-8")),
        },
        PasswordSource::Credential(name) => {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(
                "CREDENTIALS_DIRECTORY is not set: run it as a systemd service with LoadCredential=",
            )?;
            read_file(&PathBuf::from(folder).join(name)).map(Some)
        }
        PasswordSource::Command(words) => run(words, address.connect_timeout).await.map(Some),
    }
}

fn read_file(path: &std::path::Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(first_line(&text).into())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").to_owned()
}

async fn run(words: &[String], limit: std::time::Duration) -> Result<SecretString, String> {
    let (program, arguments) = words.split_first().ok_or("the command is empty")?;
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(limit, child)
        .await
        .map_err(|_| format!("{program} took longer than {} s", limit.as_secs()))?
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} ended with {}", output.status));
    }
    let text =
        String::from_utf8(output.stdout).map_err(|_| format!("{program} printed no UTF-8"))?;
    Ok(first_line(&text).into())
}

fn default(address: &Address, endpoint: &Endpoint) -> Result<Option<SecretString>, String> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match address.dialect {
        Dialect::Postgres => {
            if let Ok(password) = std::env::var("PGPASSWORD") {
                return Ok(Some(password.into()));
            }
            let path = std::env::var_os("PGPASSFILE")
                .map(PathBuf::from)
                .or_else(|| home.map(|home| home.join(".pgpass")));
            match path {
                Some(path) => pgpass_file(&path, address, endpoint),
                None => Ok(None),
            }
        }
        Dialect::Mysql => Ok(home
            .and_then(|home| std::fs::read_to_string(home.join(".my.cnf")).ok())
            .and_then(|text| my_cnf(&text))),
    }
}

/// libpq passes over a password file that others can read; passing over it in silence would be a riddle.
fn pgpass_file(
    path: &std::path::Path,
    address: &Address,
    endpoint: &Endpoint,
) -> Result<Option<SecretString>, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(None);
    };
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "{} can be read by others; run: chmod 600 {0}",
            path.display()
        ));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(pgpass(&text, address, endpoint))
}

/// `host:port:database:user:password`, with `*` for any and `\` before `:` and `\` (the manual's "The Password
/// File"). A socket's folder is named as it is, or as `localhost`.
fn pgpass(text: &str, address: &Address, endpoint: &Endpoint) -> Option<SecretString> {
    let (hosts, port) = match endpoint {
        Endpoint::Tcp { host, port } => (vec![host.clone()], *port),
        Endpoint::Socket { path, port } => (
            vec![path.display().to_string(), "localhost".to_owned()],
            *port,
        ),
    };
    let rest = [
        port.to_string(),
        address.database.clone().unwrap_or_default(),
        address.user.clone(),
    ];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let fields = pgpass_fields(line);
            let [host, others @ .., password] = &fields[..] else {
                return None;
            };
            let fits = others.len() == rest.len()
                && (host == "*" || hosts.contains(host))
                && others
                    .iter()
                    .zip(&rest)
                    .all(|(field, wanted)| field == "*" || field == wanted);
            fits.then(|| password.clone().into())
        })
}

/// The first five fields; as in libpq, what follows another colon is no part of the password.
fn pgpass_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let next = match letter {
            ':' if fields.len() == 5 => break,
            ':' => {
                fields.push(String::new());
                continue;
            }
            '\\' => letters.next(),
            letter => Some(letter),
        };
        if let Some(last) = fields.last_mut() {
            last.extend(next);
        }
    }
    fields
}

/// `password` of the `[client]` group.
fn my_cnf(text: &str) -> Option<SecretString> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[client]";
        } else if inside
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "password"
        {
            let value = value.trim();
            let bare = value
                .strip_prefix('"')
                .and_then(|v| v.strip_suffix('"'))
                .or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')))
                .unwrap_or(value);
            found = Some(bare.to_owned().into());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn pgpass_takes_the_first_line_that_fits_the_endpoint() {
        let address = Address::parse("postgres://j@db:5433,db2/shop").unwrap();
        let text = "# c\nother:*:*:*:no\ndb:5433:shop:j:a\\:b\\\\:rest\ndb2:5432:shop:j:two\n*:*:*:*:late\n";
        let of = |place: usize| pgpass(text, &address, &address.endpoints[place]).unwrap();
        assert_eq!(of(0).expose_secret(), "a:b\\");
        assert_eq!(of(1).expose_secret(), "two");
        let socket = Address::parse("postgres://j@%2Frun%2Fpg/shop").unwrap();
        let read = |text: &str| {
            pgpass(text, &socket, &socket.endpoints[0]).map(|p| p.expose_secret().to_owned())
        };
        assert_eq!(read("/run/pg:*:*:j:x").as_deref(), Some("x"));
        assert_eq!(read("localhost:*:*:j:x").as_deref(), Some("x"));
        assert_eq!(read("db:*:*:j:x"), None);
        assert_eq!(read("*:*:*:j"), None);
    }

    #[test]
    fn a_password_file_that_others_can_read_is_refused_and_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let address = Address::parse("postgres://j@db/shop").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        std::fs::write(&path, "*:*:*:*:hunter2").unwrap();
        let read = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            pgpass_file(&path, &address, &address.endpoints[0])
        };
        assert!(read(0o600).unwrap().is_some());
        let error = read(0o640).unwrap_err();
        assert!(
            error.contains("chmod") && !error.contains("hunter2"),
            "{error}"
        );
        assert!(
            pgpass_file(&folder.path().join("none"), &address, &address.endpoints[0])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn my_cnf_reads_the_client_group_only() {
        let text = "[mysqld]\npassword=no\n[client]\nuser=x\npassword = \"yes=1\"\n";
        assert_eq!(my_cnf(text).unwrap().expose_secret(), "yes=1");
    }
}
