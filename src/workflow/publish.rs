//! What goes out of the ledger: audit lines to their file, views to the mailboxes.

use std::path::Path;
use std::time::Duration;

use crate::audit::journal::{self, JournalError, Owed, Source};
use crate::failpoint;
use crate::stores::{Ledger, StoreError};

use super::target::Failing;
use super::{Operator, mailbox};

/// How long one operator waits for another that is writing.
const WAIT: Duration = Duration::from_secs(5);

/// The ledger as the journal reads it.
struct Lines<'l>(&'l dyn Ledger);

impl Source for Lines<'_> {
    type Error = StoreError;

    fn lines_after(&self, seq: u64, limit: usize) -> Result<Vec<Owed>, StoreError> {
        let lines = self.0.lines_after(seq, limit)?;
        Ok(lines
            .into_iter()
            .map(|owed| Owed {
                seq: owed.seq,
                line: owed.line,
            })
            .collect())
    }

    fn mark(&self) -> Result<(u64, Option<String>), StoreError> {
        self.0.journal_mark()
    }

    fn set_mark(&self, seq: u64, file: &str) -> Result<(), StoreError> {
        // The lines are in the file and fsynced; only the mark is missing.
        failpoint::reach("journal-written");
        self.0.set_journal_mark(seq, Some(file))
    }
}

/// Writes every line that the audit file still owes, each exactly once, fsynced; how many.
///
/// # Errors
/// Where the file cannot take them; they stay owed in the ledger.
pub fn journal(op: &Operator) -> Result<u64, Failing> {
    write_owed(op.ledger.as_ref(), &op.audit)
}

/// As [`journal`], where there is no operator yet: of a ledger that was made just now.
///
/// # Errors
/// Those of [`journal`].
pub fn write_owed(ledger: &dyn Ledger, file: &Path) -> Result<u64, Failing> {
    let (marked, _) = ledger.journal_mark()?;
    if ledger.head()?.0 == marked {
        return Ok(0);
    }
    let Some(lock) = ledger.lock("journal", WAIT)? else {
        return Err(Failing::Audit(
            "another operator has been writing the audit file for 5 s; it goes on at the next sweep".into(),
        ));
    };
    let written = journal::write_owed(file, &Lines(ledger), lock.as_ref()).map_err(audit)?;
    if written.lost > 0 {
        return Err(Failing::Audit(format!(
            "lines that had been written to {} were cut off since: {}; they are written again. Who did that?",
            file.display(),
            written.lost
        )));
    }
    Ok(written.lines)
}

/// Proves that the audit file can take lines now.
///
/// # Errors
/// With the reason.
pub fn prove_writable(op: &Operator) -> Result<(), Failing> {
    journal::prove_writable::<StoreError>(&op.audit).map_err(audit)
}

fn audit(error: JournalError<StoreError>) -> Failing {
    match error {
        JournalError::Source(error) => Failing::Ledger(error),
        other => Failing::Audit(other.to_string()),
    }
}

/// Puts into every mailbox what its owner may see now.
///
/// # Errors
/// The first that was met; the other mailboxes are filled all the same.
pub fn views(op: &Operator) -> Result<(), Failing> {
    let now = op.now();
    let mut failed = None;
    mailbox::of_everybody(op, &op.inbox.people()?, &now, &mut |person, sheet, text| {
        if let Err(error) = op.inbox.publish(person, sheet, text) {
            failed.get_or_insert(error);
        }
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
