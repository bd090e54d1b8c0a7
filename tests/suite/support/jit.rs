//! A whole installation of `jit` in a folder of its own, and the program run in it as one person or another.
//!
//! ```ignore
//! let jit = Install::new()
//!     .secret("shop", SUPERUSER_PASSWORD)
//!     .settings(&format!("targets: {{shop: {{url: '{url}', password: {{file: {{dir}}/secrets/shop}}}}}}"))
//!     .policy("shop.yaml", POLICY);
//! jit.init();
//! jit.run(&alice(), &["request", "public.customers:email", "--for", "1h", "--reason", "SUP-1"]).ok();
//! let request = jit.run(&alice(), &["list", "-o", "json"]).ok().json();
//! ```

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::people::{OPERATORS, Person, root};
use super::process::beside_the_servers;

/// No command of a test runs longer; one that hangs is killed and fails the test.
const PATIENCE: Duration = Duration::from_secs(180);

/// An installation. Removed when dropped, unless the test failed or `JIT_TEST_KEEP` is set: then its place is said.
///
/// Laid out like a host's: `etc/config.yaml` and `etc/policies/`, `var/lib/jit`, `var/log/jit`, `secrets/`. All
/// folders belong to who runs the tests and nobody else may write them.
#[derive(Debug)]
pub struct Install {
    folder: PathBuf,
    /// How wide the terminal is said to be, where that matters.
    pub columns: Option<u16>,
}

impl Install {
    /// Folders, and settings without a target.
    pub fn new() -> Self {
        let name = format!("{}-install-{}", std::process::id(), super::unique());
        let folder = beside_the_servers("test-places").join(name);
        for inner in ["etc/policies", "var/lib", "var/log", "secrets", "home"] {
            fs::create_dir_all(folder.join(inner)).expect("a folder under target");
        }
        let columns = None;
        Self { folder, columns }.settings("")
    }

    /// A path inside the installation.
    pub fn path(&self, inner: impl AsRef<Path>) -> PathBuf {
        self.folder.join(inner)
    }

    /// Where the settings say the ledger is.
    pub fn ledger(&self) -> PathBuf {
        self.path("var/lib/jit/ledger/ledger.db")
    }

    /// Where the settings say the audit file is.
    pub fn audit(&self) -> PathBuf {
        self.path("var/log/jit/audit.jsonl")
    }

    /// The audit file's lines so far.
    pub fn events(&self) -> Vec<serde_json::Value> {
        fs::read_to_string(self.audit())
            .expect("the audit file")
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }

    /// Writes the settings file: `yaml` after the lines that say where everything is, or alone where it begins with
    /// `version:`. `{dir}` in it stands for the installation's folder.
    pub fn settings(self, yaml: &str) -> Self {
        let head = "version: 1\n\
                    ledger: sqlite:{dir}/var/lib/jit/ledger/ledger.db\n\
                    inbox: {dir}/var/lib/jit/inbox\n\
                    audit: {dir}/var/log/jit/audit.jsonl\n\
                    policies: [policies/]\n";
        let text = if yaml.trim_start().starts_with("version:") {
            yaml.to_owned()
        } else {
            format!("{head}{yaml}\n")
        };
        let text = text.replace("{dir}", &self.folder.display().to_string());
        self.write("etc/config.yaml", &text)
    }

    /// Writes a policy file.
    pub fn policy(self, name: &str, yaml: &str) -> Self {
        self.write(&format!("etc/policies/{name}"), yaml)
    }

