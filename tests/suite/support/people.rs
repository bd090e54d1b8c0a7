//! Real Unix users. `tests/setup/install` makes them when it runs as root; the laws about who is who need them.

use std::path::Path;
use std::process::Command;

use super::process::CURE;

/// One user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub uid: u32,
    /// Their own group; they may have others.
    pub gid: u32,
}

/// The operators' group. Members: `jitcron` and `jitcarol`.
pub const OPERATORS: &str = "jitops";

impl Person {
    /// The user of this machine with that name.
    pub fn named(name: &str) -> Self {
        let user = uzers::get_user_by_name(name)
            .unwrap_or_else(|| panic!("this machine has no user {name}; as root, {CURE}"));
        Self {
            name: name.to_owned(),
            uid: user.uid(),
            gid: user.primary_group_id(),
        }
    }

    /// Who runs the tests.
    pub fn myself() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let user = uzers::get_user_by_uid(uid)
            .unwrap_or_else(|| panic!("the uid {uid} that runs the tests has no name"));
        Self {
            name: user.name().to_string_lossy().into_owned(),
            uid,
            gid: user.primary_group_id(),
        }
    }

    /// A command that will run as this person, with their groups, and with nothing of our environment but PATH.
    /// Only root can become somebody else; otherwise it panics, since a law about real users cannot be shown then.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        let me = rustix::process::geteuid();
        let mut command = if me.as_raw() == self.uid {
            Command::new(program.as_ref())
        } else {
            assert!(
                me.is_root(),
                "running something as {} needs root; run the tests as root (sudo make test)",
                self.name
            );
            let mut command = Command::new("setpriv");
            command
                .arg("--reuid")
                .arg(&self.name)
                .arg("--regid")
                .arg(self.gid.to_string())
                .args(["--init-groups", "--"])
                .arg(program.as_ref());
            command
        };
        command
            .env_clear()
            .env("PATH", path)
            .env("USER", &self.name)
            .env("LOGNAME", &self.name)
            .current_dir("/");
        command
    }
}

/// An engineer.
pub fn alice() -> Person {
    Person::named("jitalice")
}

/// Another engineer.
pub fn bob() -> Person {
    Person::named("jitbob")
}

/// A DBA, and an operator.
pub fn carol() -> Person {
    Person::named("jitcarol")
}

/// A DBA who is no operator.
pub fn dave() -> Person {
    Person::named("jitdave")
}

/// Somebody who wants what is not theirs.
pub fn mallory() -> Person {
    Person::named("jitmallory")
}

/// The operator that cron is.
pub fn cron() -> Person {
    Person::named("jitcron")
}

/// The one who makes ledgers and reads everything.
pub fn root() -> Person {
    Person::named("root")
}
