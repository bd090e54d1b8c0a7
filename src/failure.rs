//! Kinds of failure, what to do about them, and the exit codes.

use std::fmt;

use crate::engines::EngineError;
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
    match error.downcast_ref::<Failing>() {
        Some(Failing::Engine(engine)) => engine_failure(engine, what),
        Some(Failing::Ledger(store) | Failing::Unrecorded(store)) => store_failure(store, what),
        Some(Failing::Twins { .. }) => Failure::new(Exit::Settings, what).hint("jit doctor"),
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
        StoreError::Exists(_) => Failure::new(Exit::NoSuch, what),
        StoreError::Missing(_) => {
            Failure::new(Exit::Unreachable, what).hint("make it: jit ledger init")
        }
        StoreError::Newer { .. } => Failure::new(Exit::Unreachable, what)
            .hint("install the newer jit on this host: jit --version"),
        StoreError::NotOurs { .. } => Failure::new(Exit::Settings, what).hint("jit doctor"),
        StoreError::Unwritable { .. } | StoreError::Unreadable { .. } => {
            Failure::new(Exit::Unreachable, what).hint("see which file and why: jit doctor")
        }
        StoreError::Damaged { .. } => Failure::new(Exit::Unreachable, what)
            .hint("check the trail that it left: jit audit verify"),
        StoreError::Busy { .. } => {
            Failure::new(Exit::Unreachable, what).hint("try again in a moment")
        }
    }
}

fn engine_failure(error: &EngineError, what: String) -> Failure {
    match error {
        EngineError::Unreachable { .. } => {
            Failure::new(Exit::Unreachable, what).hint("check address, network and TLS: jit doctor")
        }
        EngineError::Denied { .. } => Failure::new(Exit::Unreachable, what)
            .hint("check the target's `password:` and the account's host rules: jit doctor"),
        EngineError::NoPassword { .. } => Failure::new(Exit::Unreachable, what)
            .hint("check the target's `password:` in the settings"),
        EngineError::Refused { .. } | EngineError::Changed { .. } => {
            Failure::new(Exit::Failed, what).hint("jit doctor")
        }
        EngineError::Unknown { .. } => Failure::new(Exit::Failed, what)
            .hint("the next sweep looks at what really happened: jit sweep"),
        EngineError::OtherLedger { .. } => Failure::new(Exit::Settings, what).hint(
            "use the ledger that the target belongs to, or another grantor role for this one",
        ),
        EngineError::NotSetUp { .. } => {
            Failure::new(Exit::Failed, what).hint("see what it needs: jit setup TARGET")
        }
    }
}
