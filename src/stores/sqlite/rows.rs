//! Reading rows.

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;

use super::error::Fault;
use super::statements as sql;
use crate::access::ids::NotAnId;
use crate::access::key::NotAKey;
use crate::access::{At, Course, LeaseId, LeaseState, LedgerId, PrivilegeKey, Request, RequestId};
use crate::audit::chain::{Hash, Link};

/// One text, or none.
pub(super) fn text(
    connection: &Connection,
    statement: &str,
    params: impl Params,
) -> Result<Option<String>, Fault> {
    Ok(connection
        .prepare_cached(statement)?
        .query_row(params, |row| row.get(0))
        .optional()?)
}

/// All texts of the first column.
pub(super) fn texts(
    connection: &Connection,
    statement: &str,
    params: impl Params,
) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare_cached(statement)?;
    let rows = statement.query_map(params, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All rows, each read by `read`.
pub(super) fn all<T>(
    connection: &Connection,
    statement: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    each(connection, statement, params, read, |one| {
        found.push(one);
        Ok(())
    })?;
    Ok(found)
}

/// The same, one by one.
pub(super) fn each<T>(
    connection: &Connection,
    statement: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
    mut take: impl FnMut(T) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        take(read(row)?)?;
    }
    Ok(())
}

/// The document in the first column.
pub(super) fn document<T: DeserializeOwned>(row: &Row<'_>) -> Result<T, Fault> {
    Ok(serde_json::from_str(word(row, 0)?)?)
}

/// A request, from the columns of requests_whole.sql.
pub(super) fn request(row: &Row<'_>) -> Result<Request, Fault> {
    let at = |column| -> Result<Option<At>, Fault> {
        let millis: Option<i64> = row.get(column)?;
        Ok(millis.map(At::from_millis))
    };
    let ended = row.get_ref(4)?.as_str_or_null().map_err(unlike)?;
    Ok(document::<Request>(row)?.on(Course {
        state: word(row, 1)?.parse().map_err(Fault::Document)?,
        granted_at: at(2)?,
        expires_at: at(3)?,
        ended: ended.map(serde_json::from_str).transpose()?,
        ended_at: at(5)?,
        outcome: row.get(6)?,
    }))
}

/// The state of a lease, from its word, end and note, which are in this column and the two behind it.
pub(super) fn lease_state(
    row: &Row<'_>,
    column: usize,
    lease: &LeaseId,
) -> Result<LeaseState, Fault> {
    let ended_at = || -> Result<At, Fault> { Ok(At::from_millis(row.get(column + 1)?)) };
    let note = || -> Result<String, Fault> { Ok(row.get(column + 2)?) };
    Ok(match word(row, column)? {
        "owed" => LeaseState::Owed,
        "held" => LeaseState::Held,
        "disputed" => LeaseState::Disputed { why: note()? },
        "revoked" => LeaseState::Revoked {
            ended_at: ended_at()?,
        },
        "gone" => LeaseState::Gone {
            ended_at: ended_at()?,
            why: note()?,
        },
        "covered" => LeaseState::Covered {
            ended_at: ended_at()?,
            by: id(&note()?)?,
        },
        "left" => LeaseState::Left {
            ended_at: ended_at()?,
            by: note()?,
        },
        other => {
            return Err(Fault::Document(format!(
                "lease {lease} is in no state of ours: {other}"
            )));
        }
    })
}

/// The id of a request.
pub(super) fn id(text: &str) -> Result<RequestId, Fault> {
    text.parse()
        .map_err(|error: NotAnId| Fault::Document(error.to_string()))
}

pub(super) fn key(text: &str) -> Result<PrivilegeKey, Fault> {
    text.parse()
        .map_err(|error: NotAKey| Fault::Document(error.to_string()))
}

/// The text in a column.
pub(super) fn word<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, Fault> {
    row.get_ref(column)?.as_str().map_err(unlike)
}

pub(super) fn unlike(error: FromSqlError) -> Fault {
    rusqlite::Error::from(error).into()
}

/// Number and hash of the newest event; 0 and the ledger's own hash where there is none.
pub(super) fn head(connection: &Connection, id: &LedgerId) -> Result<(u64, Hash), Fault> {
    let newest: Option<(i64, String)> = connection
        .prepare_cached(sql::EVENT_HEAD)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, line)) = newest else {
        return Ok((0, Hash::start(id)));
    };
    let link = Link::of(line.as_bytes())
        .map_err(|why| Fault::Document(format!("event {seq} is not an audit line: {why}")))?;
    if i64::try_from(link.seq) != Ok(seq) {
        return Err(Fault::Document(format!(
            "event {seq} says that it is {}",
            link.seq
        )));
    }
    Ok((link.seq, link.hash))
}
