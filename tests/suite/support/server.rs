//! One running server of the tests' own, whatever its engine.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::{Login, Refused, Rows, Session};
use super::jit::another_clock;
use super::process::{Keeper, free_port};
use super::{mariadb, mysql, postgres};

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Mysql,
    Mariadb,
}

impl Kind {
    /// As `JIT_TEST_SERVERS` and the setup name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
        }
    }

    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql | Self::Mariadb => "mysql",
        }
    }
}

/// Which of the servers that the setup brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The machine's own release.
    Postgres,
    /// 18 or later, where GRANT and REVOKE wait for the table's lock.
    Postgres18,
    Mysql,
    Mariadb,
}

impl Program {
    fn kind(self) -> Kind {
        match self {
            Self::Postgres | Self::Postgres18 => Kind::Postgres,
            Self::Mysql => Kind::Mysql,
            Self::Mariadb => Kind::Mariadb,
        }
    }
}

/// The password of every superuser of the tests. Odd enough to be found wherever it should not be.
pub const SUPERUSER_PASSWORD: &str = "sesame-of-root-5f1c";

/// The password of the accounts that [`Server::account`] makes.
pub const ACCOUNT_PASSWORD: &str = "sesame-of-people-77ab";

/// How long a server may take to answer after its start.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// A server on 127.0.0.1 and a Unix socket. Dies with the test program; dropping it ends it and removes its data.
pub struct Server {
    program: Program,
    options: Vec<String>,
    port: u16,
    sockets: PathBuf,
    keeper: Mutex<Keeper>,
}

impl Server {
    /// Makes and starts one with the engine's own further options (`postgres -c` values, or `mysqld` flags).
    pub(super) fn new(program: Program, options: &[&str]) -> Self {
        Self::by_clock(program, options, None)
    }

    /// The same, perhaps by another wall clock than the machine's.
    fn by_clock(program: Program, options: &[&str], clock: Option<&str>) -> Self {
        let kind = program.kind();
        let wanted = std::env::var("JIT_TEST_SERVERS").unwrap_or_default();
        assert!(
            wanted.is_empty() || wanted.split([',', ' ']).any(|one| one == kind.word()),
            "JIT_TEST_SERVERS={wanted} leaves {} out, and a test asked for it; name the test …::on_{} so that it is \
             left out too",
            kind.word(),
            kind.word()
        );
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        for _ in 0..5 {
            let port = free_port();
            let template = match program {
                Program::Postgres | Program::Postgres18 => postgres::template(program),
                Program::Mysql => mysql::template(),
                Program::Mariadb => mariadb::template(),
            };
            let keeper = Keeper::new(kind.word(), &template, |folder, sockets| {
                let command = match program {
                    Program::Postgres | Program::Postgres18 => {
                        postgres::command(program, folder, sockets, port, &options)
                    }
                    Program::Mysql => mysql::command(folder, sockets, port, &options),
                    Program::Mariadb => mariadb::command(folder, sockets, port, &options),
                };
                let mut clocked: Vec<String> = Vec::new();
                if let Some(offset) = clock {
                    clocked.push("env".to_owned());
                    clocked.extend(another_clock(offset));
                }
                clocked.into_iter().chain(command).collect()
            });
            let server = Self {
                program,
                options: options.clone(),
                port,
                sockets: keeper.sockets.clone(),
                keeper: Mutex::new(keeper),
            };
            server.keeper().start();
            match server.answers() {
                Ok(()) => return server,
                Err(said) if said.contains("ddress already in use") => {}
                Err(said) => panic!("{} did not start:\n{said}", kind.word()),
            }
        }
        panic!("no port was free for {}", kind.word());
    }

    /// Waits until the superuser can log in; with the log's end when the server gave up.
    fn answers(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            if Session::open(self, &self.superuser_login()).is_ok() {
                return Ok(());
            }
            let keeper = self.keeper();
            if !keeper.alive() || start.elapsed() > START_PATIENCE {
                let log = keeper.log();
                let lines: Vec<&str> = log.lines().collect();
                return Err(lines[lines.len().saturating_sub(25)..].join("\n"));
            }
            drop(keeper);
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn kind(&self) -> Kind {
        self.program.kind()
    }

    /// Always loopback.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the socket on Postgres (with [`Server::port`]), the socket itself on MySQL and MariaDB.
    pub fn socket(&self) -> PathBuf {
        match self.kind() {
            Kind::Postgres => self.sockets.clone(),
            Kind::Mysql | Kind::Mariadb => self.sockets.join("s"),
        }
    }

    /// `postgres` or `root`; its password is [`SUPERUSER_PASSWORD`].
    pub fn superuser(&self) -> &'static str {
        match self.kind() {
            Kind::Postgres => "postgres",
            Kind::Mysql | Kind::Mariadb => "root",
        }
    }

    /// The superuser, in the database `postgres`, or in none.
    pub fn superuser_login(&self) -> Login {
        let database = match self.kind() {
            Kind::Postgres => "postgres",
            Kind::Mysql | Kind::Mariadb => "",
        };
        Login::new(self.superuser(), SUPERUSER_PASSWORD, database)
    }

