//! Where a password comes from. It is read anew for each connection and never leaves this room in words.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::address::{Address, Dialect, Endpoint, service};

mod command;
mod option_file;
mod pgpass;
pub(super) mod private;

/// The `password:` key of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// Not set: the client's own habits. Postgres: the service's section, `PGPASSWORD`, `$PGPASSFILE` or `~/.pgpass`.
    /// MySQL and MariaDB: `[client]` of `~/.my.cnf`. Or none at all.
    Default,
    File(PathBuf),
    Env(String),
    /// A program and its arguments; the first line that it prints is the password. Run for each connection, with
    /// `JIT_HOST`, `JIT_PORT` and `JIT_USER` in its environment.
    Command(Vec<String>),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Reads the password for one endpoint: a password file, or a command, may know another for each.
///
/// # Errors
/// A sentence that says what failed, never what was read.
pub async fn read_for(
    address: &Address,
    endpoint: &Endpoint,
) -> Result<Option<SecretString>, String> {
    if let Some(typed) = &address.typed {
        return Ok(Some(typed.clone()));
    }
    match &address.password {
        PasswordSource::Default => Ok(habit(address, endpoint)?.map(|(secret, _)| secret)),
        PasswordSource::File(path) => {
            private::refuse_if_others_read(path)?;
            read_file(path).map(Some)
        }
        PasswordSource::Env(name) => match std::env::var(name) {
            Ok(value) => secret(&value, &format!("the variable {name}")).map(Some),
            Err(_) => Err(format!("the variable {name} is not set, or is not UTF-8")),
        },
        PasswordSource::Credential(name) => {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(
                "CREDENTIALS_DIRECTORY is not set: run it as a systemd service with LoadCredential=",
            )?;
            // systemd has made it readable to this service alone.
            read_file(&PathBuf::from(folder).join(name)).map(Some)
        }
        PasswordSource::Command(words) => command::run(words, address, endpoint).await.map(Some),
    }
}

/// Where the password of an address would come from now, in words without a secret.
pub fn origin(address: &Address) -> String {
    match &address.password {
        PasswordSource::Default => match address.endpoints.first() {
            Some(endpoint) => match habit(address, endpoint) {
                Ok(Some((_, origin))) => origin,
                Ok(None) => format!("none: not in {}", habits(address.dialect)),
                Err(why) => format!("none: {why}"),
            },
            None => "none: the target's service was not found".to_owned(),
        },
        PasswordSource::File(path) => format!("file {}", path.display()),
        PasswordSource::Env(name) => format!("variable {name}"),
        // Its arguments may hold a secret.
        PasswordSource::Command(words) => {
            format!("command {}", words.first().map_or("", String::as_str))
        }
        PasswordSource::Credential(name) => format!("credential {name}"),
    }
}

/// Whether there is one for the first host. A source that the settings name counts as one, whatever it holds.
pub fn is_at_hand(address: &Address) -> bool {
    match (&address.password, address.endpoints.first()) {
        (PasswordSource::Default, Some(endpoint)) => !matches!(habit(address, endpoint), Ok(None)),
        (PasswordSource::Default, None) => false,
        _ => true,
    }
}

/// Where a password is looked for if the settings name no place.
pub fn habits(dialect: Dialect) -> String {
    let shown =
        |path: Option<PathBuf>| path.map_or(String::new(), |path| path.display().to_string());
    match dialect {
        Dialect::Postgres => format!("PGPASSWORD, {}", shown(pgpass_path())),
        Dialect::Mysql => shown(option_file_path()),
    }
}

/// The user of `~/.my.cnf`, for a MySQL URL that names none.
///
/// # Errors
/// A sentence that says that there is none, and what to write.
pub fn option_files_user() -> Result<String, String> {
    const CURE: &str = "write mysql://user@host/";
    let path = option_file_path().ok_or(format!("the url names no user; {CURE}"))?;
    option_file(&path)?
        .and_then(|client| client.user)
        .ok_or_else(|| {
            format!(
                "the url names no user, and [client] of {} neither; {CURE}",
                path.display()
            )
        })
}

/// A client's own habits: the secret and where it was found.
fn habit(address: &Address, endpoint: &Endpoint) -> Result<Option<(SecretString, String)>, String> {
    match address.dialect {
        Dialect::Postgres => {
            // In libpq's order: what a service says stands before the environment.
            if let Some(name) = &address.service
                && let Some(password) = service::password(name)?
            {
                return Ok(Some((password, format!("service {name}"))));
            }
            if let Ok(password) = std::env::var("PGPASSWORD")
                && !password.is_empty()
            {
                return Ok(Some((password.into(), "variable PGPASSWORD".to_owned())));
            }
            let Some(path) = pgpass_path() else {
                return Ok(None);
            };
            let Some(text) = private_text(&path)? else {
                return Ok(None);
            };
            Ok(pgpass::find(&text, address, endpoint)
                .map(|(password, line)| (password, format!("line {line} of {}", path.display()))))
        }
        Dialect::Mysql => {
            let Some(path) = option_file_path() else {
                return Ok(None);
            };
            let Some(password) = option_file(&path)?.and_then(|client| client.password) else {
                return Ok(None);
            };
            private::refuse_if_others_read(&path)?;
            Ok(Some((password, format!("[client] of {}", path.display()))))
        }
    }
}

fn pgpass_path() -> Option<PathBuf> {
    std::env::var_os("PGPASSFILE")
        .map(PathBuf::from)
        .or_else(|| private::home().map(|home| home.join(".pgpass")))
}

fn option_file_path() -> Option<PathBuf> {
    private::home().map(|home| home.join(".my.cnf"))
}

fn option_file(path: &Path) -> Result<Option<option_file::Client>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    // As the servers' own clients: a file that anybody could have written is nobody's.
    private::refuse_if_others_write(path)?;
    Ok(Some(option_file::client(&text)))
}

/// libpq passes over a password file that others can read; passing over it in silence would be a riddle.
fn private_text(path: &Path) -> Result<Option<String>, String> {
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    }
    private::refuse_if_others_read(path)?;
    std::fs::read_to_string(path)
        .map(Some)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn read_file(path: &Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    secret(&text, &path.display().to_string())
}

/// The first line; an empty one is a mistake somewhere, and would be tried as a password.
fn secret(text: &str, of: &str) -> Result<SecretString, String> {
    match text.lines().next() {
        None | Some("") => Err(format!("the first line of {of} is empty")),
        Some(line) if line.contains('\0') => Err(format!("{of} holds a zero byte")),
        Some(line) => Ok(line.to_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_secret_is_the_first_line_and_never_empty() {
        let read = |text: &str| secret(text, "x").map(|secret| secret.expose_secret().to_owned());
        assert_eq!(read("a b \r\nrest"), Ok("a b ".to_owned()));
        assert_eq!(read("hunter2"), Ok("hunter2".to_owned()));
        for text in ["", "\n", "\nlate", "a\0b"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
