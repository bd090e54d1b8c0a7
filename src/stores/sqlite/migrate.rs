//! The schema's version.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::Fault;
use super::statements::MIGRATIONS;
use crate::stores::StoreError;

/// `jit1`: what makes an SQLite file a ledger of ours.
pub(super) const APPLICATION_ID: i64 = 0x6a69_7431;

/// Checks that this is a ledger, and brings its schema up to ours.
///
/// # Errors
/// `Damaged` for somebody else's database, `Newer` for one that a newer jit has changed.
pub(super) fn migrate(connection: &Connection, path: &Path) -> Result<(), Fault> {
    if is_ours(connection, path)?.is_empty() {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another operator may have been first.
    for step in pending(&transaction, path)? {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", ours())?;
    transaction.commit()?;
    Ok(())
}

/// As [`migrate`], where nothing can be written: an older schema is an error.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), Fault> {
    if is_ours(connection, path)?.is_empty() {
        return Ok(());
    }
    Err(StoreError::Unwritable {
        path: path.display().to_string(),
        why: "its schema is older than this jit, and its file system is read-only".into(),
    }
    .into())
}

/// The steps that are missing.
fn is_ours(connection: &Connection, path: &Path) -> Result<&'static [&'static str], Fault> {
    if pragma(connection, "application_id")? != APPLICATION_ID {
        return Err(StoreError::Damaged {
            path: path.display().to_string(),
            why: "it is not a ledger of jit".into(),
        }
        .into());
    }
    pending(connection, path)
}

/// Makes the schema in an empty database.
pub(super) fn begin(transaction: &Transaction<'_>) -> Result<(), Fault> {
    for step in MIGRATIONS {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", ours())?;
    Ok(())
}

fn ours() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn pending(connection: &Connection, path: &Path) -> Result<&'static [&'static str], Fault> {
    let theirs = pragma(connection, "user_version")?;
    usize::try_from(theirs)
        .ok()
        .and_then(|done| MIGRATIONS.get(done..))
        .ok_or_else(|| {
            StoreError::Newer {
                path: path.display().to_string(),
                theirs,
                ours: ours(),
            }
            .into()
        })
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
