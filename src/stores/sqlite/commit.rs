//! Everything that is written: one transaction a step.

use std::ops::Range;

use rusqlite::{Transaction, TransactionBehavior, named_params, params};

use super::error::{Doing, Fault};
use super::find::{fact_word, stored};
use super::{SqliteLedger, lease_docs, open, put, reserve, rows, statements as sql};
use crate::access::hold::Hold;
use crate::access::{At, LedgerId, Now};
use crate::audit::chain;
use crate::stores::{Change, DrainedSubmission, Effect, StoreError};

impl SqliteLedger {
    /// Runs one write transaction, whole or not at all. Where the disk is full, the reserve is given back and it
    /// is tried once more.
    pub(super) fn write<T>(
        &self,
        work: impl Fn(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        if self.access == open::Access::ReadOnly {
            return Err(StoreError::Unwritable {
                path: self.shown(),
                why: match open::is_read_only(&self.path) {
                    true => "its file system is read-only".into(),
                    false => {
                        "no file can be made beside it; is the disk full, or out of inodes?".into()
                    }
                },
            });
        }
        let once = || {
            let transaction =
                Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            crate::failpoint::reach("ledger-committed");
            Ok::<T, Fault>(done)
        };
        match once() {
            Err(fault) if fault.may_be_full() && reserve::give_back(&self.path) => once(),
            done => done,
        }
        .map_err(|fault: Fault| fault.told(&self.path, Doing::Writing))
    }
}

/// Writes some changes, seals their events and moves the latest instant seen on.
///
/// Effects are written in an order of their own, in which the schema's laws can be kept whatever order they were
/// given in: what is new first, then leases, and requests last, because a request that becomes final may have no
/// live lease any more.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    id: &LedgerId,
    host: &str,
    now: &Now,
    changes: &[Change],
) -> Result<Range<u64>, Fault> {
    let mut effects: Vec<&Effect> = changes.iter().flat_map(|change| &change.effects).collect();
    effects.sort_by_key(|effect| rank(effect));
    // Before the effects: a reset replaces it.
    let boot_millis = stored(now.boot.millis);
    let seen = params![now.at.millis(), now.boot.boot, boot_millis];
    transaction
        .prepare_cached(sql::SEEN_ADVANCE)?
        .execute(seen)?;
    let mut docs = lease_docs::Written::default();
    for alike in effects.chunk_by(|one, next| put::go_together(one, next)) {
        if let Some(first) = alike.first() {
            write(transaction, now.at, first, alike.len(), &mut docs)?;
        }
    }

    let (newest, mut prev) = rows::head(transaction, id)?;
    let mut seq = newest;
    let mut insert = transaction.prepare_cached(sql::EVENT_INSERT)?;
    for draft in changes.iter().flat_map(|change| &change.events) {
        seq += 1;
        let sealed = chain::seal(draft, seq, now.at, host, &prev)?;
        let request = draft.request.as_ref().map(|id| id.as_str());
        insert.execute(params![request, sealed.line])?;
        // The line says its number, so the row must have got that one.
        if transaction.last_insert_rowid() != stored(seq) {
            return Err(StoreError::Conflict(format!("event {seq}")).into());
        }
        prev = sealed.hash;
    }
    Ok(newest + 1..seq + 1)
}

pub(super) fn set_journal_mark(
    transaction: &Transaction<'_>,
    seq: u64,
    file: Option<&str>,
) -> Result<(), Fault> {
    transaction
        .prepare_cached(sql::JOURNAL_MARK_SET)?
        .execute(params![stored(seq), file])?;
    Ok(())
}

fn rank(effect: &Effect) -> u8 {
    match effect {
        Effect::Submission(_) => 0,
        Effect::Seen(_)
        | Effect::KeepText { .. }
        | Effect::SetFact { .. }
        | Effect::NewHold(_)
        | Effect::SaveHold(_)
        | Effect::ResetSeen(_) => 1,
        Effect::NewRequest(_) => 2,
        Effect::NewLease(_) => 3,
        Effect::SaveLease(_) | Effect::MoveLease { .. } | Effect::StampLease { .. } => 4,
        Effect::SaveRequest { .. } | Effect::MoveRequest { .. } => 5,
    }
}

/// Writes one effect; a move of a lease also for those that [`put::go_together`] with it, `alike` in all.
fn write(
    transaction: &Transaction<'_>,
    at: At,
    effect: &Effect,
    alike: usize,
    docs: &mut lease_docs::Written,
) -> Result<(), Fault> {
    match effect {
        Effect::Submission(submission) => drained(transaction, submission)?,
        Effect::Seen(person) => {
            let mut statement = transaction.prepare_cached(sql::PERSON_SEEN)?;
            statement.execute(params![person.uid, person.name])?;
        }
        Effect::NewRequest(request) => put::new_request(transaction, at, request)?,
        Effect::SaveRequest { was, now } => put::save_request(transaction, at, *was, now)?,
        Effect::MoveRequest { id, was, course } => {
            put::move_request(transaction, at, id, *was, course)?;
        }
        Effect::NewLease(lease) => put::new_lease(transaction, docs, lease)?,
        Effect::SaveLease(lease) => put::save_lease(transaction, docs, lease)?,
        Effect::MoveLease { id, state } => put::move_leases(transaction, id, alike, state, None)?,
        Effect::StampLease { id, state, stamp } => {
            put::move_leases(transaction, id, alike, state, Some(stamp.as_deref()))?;
        }
        Effect::KeepText { hash, body } => {
            let mut statement = transaction.prepare_cached(sql::TEXT_KEEP)?;
            statement.execute([hash, body])?;
        }
        Effect::SetFact { fact, value } => {
            let mut statement = transaction.prepare_cached(sql::FACT_SET)?;
            statement.execute([fact_word(*fact), value])?;
        }
        Effect::NewHold(hold) => {
            put_hold(transaction, sql::HOLD_INSERT, hold)?;
        }
        Effect::SaveHold(hold) => {
            if put_hold(transaction, sql::HOLD_SAVE, hold)? == 0 {
                return Err(StoreError::Conflict(format!("hold {}", hold.number)).into());
            }
        }
        Effect::ResetSeen(now) => {
            let seen = params![now.at.millis(), now.boot.boot, stored(now.boot.millis)];
            transaction.prepare_cached(sql::SEEN_RESET)?.execute(seen)?;
        }
    }
    Ok(())
}

fn drained(transaction: &Transaction<'_>, submission: &DrainedSubmission) -> Result<(), Fault> {
    let written = transaction
        .prepare_cached(sql::SUBMISSION_INSERT)?
        .execute(named_params! {
            ":digest": submission.digest,
            ":uid": submission.person.uid,
            ":name": submission.person.name,
            ":at": submission.at.millis(),
            ":act": submission.act,
            ":outcome": submission.outcome,
            ":request": submission.request.as_ref().map(|id| id.as_str()),
        })?;
    if written == 0 {
        return Err(StoreError::AlreadyDrained(submission.digest.clone()).into());
    }
    Ok(())
}

fn put_hold(transaction: &Transaction<'_>, statement: &str, hold: &Hold) -> Result<usize, Fault> {
    let resumed_at = hold.resumed.as_ref().map(|resumed| resumed.at.millis());
    let doc = serde_json::to_string(hold)?;
    let mut statement = transaction.prepare_cached(statement)?;
    Ok(statement.execute(params![hold.number, resumed_at, doc])?)
}
