//! Requests and leases into their tables: what moves into columns, what stands into a document beside them.

use std::fmt;

use rusqlite::{ToSql, Transaction, named_params, params};

use super::error::Fault;
use super::find::stored;
use super::lease_docs::Written;
use super::statements as sql;
use crate::access::{
    At, Course, Lease, LeaseId, LeaseState, Request, RequestId, SharedText, State,
};
use crate::stores::{Effect, StoreError};

pub(super) fn new_request(
    transaction: &Transaction<'_>,
    at: At,
    request: &Request,
) -> Result<(), Fault> {
    let course = request.course();
    transaction
        .prepare_cached(sql::REQUEST_INSERT)?
        .execute(named_params! {
            ":id": request.id.as_str(),
            ":state": course.state.word(),
            ":requester": request.requester.uid,
            ":target": request.target.as_str(),
            ":lapses_at": request.lapses_at.millis(),
            ":granted_at": course.granted_at.map(At::millis),
            ":expires_at": course.expires_at.map(At::millis),
            ":ended": ended(&course)?,
            ":ended_at": ended_at(&course, at),
            ":outcome": course.outcome,
        })?;
    let number = transaction.last_insert_rowid();
    transaction
        .prepare_cached(sql::REQUEST_DOC_INSERT)?
        .execute(params![number, serde_json::to_string(request)?])?;
    Ok(())
}

pub(super) fn save_request(
    transaction: &Transaction<'_>,
    at: At,
    was: State,
    request: &Request,
) -> Result<(), Fault> {
    let written = transaction
        .prepare_cached(sql::REQUEST_DOC_SAVE)?
        .execute(named_params! {
            ":id": request.id.as_str(),
            ":was": was.word(),
            ":requester": request.requester.uid,
            ":target": request.target.as_str(),
            ":lapses_at": request.lapses_at.millis(),
            ":doc": serde_json::to_string(request)?,
        })?;
    one(written, "request", &request.id)?;
    move_request(transaction, at, &request.id, was, &request.course())
}

pub(super) fn move_request(
    transaction: &Transaction<'_>,
    at: At,
    id: &RequestId,
    was: State,
    course: &Course,
) -> Result<(), Fault> {
    let written = transaction
        .prepare_cached(sql::REQUEST_MOVE)?
        .execute(params![
            id.as_str(),
            was.word(),
            course.state.word(),
            course.granted_at.map(At::millis),
            course.expires_at.map(At::millis),
            ended(course)?,
            ended_at(course, at),
            course.outcome,
        ])?;
    one(written, "request", id)
}

fn ended(course: &Course) -> Result<Option<String>, Fault> {
    Ok(course
        .ended
        .as_ref()
        .map(serde_json::to_string)
        .transpose()?)
}

/// A request that is final has an end: where it does not say when, it is now.
fn ended_at(course: &Course, at: At) -> Option<i64> {
    course
        .state
        .is_final()
        .then(|| course.ended_at.unwrap_or(at).millis())
}

pub(super) fn new_lease(
    transaction: &Transaction<'_>,
    docs: &mut Written,
    lease: &Lease,
) -> Result<(), Fault> {
    let doc = docs.of(transaction, lease)?;
    transaction
        .prepare_cached(sql::LEASE_INSERT)?
        .execute(params![
            lease.id.request.as_str(),
            lease.id.position,
            lease.target.as_str(),
            lease.state.word(),
            lease.state.is_live().then_some(1),
            doc.number,
            doc.column,
            lease.key().text(),
            lease.privilege.stamp,
            lease.expires_at.millis(),
            lease.boot_end.boot,
            stored(lease.boot_end.millis),
            lease.state.ended_at().map(At::millis),
            note(&lease.state),
        ])?;
    Ok(())
}

