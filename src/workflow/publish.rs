//! What goes out of the ledger: audit lines to their file, views to the mailboxes.

use std::time::Duration;

use crate::stores::FindRequests;

use super::target::Failing;
use super::{Operator, view};

/// How many lines are written and fsynced at a time.
const BATCH: usize = 5000;
/// How long one operator waits for another that is writing.
const WAIT: Duration = Duration::from_secs(5);

/// Writes every line that the audit file still owes, each exactly once, fsynced.
///
/// # Errors
/// Where the file cannot take them; they stay owed in the ledger.
pub fn journal(op: &Operator) -> Result<usize, Failing> {
    let (marked, _) = op.ledger.journal_mark()?;
    if op.ledger.head()?.0 == marked {
        return Ok(0);
    }
    let Some(_lock) = op.ledger.lock("journal", WAIT)? else {
        return Err(Failing::Audit(
            "another operator has been writing the audit file for 5 s; it goes on at the next sweep".into(),
        ));
    };
    let mut written = 0;
    loop {
        let (marked, file) = op.ledger.journal_mark()?;
        let lines = op.ledger.lines_after(marked, BATCH)?;
        let Some(last) = lines.last() else { return Ok(written) };
        let newest = last.seq;
        written += lines.len();
        let _ = (newest, file);
        todo!()
    }
}

/// Puts into every mailbox what its owner may see now.
pub fn views(op: &Operator) -> Result<(), Failing> {
    let _ = FindRequests::default();
    let now = op.now();
    for person in op.inbox.people()? {
        let text = view::of_person(op, &person, &now)?;
        op.inbox.publish(&person, &text)?;
    }
    Ok(())
}
