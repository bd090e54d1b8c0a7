//! Reading rows.

use rusqlite::{Connection, OptionalExtension, Params};
use serde::de::DeserializeOwned;

use super::error::Fault;
use super::statements as sql;
use crate::access::LedgerId;
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

/// All documents of the first column.
pub(super) fn documents<T: DeserializeOwned>(
    connection: &Connection,
    statement: &str,
    params: impl Params,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    each_document(connection, statement, params, |document| {
        found.push(document);
        Ok(())
    })?;
    Ok(found)
}

/// The same, one by one.
pub(super) fn each_document<T: DeserializeOwned>(
    connection: &Connection,
    statement: &str,
    params: impl Params,
    mut take: impl FnMut(T) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        take(serde_json::from_str(text)?)?;
    }
    Ok(())
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
