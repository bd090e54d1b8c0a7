//! Kinds of failure, what to do about them, and the exit codes.

use std::fmt;

use crate::engines::EngineError;
use crate::identity::IdentityError;
use crate::stores::StoreError;
use crate::workflow::target::Failing;

/// The exit codes of every command. Documented, and never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    /// Refused by policy, or not permitted.
    Refused = 3,
    /// No such thing, or not in a state for that.
    NoSuch = 4,
    /// A target or the ledger cannot be reached.
    Unreachable = 5,
    /// Something is overdue.
    Overdue = 6,
    /// The audit trail is broken or cannot be written.
    Audit = 7,
    /// Settings or policy files are wrong.
    Settings = 8,
    /// Timed out waiting.
    TimedOut = 9,
    /// The person ended a question, or a wait, instead of answering: Ctrl-C, Esc or Ctrl-D.
    Interrupted = 130,
}

/// What a command tells the person when it cannot do its work: what failed on what and why, and what to run next.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub what: String,
    /// Commands to run, or sentences.
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            hints: Vec::new(),
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// Exit code, words and hints of any error that reaches `main`: the one place where they are decided.
pub fn classify(error: &anyhow::Error) -> Failure {
    let what = format!("{error:#}");
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Failure {
            exit: failure.exit,
            what,
            hints: failure.hints.clone(),
        };
    }
    if let Some(store) = error.downcast_ref::<StoreError>() {
        return store_failure(store, what);
    }
    if let Some(engine) = error.downcast_ref::<EngineError>() {
        return engine_failure(engine, what);
    }
    if let Some(identity) = error.downcast_ref::<IdentityError>() {
        return identity_failure(identity, what);
    }
    match error.downcast_ref::<Failing>() {
        Some(Failing::Engine(engine)) => engine_failure(engine, what),
        Some(Failing::Ledger(store) | Failing::Unrecorded(store)) => store_failure(store, what),
        Some(Failing::Twins { .. }) => Failure::new(Exit::Settings, what).hint("jit settings"),
        Some(Failing::Audit(_)) => Failure::new(Exit::Audit, what).hint("jit doctor"),
        None => Failure::new(Exit::Failed, what),
    }
}

fn store_failure(error: &StoreError, what: String) -> Failure {
    match error {
        StoreError::Conflict(_) | StoreError::AlreadyDrained(_) => {
            Failure::new(Exit::NoSuch, what).hint("look again: jit list")
        }
        StoreError::Unlawful { .. } => Failure::new(Exit::Failed, what)
            .hint("nothing was changed; please report it with what you did"),
        StoreError::Exists(_) => Failure::new(Exit::NoSuch, what).hint("jit doctor"),
        StoreError::Missing(_) => {
            Failure::new(Exit::Unreachable, what).hint("make it: jit ledger init")
        }
        StoreError::NoInbox(_) => Failure::new(Exit::Unreachable, what)
            .hint("if there is no ledger either: jit ledger init")
            .hint("if it was taken away: install -d -m 3773 -g OPERATORS, as root"),
        StoreError::Newer { .. } => Failure::new(Exit::Unreachable, what)
            .hint("install the newer jit on this host: jit --version"),
        StoreError::Older(_) => Failure::new(Exit::Unreachable, what)
            .hint(
                "end what it holds with the jit that made it: jit revoke --target NAME --reason …",
            )
            .hint("then move its folder away and make a new one: jit ledger init"),
        StoreError::NotOurs { .. } => Failure::new(Exit::Settings, what).hint("jit doctor"),
        StoreError::Unwritable { .. } | StoreError::Unreadable { .. } => {
            Failure::new(Exit::Unreachable, what).hint("see which file and why: jit doctor")
        }
        StoreError::Damaged { .. } => Failure::new(Exit::Unreachable, what)
            .hint("put the last backup back; the trail tells what it lacks: jit audit verify"),
        StoreError::Busy { .. } => {
            Failure::new(Exit::Unreachable, what).hint("try again in a moment")
        }
    }
}

fn identity_failure(error: &IdentityError, what: String) -> Failure {
    let next = match error {
        IdentityError::NoName(_) => "every act is recorded under a name: see getent passwd, and id",
        IdentityError::Setuid { .. } => "take the bit away: chmod u-s on the program",
        IdentityError::SudoUid(_) => "act as yourself, without sudo, or unset SUDO_UID: id",
        IdentityError::Nobody(_) => "act as a user of your own: id",
    };
    Failure::new(Exit::Refused, what).hint(next)
}

/// The end of a hint that sends to `jit doctor`; doctor itself leaves it out.
pub const THEN_DOCTOR: &str = ", then: jit doctor";

fn engine_failure(error: &EngineError, what: String) -> Failure {
    let check = |what: &str| format!("check {what}{THEN_DOCTOR}");
    match error {
        EngineError::Unreachable { .. } => Failure::new(Exit::Unreachable, what)
            .hint(check("the target's `url:`, the network and TLS")),
        // The database's name is wrong, not the password: 3D000 on Postgres, 1049 on MySQL.
        EngineError::Denied { why, .. } if why.ends_with("(3D000)") || why.ends_with("(1049)") => {
            Failure::new(Exit::Unreachable, what)
                .hint(check("the database's name in the target's `url:`"))
        }
        EngineError::Denied { .. } => Failure::new(Exit::Unreachable, what).hint(check(
            "the target's `password:`, and whether the server lets that account in from here",
        )),
        EngineError::NoPassword { .. } => {
            Failure::new(Exit::Unreachable, what).hint(check("the target's `password:`"))
        }
        EngineError::Untrusted { .. } => {
            Failure::new(Exit::Unreachable, what).hint(check("the target's `url:`, or its server"))
        }
        EngineError::Refused { .. } | EngineError::Changed { .. } => {
            Failure::new(Exit::Failed, what).hint("jit doctor")
        }
        EngineError::Unknown { .. } => Failure::new(Exit::Failed, what)
            .hint("the next sweep looks at what really happened: jit sweep"),
        EngineError::OtherLedger { .. } => Failure::new(Exit::Settings, what)
            .hint("use the ledger that the target belongs to, or another `grantor:` for this one"),
        EngineError::NotSetUp { .. } => {
            Failure::new(Exit::Failed, what).hint("see what it needs: jit setup")
        }
    }
}
