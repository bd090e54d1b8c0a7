//! What can go wrong with the durable state.

/// An error of a store. Texts are lower case and name the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has moved it meanwhile: read again.
    #[error("{0} has changed meanwhile")]
    Conflict(String),
    /// This submission is in the ledger already.
    #[error("submission {0} is drained already")]
    AlreadyDrained(String),
    /// The schema refuses such a write: a move that is not in the table of moves, a change of what is final. Our bug.
    #[error("{path} refuses that write: {why}")]
    Unlawful { path: String, why: String },
    /// Nothing was changed.
    #[error("there is a ledger at {0} already")]
    Exists(String),
    #[error("there is no ledger at {0}")]
    Missing(String),
    #[error("there is no inbox at {0}")]
    NoInbox(String),
    #[error("the ledger {path} was made by a newer jit (its version {theirs}, ours {ours})")]
    Newer {
        path: String,
        theirs: i64,
        ours: i64,
    },
    /// Nothing in it was changed.
    #[error(
        "the ledger {0} was made by a jit from before its first release, which kept it in another form"
    )]
    Older(String),
    /// Others could have meddled with it, or it was there before us.
    #[error("{path} is not as jit makes it: {why}")]
    NotOurs { path: String, why: String },
    /// No space, read-only, an I/O error: it cannot be written now.
    #[error("cannot write {path}: {why}")]
    Unwritable { path: String, why: String },
    #[error("cannot read {path}: {why}")]
    Unreadable { path: String, why: String },
    #[error("{path} is damaged: {why}")]
    Damaged { path: String, why: String },
    #[error("{path} was kept busy by another process for {seconds} s")]
    Busy { path: String, seconds: u64 },
}
