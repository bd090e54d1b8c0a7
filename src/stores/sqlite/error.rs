//! From SQLite's errors to the store's.

use std::path::Path;

use rusqlite::ErrorCode;

use super::BUSY;
use crate::stores::StoreError;

/// What can go wrong inside a transaction: SQLite's word, or our own.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Store(StoreError),
    /// A document in the ledger, or one to be written, is not what it should be.
    Document(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Document(error.to_string())
    }
}

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Reading,
    Writing,
}

impl Fault {
    /// Whether giving the reserve back may help: no room, or a file that could not be made for want of it.
    pub(super) fn may_be_full(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
        )
    }

    /// Whether the ledger may still be readable by one of the other ways of opening it.
    pub(super) fn may_be_unwritable(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        self.may_be_full() || error.sqlite_error_code() == Some(ErrorCode::ReadOnly)
    }

    /// The store's error for it.
    pub(super) fn told(self, path: &Path, doing: Doing) -> StoreError {
        let path = path.display().to_string();
        let error = match self {
            Self::Store(error) => return error,
            Self::Document(why) => return StoreError::Damaged { path, why },
            Self::Sql(error) => error,
        };
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy {
                path,
                seconds: BUSY.as_secs(),
            },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged { path, why }
            }
            Some(ErrorCode::ConstraintViolation) => StoreError::Unlawful { path, why },
            Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) => StoreError::Unwritable { path, why },
            _ if doing == Doing::Writing => StoreError::Unwritable { path, why },
            _ => StoreError::Unreadable { path, why },
        }
    }
}
