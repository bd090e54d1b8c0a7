//! The processes under the servers: where they live, as whom they run, and that they never outlive the tests.
//!
//! Every server has a keeper, a small shell that is its parent and obeys lines on its standard input. The tests hold
//! the other end of that pipe, so however the test program ends, `kill -9` included, the keeper reads the end of the
//! file, kills its server and removes its folders. If the keeper itself is killed, the kernel kills the server
//! (`setpriv --pdeathsig`).

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use super::people::Person;

/// The user that runs the servers when the tests run as root; made by `tests/setup/install`.
const SERVERS_USER: &str = "jitservers";

/// What to type when something that the setup brings is not there.
pub const CURE: &str = "run `make setup` (or tests/setup/install)";

/// `target/servers`, with every link resolved: where the setup put what it brought.
pub fn servers_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .parent()
            .expect("target/tmp lies in target");
        let servers = target.join("servers");
        servers.canonicalize().unwrap_or_else(|error| {
            panic!(
                "the test servers' folder {} is not there ({error}); {CURE}",
                servers.display()
            )
        })
    })
}

/// A folder beside the servers' that every user can enter: `target/NAME`, or where the setup said it lives instead.
/// What dead test programs left in it, in entries named `PID-…`, is removed by the first call.
pub fn beside_the_servers(name: &str) -> PathBuf {
    let folder = servers_folder()
        .parent()
        .expect("target/servers has a parent")
        .join(name);
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    remove_leftovers(&folder, "");
    folder
}

/// Removes entries `PREFIX` `PID-…` whose process is gone.
fn remove_leftovers(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix))
            .and_then(|name| name.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Who runs the servers: nobody special when we are not root.
pub fn servers_user() -> Option<&'static Person> {
    static USER: OnceLock<Option<Person>> = OnceLock::new();
    USER.get_or_init(|| {
        rustix::process::geteuid()
            .is_root()
            .then(|| Person::named(SERVERS_USER))
    })
    .as_ref()
}

/// A command that will run as the servers' user.
pub fn as_servers_user(program: impl AsRef<Path>) -> Command {
    let mut command = match servers_user() {
        Some(user) => user.command(program.as_ref()),
        None => Command::new(program.as_ref()),
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// A command that runs another one, named behind all that it has by now, with the other's variables and no others.
pub fn around(mut outer: Command, inner: &Command) -> Command {
    outer
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear();
    for (name, value) in inner.get_envs() {
        outer.env(name, value.unwrap_or_default());
    }
    outer
}

/// Runs a command to its end and panics with its words if it fails.
pub fn must(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; {CURE}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a folder that belongs to the servers' user; others may pass through it but not look.
fn own_folder(folder: &Path, mode: u32) {
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    if let Some(user) = servers_user() {
        chown(folder, Some(user.uid), Some(user.gid)).expect("root may give a folder away");
    }
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(mode));
}

/// A data directory made once for all runs. `name` must hold all that it depends on: the server's version and the
/// recipe's. `make` fills the folder that it is given, as the servers' user; it is moved into place only when whole.
pub fn template(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = servers_folder().join("templates");
    own_folder(&folder, 0o755);
    let lock = File::create(folder.join("lock")).expect("a lock file in target/servers/templates");
    lock.lock().expect("a lock on target/servers/templates");
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let made = folder.join(safe);
    if !made.exists() {
        let raw = folder.join(format!("new-{}", std::process::id()));
        let _ = fs::remove_dir_all(&raw);
        own_folder(&raw, 0o700);
        make(&raw);
        fs::rename(&raw, &made).expect("a rename within one folder");
    }
    made
}

/// A TCP port of the loopback interface that nobody listens on, outside the range that the kernel hands out.
pub fn free_port() -> u16 {
    let mut byte = [0_u8; 2];
    loop {
        getrandom::fill(&mut byte).expect("random bytes");
        let port = 15_000 + u16::from_le_bytes(byte) % 17_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What the keeper obeys: `start`, `signal NAME`, `end NAME` (and wait), and the end of the file.
const KEEPER: &str = r#"
data=$1 sockets=$2; shift 2
pid=
while read -r verb name; do
    case $verb in
        start) setpriv --pdeathsig KILL "$@" </dev/null >>"$data/log" 2>&1 & pid=$!; echo "$pid" ;;
        signal) kill -"$name" "$pid"; echo done ;;
        end) kill -"$name" "$pid"; wait "$pid"; echo done ;;
    esac
done 2>>"$data/log"
[ -z "$pid" ] || { kill -KILL "$pid"; wait "$pid"; } 2>/dev/null
# a killed Postgres leaves its 56 bytes of shared memory behind; their number is in its pid file
shared=$(sed -n '7s/.* //p' "$data/data/postmaster.pid" 2>/dev/null)
[ -z "$shared" ] || ipcrm -m "$shared" 2>/dev/null
rm -rf "$data" "$sockets"
"#;

/// One server's parent process. Dropping it ends the server and removes its folders.
pub struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The data directory is `folder/data`, the log `folder/log`.
    pub folder: PathBuf,
    /// A short path, open to all, for Unix sockets.
    pub sockets: PathBuf,
    pub pid: u32,
}

impl Keeper {
    /// Copies the template into a folder of its own. Starts nothing yet: `command` gets that folder and the sockets'.
    pub fn new(
        name: &str,
        template: &Path,
        command: impl FnOnce(&Path, &Path) -> Vec<String>,
    ) -> Self {
        let all = beside_the_servers("test-servers");
        own_folder(&all, 0o755);
        let me = std::process::id();
        let folder = all.join(format!("{me}-{name}-{}", super::unique()));
        own_folder(&folder, 0o755);
        must(
            as_servers_user("cp")
                .args(["-a", "--reflink=auto"])
                .arg(template)
                .arg(folder.join("data")),
        );
        remove_leftovers(Path::new("/tmp"), "jit-");
        let sockets = tempfile::Builder::new()
            .prefix(&format!("jit-{me}-"))
            .tempdir_in("/tmp")
            .expect("a folder in /tmp")
            .keep();
        own_folder(&sockets, 0o755);

        let mut child = as_servers_user("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .arg(&sockets)
            .args(command(&folder, &sockets))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0) // Ctrl-C is for the tests; the keeper notices their end by itself
            .spawn()
            .expect("sh and setpriv are there");
        Self {
            orders: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
            folder,
            sockets,
            pid: 0,
        }
    }

    fn order(&mut self, line: &str) -> String {
        let orders = self.orders.as_mut().expect("taken only by drop");
        writeln!(orders, "{line}").expect("the keeper lives");
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .expect("the keeper answers");
        answer.trim().to_owned()
    }

    pub fn start(&mut self) {
        self.pid = self.order("start").parse().expect("a process id");
    }

    /// Sends a signal and does not wait.
    pub fn signal(&mut self, name: &str) {
        self.order(&format!("signal {name}"));
    }

    /// Sends a signal and waits until the server's first process is gone.
    pub fn end(&mut self, name: &str) {
        self.order(&format!("end {name}"));
    }

    /// Whether the server's first process is there and not a zombie.
    pub fn alive(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", self.pid)).is_ok_and(|stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| !rest.starts_with('Z'))
        })
    }

    /// What the server has said.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}