pub(super) fn save_lease(
    transaction: &Transaction<'_>,
    docs: &mut Written,
    lease: &Lease,
) -> Result<(), Fault> {
    let doc = docs.of(transaction, lease)?;
    let written = transaction
        .prepare_cached(sql::LEASE_SAVE)?
        .execute(named_params! {
            ":request": lease.id.request.as_str(),
            ":position": lease.id.position,
            ":target": lease.target.as_str(),
            ":key": lease.key().text(),
            ":expires_at": lease.expires_at.millis(),
            ":doc": doc.number,
            ":column": doc.column,
            ":stamp": lease.privilege.stamp,
            ":state": lease.state.word(),
            ":live": lease.state.is_live().then_some(1),
            ":ended_at": lease.state.ended_at().map(At::millis),
            ":note": note(&lease.state),
        })?;
    one(written, "lease", &lease.id)
}

/// Whether two effects, one behind the other, move leases that stand beside each other in one request the same way: one
/// statement does both.
pub(super) fn go_together(one: &Effect, next: &Effect) -> bool {
    let (Some((one, one_way)), Some((next, next_way))) = (moved(one), moved(next)) else {
        return false;
    };
    one.request == next.request
        && one.position.checked_add(1) == Some(next.position)
        && one_way == next_way
}

/// Where a lease goes: to this state, and with this stamp if it gets one.
#[derive(PartialEq)]
struct Way<'e> {
    state: &'e LeaseState,
    stamp: Option<&'e Option<SharedText>>,
}

/// The lease that an effect moves, if it moves one, and its way.
fn moved(effect: &Effect) -> Option<(&LeaseId, Way<'_>)> {
    let (id, state, stamp) = match effect {
        Effect::MoveLease { id, state } => (id, state, None),
        Effect::StampLease { id, state, stamp } => (id, state, Some(stamp)),
        _ => return None,
    };
    Some((id, Way { state, stamp }))
}

/// Moves a lease and those right behind it in its request, `count` in all; with `stamp` they get that one.
pub(super) fn move_leases(
    transaction: &Transaction<'_>,
    id: &LeaseId,
    count: usize,
    state: &LeaseState,
    stamp: Option<Option<&str>>,
) -> Result<(), Fault> {
    let one = count == 1;
    let last = i64::from(id.position) + i64::try_from(count).unwrap_or(i64::MAX) - 1;
    let (stamped, stamp) = (stamp.is_some(), stamp.flatten());
    let (request, word, note) = (id.request.as_str(), state.word(), note(state));
    let ended_at = state.ended_at().map(At::millis);
    // For many, SQLite makes itself a list of them first: dearer than one alone, and cheaper than two.
    let statement = match (ended_at.is_none(), one) {
        (true, true) => sql::LEASE_MOVE,
        (true, false) => sql::LEASES_MOVE,
        (false, true) => sql::LEASE_END,
        (false, false) => sql::LEASES_END,
    };
    let mut values: Vec<&dyn ToSql> = vec![&word, &note, &stamped, &stamp, &request, &id.position];
    if ended_at.is_some() {
        values.push(&ended_at);
    }
    if !one {
        values.push(&last);
    }
    let written = transaction.prepare_cached(statement)?.execute(&*values)?;
    match written == count {
        true => Ok(()),
        false if one => Err(StoreError::Conflict(format!("lease {id}")).into()),
        false => {
            Err(StoreError::Conflict(format!("one of the {count} leases from {id} on")).into())
        }
    }
}

/// Where nothing was written, somebody else has moved or ended it meanwhile.
fn one(written: usize, what: &str, id: &impl fmt::Display) -> Result<(), Fault> {
    match written {
        0 => Err(StoreError::Conflict(format!("{what} {id}")).into()),
        _ => Ok(()),
    }
}

/// What a state says beyond its word and its instant; read again by `rows::lease_state`.
fn note(state: &LeaseState) -> Option<&str> {
    match state {
        LeaseState::Owed | LeaseState::Held | LeaseState::Revoked { .. } => None,
        LeaseState::Disputed { why } | LeaseState::Gone { why, .. } => Some(why),
        LeaseState::Covered { by, .. } => Some(by.as_str()),
        LeaseState::Left { by, .. } => Some(by),
    }
}
