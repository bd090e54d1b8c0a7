//! Two of Postgres: the newest that the machine has under /usr/lib/postgresql, or `$JIT_TEST_POSTGRES` (a folder of
//! programs); and one of 18 or later, where GRANT and REVOKE wait for the table's lock: `$JIT_TEST_POSTGRES_18`, else
//! the oldest such that the machine has, else what the setup unpacked under target/servers/postgres-18.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::process::{self, as_servers_user, must, servers_folder};
use super::server::{Kind, Program, SUPERUSER_PASSWORD, Server, put, template_name};

/// The one that laws share; each makes its own databases and roles in it. Not durable, so fast.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| fresh(&[]))
}

/// The one of 18 or later that laws share.
pub fn shared_18() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::new(Program::Postgres18, &[]))
}

/// One of the law's own. `options` are settings, as for `postgres -c`: `["fsync=on"]`.
pub fn fresh(options: &[&str]) -> Server {
    Server::new(Program::Postgres, options)
}

/// The folder of `initdb` and `postgres`.
fn programs(program: Program) -> PathBuf {
    let (variable, found) = match program {
        Program::Postgres18 => (
            "JIT_TEST_POSTGRES_18",
            installed()
                .filter(|(major, _)| *major >= 18)
                .min()
                .map(|(_, folder)| folder)
                .unwrap_or_else(|| servers_folder().join("postgres-18/bin")),
        ),
        _ => (
            "JIT_TEST_POSTGRES",
            installed()
                .max()
                .map(|(_, folder)| folder)
                .unwrap_or_else(|| "/usr/lib/postgresql".into()),
        ),
    };
    let folder = std::env::var_os(variable).map_or(found, PathBuf::from);
    assert!(
        folder.join("postgres").exists(),
        "no Postgres server at {}; {}",
        folder.display(),
        process::CURE
    );
    folder
}

/// Major versions under /usr/lib/postgresql, each with its folder of programs.
fn installed() -> impl Iterator<Item = (u32, PathBuf)> {
    std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| {
            let major = version.file_name().to_str()?.parse().ok()?;
            let folder = version.path().join("bin");
            folder.join("postgres").exists().then_some((major, folder))
        })
}

pub(super) fn template(program: Program) -> PathBuf {
    let programs = programs(program);
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

pub(super) fn command(
    program: Program,
    folder: &Path,
    sockets: &Path,
    port: u16,
    options: &[String],
) -> Vec<String> {
    let mut command = vec![
        programs(program).join("postgres").display().to_string(),
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