    /// A target's `url:` for this server.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!(
            "{}://{user}@{}:{}/{database}",
            self.kind().scheme(),
            self.host(),
            self.port
        )
    }

    /// The data directory, which belongs to the servers' user.
    pub fn data(&self) -> PathBuf {
        self.keeper().folder.join("data")
    }

    /// All that the server has logged.
    pub fn log(&self) -> String {
        self.keeper().log()
    }

    /// The server's first process.
    pub fn pid(&self) -> u32 {
        self.keeper().pid
    }

    /// Another one of this program, with fresh data: for laws that kill it, or need two. `options` come after the usual
    /// ones: `["fsync=on"]` on Postgres, `["--sync-binlog=1"]` on MySQL.
    pub fn another(&self, options: &[&str]) -> Self {
        Self::new(self.program, options)
    }

    /// Another one whose clock goes wrong: `+1h`, `-1h`.
    pub fn another_by_clock(&self, offset: &str) -> Self {
        Self::by_clock(self.program, &[], Some(offset))
    }

    /// Ends it as a crash of the machine's memory would: at once. Does not start it again.
    pub fn kill_9(&self) {
        self.keeper().end("KILL");
    }

    /// Ends it in order, however many are connected, and waits until it is gone.
    pub fn stop(&self) {
        let signal = match self.kind() {
            Kind::Postgres => "INT",
            Kind::Mysql | Kind::Mariadb => "TERM",
        };
        self.keeper().end(signal);
    }

    /// Starts it on its old port and data after [`Server::stop`] or [`Server::kill_9`], and waits until it answers.
    pub fn start(&self) {
        let begun = Instant::now();
        loop {
            self.keeper().start();
            match self.answers() {
                Ok(()) => return,
                // after a kill, backends of the old one may live for a moment and hold the data
                Err(_) if begun.elapsed() < Duration::from_secs(20) => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(said) => panic!("{} did not start again:\n{said}", self.kind().word()),
            }
        }
    }

    /// Stops and starts it.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// Makes it hang, as a machine that has lost its network does: connections are taken and never answered.
    pub fn freeze(&self) {
        self.keeper().signal("STOP");
    }

    /// Ends a [`Server::freeze`].
    pub fn thaw(&self) {
        self.keeper().signal("CONT");
    }

    /// Runs statements as the superuser; see [`Session::sql`]. On Postgres in the database `postgres`.
    ///
    /// # Errors
    /// What the server says.
    pub fn sql(&self, text: &str) -> Result<Rows, Refused> {
        self.login_and_select(&self.superuser_login(), text)
    }

    /// Runs statements as the superuser in that database, and panics with the server's words if it refuses.
    pub fn run(&self, database: &str, text: &str) -> Rows {
        self.login_and_select(&self.superuser_login().at(database), text)
            .unwrap_or_else(|refused| panic!("{text}\n{refused}"))
    }

    /// Logs in anew, runs statements, and logs out: what a law proves with who can read and who cannot.
    ///
    /// # Errors
    /// What the server says, with its code.
    pub fn login_and_select(&self, login: &Login, text: &str) -> Result<Rows, Refused> {
        Session::open(self, login)?.sql(text)
    }

    /// A connection that stays open.
    ///
    /// # Errors
    /// What the server says to the login.
    pub fn session(&self, login: &Login) -> Result<Session, Refused> {
        Session::open(self, login)
    }

    /// Makes an empty database whose name starts with `name` and is used by nobody else, and says it.
    pub fn database(&self, name: &str) -> String {
        let name = format!("{name}_{}", super::unique());
        self.sql(&format!("CREATE DATABASE {name}"))
            .unwrap_or_else(|refused| panic!("a database {name}: {refused}"));
        name
    }

    /// Makes a login whose name starts with `name`, is used by nobody else and may do nothing, for that database.
    /// On MySQL and MariaDB its host is `%`, and the database is best left empty and every table's name given in
    /// full: who may see nothing of a database cannot log in to it (1044).
    pub fn account(&self, name: &str, database: &str) -> Login {
        let name = format!("{name}_{}", super::unique());
        let make = match self.kind() {
            Kind::Postgres => format!("CREATE ROLE {name} LOGIN PASSWORD '{ACCOUNT_PASSWORD}'"),
            Kind::Mysql | Kind::Mariadb => {
                format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{ACCOUNT_PASSWORD}'")
            }
        };
        self.sql(&make)
            .unwrap_or_else(|refused| panic!("an account {name}: {refused}"));
        Login::new(&name, ACCOUNT_PASSWORD, database)
    }

    /// The number before its version's first dot: 15, or 10 for a MariaDB 10.11.
    pub fn major(&self) -> u32 {
        let version = self.version();
        let major = version.split(['.', ' ']).next().unwrap_or_default();
        major.parse().expect("a number")
    }

    /// What the server says its version is.
    pub fn version(&self) -> String {
        let rows = match self.kind() {
            Kind::Postgres => self.sql("SHOW server_version"),
            Kind::Mysql | Kind::Mariadb => self.sql("SELECT VERSION()"),
        };
        rows.expect("anybody may ask")[0][0]
            .clone()
            .expect("a version")
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} on port {} {:?}",
            self.kind().word(),
            self.port,
            self.options
        )
    }
}

/// A name for a template: what made it, so that another version or recipe makes another.
pub(super) fn template_name(kind: Kind, version: &str, recipe: &str) -> String {
    use sha2::{Digest, Sha256};
    let recipe = hex::encode(&Sha256::digest(recipe.as_bytes())[..4]);
    format!("{}-{}-{recipe}", kind.word(), version.trim())
}

/// A file in the servers' user's hands, readable by nobody else, for what an initialisation needs to read.
pub(super) fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::{PermissionsExt, chown};
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file in a fresh folder");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("own file");
    if let Some(user) = super::process::servers_user() {
        chown(&path, Some(user.uid), Some(user.gid)).expect("root may give a file away");
    }
    path
}
