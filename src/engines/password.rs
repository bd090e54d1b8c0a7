//! Where a password comes from. It is read anew for each connection and never leaves this room in words.

use std::path::PathBuf;
use std::process::Stdio;

use secrecy::SecretString;

use super::address::{Address, Dialect};

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

/// Reads the password, if there is one. The error says what failed, never what was read.
pub async fn read(address: &Address) -> Result<Option<SecretString>, String> {
    match &address.password {
        PasswordSource::Default => Ok(default(address)),
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

fn default(address: &Address) -> Option<SecretString> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match address.dialect {
        Dialect::Postgres => std::env::var("PGPASSWORD")
            .ok()
            .map(Into::into)
            .or_else(|| {
                let path = std::env::var_os("PGPASSFILE")
                    .map(PathBuf::from)
                    .or_else(|| home.map(|home| home.join(".pgpass")))?;
                pgpass(&std::fs::read_to_string(path).ok()?, address)
            }),
        Dialect::Mysql => my_cnf(&std::fs::read_to_string(home?.join(".my.cnf")).ok()?),
    }
}

/// `host:port:database:user:password`, with `*` for any and `\` before `:` and `\`.
fn pgpass(text: &str, address: &Address) -> Option<SecretString> {
    let (host, port) = match address.endpoints.first()? {
        super::address::Endpoint::Tcp { host, port } => (host.clone(), *port),
        super::address::Endpoint::Socket { port, .. } => ("localhost".to_owned(), *port),
    };
    let wanted = [
        host,
        port.to_string(),
        address.database.clone().unwrap_or_default(),
        address.user.clone(),
    ];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut fields = vec![String::new()];
            let mut letters = line.chars();
            while let Some(c) = letters.next() {
                if c == ':' && fields.len() < 5 {
                    fields.push(String::new());
                    continue;
                }
                let last = fields.last_mut()?;
                match c {
                    '\\' => last.extend(letters.next()),
                    c => last.push(c),
                }
            }
            let fits = fields.len() == 5
                && wanted
                    .iter()
                    .zip(&fields)
                    .all(|(wanted, field)| field == "*" || field == wanted);
            fits.then(|| fields[4].clone().into())
        })
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
    fn pgpass_takes_the_first_line_that_fits() {
        let address = Address::parse("postgres://j@db:5433/shop").unwrap();
        let text = "# c\nother:*:*:*:no\ndb:5433:shop:j:a\\:b\n*:*:*:*:late\n";
        assert_eq!(pgpass(text, &address).unwrap().expose_secret(), "a:b");
    }

    #[test]
    fn my_cnf_reads_the_client_group_only() {
        let text = "[mysqld]\npassword=no\n[client]\nuser=x\npassword = \"yes=1\"\n";
        assert_eq!(my_cnf(text).unwrap().expose_secret(), "yes=1");
    }
}
