//! Postgres: the newest that the machine has under /usr/lib/postgresql, or `$JIT_TEST_POSTGRES` (a folder of programs).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::process::{self, as_servers_user, must};
use super::server::{Kind, SUPERUSER_PASSWORD, Server, put, template_name};

/// The one that laws share; each makes its own databases and roles in it. Not durable, so fast.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| fresh(&[]))
}

/// One of the law's own. `options` are settings, as for `postgres -c`: `["fsync=on"]`.
pub fn fresh(options: &[&str]) -> Server {
    Server::new(Kind::Postgres, options)
}

/// The folder of `initdb` and `postgres`.
fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("JIT_TEST_POSTGRES") {
        return folder.into();
    }
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter();
    installed
        .flatten()
        .flatten()
        .filter(|version| version.path().join("bin/postgres").exists())
        .max_by_key(|version| {
            let name = version.file_name();
            name.to_str()
                .and_then(|name| name.parse::<u32>().ok())
                .unwrap_or(0)
        })
        .map(|version| version.path().join("bin"))
        .unwrap_or_else(|| {
            panic!(
                "no Postgres server under /usr/lib/postgresql; {}",
                process::CURE
            )
        })
}

pub(super) fn template() -> PathBuf {
    let programs = programs();
    let version = must(as_servers_user(programs.join("postgres")).arg("--version"));
    let recipe = [
        "--username=postgres",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ];
    let name = template_name(
        Kind::Postgres,
        &version.replace("postgres (PostgreSQL) ", ""),
        &(recipe.concat() + SUPERUSER_PASSWORD),
    );
    process::template(&name, |folder| {
        let password = put(folder, "password", SUPERUSER_PASSWORD);
        let data = folder.join("data");
        must(
            as_servers_user(programs.join("initdb"))
                .args(recipe)
                .arg(format!("--pwfile={}", password.display()))
                .arg("-D")
                .arg(&data),
        );
        std::fs::remove_file(password).expect("just written");
    })
    .join("data")
}

pub(super) fn command(folder: &Path, sockets: &Path, port: u16, options: &[String]) -> Vec<String> {
    let mut command = vec![
        programs().join("postgres").display().to_string(),
        "-D".to_owned(),
        folder.join("data").display().to_string(),
    ];
    let mut set = |setting: String| command.extend(["-c".to_owned(), setting]);
    set("listen_addresses=127.0.0.1".to_owned());
    set(format!("port={port}"));
    set(format!("unix_socket_directories={}", sockets.display()));
    set("fsync=off".to_owned());
    set("max_connections=200".to_owned());
    set("max_prepared_transactions=10".to_owned());
    set("log_statement=all".to_owned());
    for option in options {
        set(option.clone());
    }
    command
}
