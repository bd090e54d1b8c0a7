//! People, as the operating system or the ledger's server recognised them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A person of this host: user id and the name it had when recognised.
///
/// Made only by whoever authenticated it (`identity`, the inbox); never from a flag or a file's content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person {
    pub uid: u32,
    pub name: String,
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Who an event is about: a person, or the operator's own work (expiry, strays, recovery).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Person(Person),
    /// `jit` itself, run by this person.
    Sweep(Person),
}

impl Actor {
    /// The `actor` key of an event.
    pub fn name(&self) -> &str {
        match self {
            Self::Person(person) => &person.name,
            Self::Sweep(_) => "jit",
        }
    }

    /// The `via` key of an event: how the actor was recognised.
    pub fn via(&self) -> String {
        match self {
            Self::Person(person) => format!("uid:{}", person.uid),
            Self::Sweep(person) => format!("sweep:uid:{}", person.uid),
        }
    }
}
