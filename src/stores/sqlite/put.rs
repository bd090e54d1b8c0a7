//! Requests and leases into their tables: what moves into columns, what stands into a document beside them.

use std::fmt;

use rusqlite::{Transaction, named_params, params};

use super::error::Fault;
use super::find::stored;
use super::statements as sql;
use crate::access::{At, Course, Lease, LeaseId, LeaseState, Request, RequestId, State};
use crate::stores::StoreError;

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
        .execute(named_params! {
            ":id": id.as_str(),
            ":was": was.word(),
            ":state": course.state.word(),
            ":granted_at": course.granted_at.map(At::millis),
            ":expires_at": course.expires_at.map(At::millis),
            ":ended": ended(course)?,
            ":ended_at": ended_at(course, at),
            ":outcome": course.outcome,
        })?;
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

pub(super) fn new_lease(transaction: &Transaction<'_>, lease: &Lease) -> Result<(), Fault> {
    let boot_due = lease.boot.millis.saturating_add(lease.ttl.millis());
    transaction
        .prepare_cached(sql::LEASE_INSERT)?
        .execute(named_params! {
            ":request": lease.id.request.as_str(),
            ":position": lease.id.position,
            ":target": lease.target.as_str(),
            ":state": lease.state.word(),
            ":key": lease.key().to_string(),
            ":expires_at": lease.expires_at.millis(),
            ":boot": lease.boot.boot,
            ":boot_due": stored(boot_due),
            ":ended_at": lease.state.ended_at().map(At::millis),
            ":note": note(&lease.state),
        })?;
    let number = transaction.last_insert_rowid();
    transaction
        .prepare_cached(sql::LEASE_DOC_INSERT)?
        .execute(params![number, serde_json::to_string(lease)?])?;
    Ok(())
}

pub(super) fn save_lease(transaction: &Transaction<'_>, lease: &Lease) -> Result<(), Fault> {
    let written = transaction
        .prepare_cached(sql::LEASE_DOC_SAVE)?
        .execute(named_params! {
            ":request": lease.id.request.as_str(),
            ":position": lease.id.position,
            ":target": lease.target.as_str(),
            ":key": lease.key().to_string(),
            ":expires_at": lease.expires_at.millis(),
            ":doc": serde_json::to_string(lease)?,
        })?;
    one(written, "lease", &lease.id)?;
    move_lease(transaction, &lease.id, &lease.state)
}

pub(super) fn move_lease(
    transaction: &Transaction<'_>,
    id: &LeaseId,
    state: &LeaseState,
) -> Result<(), Fault> {
    let written = transaction
        .prepare_cached(sql::LEASE_MOVE)?
        .execute(named_params! {
            ":request": id.request.as_str(),
            ":position": id.position,
            ":state": state.word(),
            ":ended_at": state.ended_at().map(At::millis),
            ":note": note(state),
        })?;
    one(written, "lease", id)
}

/// Where nothing was written, somebody else has moved or ended it meanwhile.
fn one(written: usize, what: &str, id: &impl fmt::Display) -> Result<(), Fault> {
    match written {
        0 => Err(StoreError::Conflict(format!("{what} {id}")).into()),
        _ => Ok(()),
    }
}

/// What a state says beyond its word and its instant; read again by `rows::lease`.
fn note(state: &LeaseState) -> Option<&str> {
    match state {
        LeaseState::Owed | LeaseState::Held | LeaseState::Revoked { .. } => None,
        LeaseState::Disputed { why } | LeaseState::Gone { why, .. } => Some(why),
        LeaseState::Covered { by, .. } => Some(by.as_str()),
        LeaseState::Left { by, .. } => Some(by),
    }
}
