//! A real MySQL: the one that the setup unpacked under target/servers/mysql, or `$JIT_TEST_MYSQLD` (a program that
//! brings its own options, as that one does).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::process::{self, as_servers_user, must, servers_folder};
use super::server::{Kind, Program, SUPERUSER_PASSWORD, Server, put, template_name};

/// The one that laws share; each makes its own databases and accounts in it. With a binary log, as MySQL's default is.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| fresh(&[]))
}

/// One of the law's own. `options` are flags: `["--sync-binlog=1"]`.
pub fn fresh(options: &[&str]) -> Server {
    Server::new(Program::Mysql, options)
}

fn program() -> PathBuf {
    let program = match std::env::var_os("JIT_TEST_MYSQLD") {
        Some(program) => program.into(),
        None => servers_folder().join("mysql/bin/mysqld"),
    };
    assert!(
        program.exists(),
        "no MySQL server at {}; {}",
        program.display(),
        process::CURE
    );
    program
}

pub(super) fn template() -> PathBuf {
    let version = must(as_servers_user(program()).arg("--version"));
    let version = version
        .split_once("Ver ")
        .map_or(version.as_str(), |(_, rest)| {
            rest.split(' ').next().unwrap_or(rest)
        })
        .to_owned();
    let init = format!("ALTER USER root@localhost IDENTIFIED BY '{SUPERUSER_PASSWORD}';\n");
    let recipe = [
        "--initialize-insecure",
        "--innodb-redo-log-capacity=8388608",
    ];
    let name = template_name(Kind::Mysql, &version, &(recipe.concat() + &init));
    process::template(&name, |folder| {
        let sql = put(folder, "init.sql", &init);
        must(
            as_servers_user(program())
                .args(recipe)
                .arg(format!("--init-file={}", sql.display()))
                .arg(format!("--datadir={}", folder.join("data").display())),
        );
        std::fs::remove_file(sql).expect("just written");
    })
    .join("data")
}

pub(super) fn command(folder: &Path, sockets: &Path, port: u16, options: &[String]) -> Vec<String> {
    let mut command = flags(folder, sockets, port);
    command.insert(0, program().display().to_string());
    command.push("--innodb-redo-log-capacity=8388608".to_owned());
    command.extend_from_slice(options);
    command
}

/// What MySQL and MariaDB are started with alike. Not durable against a power cut, only against `kill -9`.
pub(super) fn flags(folder: &Path, sockets: &Path, port: u16) -> Vec<String> {
    vec![
        format!("--datadir={}", folder.join("data").display()),
        // A MariaDB that starts removes what it finds of temporary tables, its neighbours' too.
        format!("--tmpdir={}", folder.join("data").display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--port={port}"),
        format!("--socket={}", sockets.join("s").display()),
        format!("--pid-file={}", folder.join("pid").display()),
        "--server-id=1".to_owned(),
        "--innodb-buffer-pool-size=64M".to_owned(),
        "--innodb-flush-log-at-trx-commit=2".to_owned(),
        "--sync-binlog=0".to_owned(),
    ]
}
