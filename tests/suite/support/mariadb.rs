//! MariaDB: the machine's `mariadbd`, or `$JIT_TEST_MARIADB` (a folder that holds `sbin/mariadbd` and
//! `bin/mariadb-install-db`).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use super::mysql::flags;
use super::process::{self, as_servers_user, must};
use super::server::{Kind, Program, SUPERUSER_PASSWORD, Server, put, template_name};

/// The one that laws share; each makes its own databases and accounts in it. Without a binary log: MariaDB's default.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| fresh(&[]))
}

/// The one that laws share, with a binary log.
pub fn shared_with_log() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| fresh(&["--log-bin=bin"]))
}

/// One of the law's own. `options` are flags: `["--log-bin=bin"]`.
pub fn fresh(options: &[&str]) -> Server {
    Server::new(Program::Mariadb, options)
}

fn programs() -> PathBuf {
    std::env::var_os("JIT_TEST_MARIADB").map_or_else(|| "/usr".into(), PathBuf::from)
}

/// The folder of its plugins: the machine's own, or what the setup unpacked.
pub fn plugins() -> PathBuf {
    let own = programs().join("lib/mysql/plugin");
    match own.join("auth_ed25519.so").exists() {
        true => own,
        false => process::servers_folder().join("mariadb-plugins"),
    }
}

fn program() -> PathBuf {
    let program = programs().join("sbin/mariadbd");
    assert!(
        program.exists(),
        "no MariaDB server at {}; {}",
        program.display(),
        process::CURE
    );
    program
}

pub(super) fn template() -> PathBuf {
    let version = must(as_servers_user(program()).args(["--no-defaults", "--version"]));
    let version = version
        .split_once("Ver ")
        .map_or(version.as_str(), |(_, rest)| {
            rest.split(' ').next().unwrap_or(rest)
        })
        .to_owned();
    // one statement a line: that is how a bootstrapping server reads them
    let init = format!(
        "FLUSH PRIVILEGES;\nDELETE FROM mysql.global_priv WHERE User='';\n\
         ALTER USER root@localhost IDENTIFIED BY '{SUPERUSER_PASSWORD}';\n"
    );
    let recipe = [
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--innodb-log-file-size=8M",
    ];
    let name = template_name(Kind::Mariadb, &version, &(recipe.concat() + &init));
    process::template(&name, |folder| {
        let data = format!("--datadir={}", folder.join("data").display());
        must(
            as_servers_user(programs().join("bin/mariadb-install-db"))
                .arg("--no-defaults")
                .arg(&data)
                .args(recipe),
        );
        let sql = put(folder, "init.sql", &init);
        must(
            as_servers_user(program())
                .arg("--no-defaults")
                .arg(&data)
                .args(["--bootstrap", "--innodb-log-file-size=8M"])
                .stdin(Stdio::from(
                    std::fs::File::open(&sql).expect("just written"),
                )),
        );
        std::fs::remove_file(sql).expect("just written");
    })
    .join("data")
}

pub(super) fn command(folder: &Path, sockets: &Path, port: u16, options: &[String]) -> Vec<String> {
    let mut command = vec![program().display().to_string(), "--no-defaults".to_owned()];
    command.extend(flags(folder, sockets, port));
    command.push("--innodb-log-file-size=8M".to_owned());
    command.extend_from_slice(options);
    command
}
