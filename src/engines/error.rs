//! What can go wrong between us and a server.

/// An error of an engine. Texts are lower case, name target and server, and never hold a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers there, or not in time; nothing was sent.
    #[error("cannot reach {address}: {why}")]
    Unreachable { address: String, why: String },
    /// Somebody answers but does not let us in: password, certificate, host rule.
    #[error("{address} does not let {user} in: {why}")]
    Denied {
        address: String,
        user: String,
        why: String,
    },
    /// Somebody answers, and we do not go in: the certificate, or what is asked of us, is not what the url's
    /// `sslmode` asks for. Nothing secret was sent. The text ends with the setting to change.
    #[error("{address} is not trusted: {why}")]
    Untrusted { address: String, why: String },
    /// The password could not be had: the file, variable or command that should give it failed.
    #[error("no password for {address}: {why}")]
    NoPassword { address: String, why: String },
    /// The server refused a statement and nothing of it was done. Its code and words are kept as they came.
    #[error("{address} refused `{statement}`: {message} ({code})")]
    Refused {
        address: String,
        statement: String,
        /// SQLSTATE on Postgres, the error number on MySQL and MariaDB.
        code: String,
        message: String,
    },
    /// The answer was lost, timed out, or may be partial: it may have happened. Observe.
    #[error("no certain answer from {address} to `{statement}`: {why}")]
    Unknown {
        address: String,
        statement: String,
        why: String,
    },
    /// What the names lead to has changed since it was surveyed, or a grant did not show in the catalog.
    #[error("{what} on {address}: {why}")]
    Changed {
        address: String,
        what: String,
        why: String,
    },
    /// The target carries the mark of another ledger.
    #[error("{address} belongs to another ledger ({theirs}), not to this one ({ours})")]
    OtherLedger {
        address: String,
        theirs: String,
        ours: String,
    },
    /// The target is not set up: our grantor role, or something that our account must see, is missing.
    #[error("{address} is not set up for jit: {why}")]
    NotSetUp { address: String, why: String },
}

impl EngineError {
    /// Whether the statement may have taken effect although this error came back.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Whether the whole target is out of reach, rather than one statement refused.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Denied { .. }
                | Self::Untrusted { .. }
                | Self::NoPassword { .. }
        )
    }
}