    /// Writes `secrets/NAME`, which operators alone may read.
    pub fn secret(self, name: &str, text: &str) -> Self {
        let inner = format!("secrets/{name}");
        let this = self.write(&inner, text);
        let path = this.path(&inner);
        // Only root's own files may be shared with a group.
        let root = rustix::process::geteuid().is_root();
        let mode = if root { 0o640 } else { 0o600 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
        if root {
            let group = uzers::get_group_by_name(OPERATORS)
                .unwrap_or_else(|| panic!("no group {OPERATORS}; {}", super::process::CURE));
            chown(&path, None, Some(group.gid())).expect("root may give a file to a group");
        }
        this
    }

    /// Root's ~/.my.cnf, as a DBA has it, once root has a home.
    pub fn root_options(&self, password: &str) {
        let path = self.path("home/root/.my.cnf");
        fs::write(&path, format!("[client]\npassword={password}\n")).expect("root's home");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("own file");
    }

    /// Writes any file of the installation, whole, as who runs the tests.
    pub fn write(self, inner: &str, text: &str) -> Self {
        let path = self.path(inner);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("own file");
        self
    }

    /// Makes the ledger as root does it on a host whose operators are the group [`OPERATORS`].
    pub fn init(&self) {
        self.run(&root(), &["ledger", "init", "--shared", OPERATORS])
            .ok();
    }

    /// The program as that person, with this installation's settings file and a home of their own. Add to it what
    /// the law needs, then give it to [`run`].
    pub fn command(&self, person: &Person, arguments: &[&str]) -> Command {
        let mut command = person.command(program());
        command
            .args(arguments)
            .env("JIT_CONFIG", self.path("etc/config.yaml"))
            .env("HOME", self.home(person))
            .env("TZ", "UTC")
            .env("NO_COLOR", "1");
        if let Some(columns) = self.columns {
            command.env("COLUMNS", columns.to_string());
        }
        command
    }

    /// The same with another wall clock (libfaketime): `-1d`, `+90m`. The boot clock stays the machine's.
    pub fn command_at(&self, offset: &str, person: &Person, arguments: &[&str]) -> Command {
        // Behind the change of user: what libfaketime shares belongs to the one whose program loads it first.
        let mut command = person.command("env");
        command
            .args(another_clock(offset))
            .arg(program())
            .args(arguments);
        for (name, value) in self.command(person, &[]).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
    }

    fn home(&self, person: &Person) -> PathBuf {
        let home = self.path("home").join(&person.name);
        if !home.exists() {
            fs::create_dir_all(&home).expect("a folder under target");
            fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("own folder");
            if rustix::process::geteuid().is_root() {
                chown(&home, Some(person.uid), Some(person.gid)).expect("root may give it away");
            }
        }
        home
    }

    /// Runs `jit` as that person, with nothing on its standard input.
    pub fn run(&self, person: &Person, arguments: &[&str]) -> Output {
        run(&mut self.command(person, arguments), "")
    }
}

/// What `env` sets for another wall clock: `-1d`, `+90m` (libfaketime). The boot clock stays the machine's.
pub fn another_clock(offset: &str) -> [String; 4] {
    let library: PathBuf = fs::read_dir("/usr/lib")
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no libfaketime; {}", super::process::CURE));
    [
        format!("LD_PRELOAD={}", library.display()),
        format!("FAKETIME={offset}"),
        "DONT_FAKE_MONOTONIC=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ]
}

impl Default for Install {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Install {
    fn drop(&mut self) {
        if thread::panicking() || std::env::var_os("JIT_TEST_KEEP").is_some() {
            eprintln!("the installation is kept in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The built program, or `$JIT_TEST_PROGRAM`, another build of it; copied once a run to where everybody may execute it.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = beside_the_servers("test-places").join(format!("{}-bin", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder under target");
        let copy = folder.join("jit");
        let built = std::env::var_os("JIT_TEST_PROGRAM")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_jit")), PathBuf::from);
        super::copy_program(&built, &copy);
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("own file");
        copy
    })
}

/// What a command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; 128 and the signal's number where one ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
    command: String,
}

/// Runs any command with that standard input.
pub fn run(command: &mut Command, input: &str) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    // one that does not read its input closes it: that is its right
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes());
    let out = drain(child.stdout.take().expect("a pipe"));
    let err = drain(child.stderr.take().expect("a pipe"));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("{shown} ran longer than {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    Output {
        code: status
            .code()
            .unwrap_or_else(|| 128 + signal.unwrap_or_default()),
        out: out.join().expect("text"),
        err: err.join().expect("text"),
        command: shown,
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Output {
    /// It must have ended with that exit code.
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code of {self}");
        self
    }

    /// It must have ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exit(0)
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// Standard output or standard error must hold this text, wherever its lines break.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let within = |said: &str| {
            let in_one_line: Vec<&str> = said.split_whitespace().collect();
            said.contains(text) || in_one_line.join(" ").contains(text)
        };
        assert!(
            within(&self.out) || within(&self.err),
            "{text:?} is not in {self}"
        );
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n--- exit code {}\n--- standard output\n{}\n--- standard error\n{}",
            self.command, self.code, self.out, self.err
        )
    }
}
