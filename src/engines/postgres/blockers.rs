//! Who is in the way: for whoever must ask them to leave.

use tokio_postgres::types::Type;

use crate::engines::EngineError;

use super::identities::Spot;
use super::identity::get;
use super::link::Link;
use super::transaction::Piece;

const BLOCKERS: &str = include_str!("sql/blockers.sql");

/// Adds to a lock's error who holds the table. Anything else, and where nobody is seen (a wait for somebody's
/// uncommitted change of the same catalog row leaves no trace once it is over), comes back as it was.
pub async fn named(link: &Link, pieces: &[Piece], error: EngineError) -> EngineError {
    let EngineError::Refused {
        address,
        statement,
        code,
        message,
    } = error
    else {
        return error;
    };
    let mut message = message;
    if code == "55P03"
        && let Ok(seen) = seen(link, pieces).await
        && !seen.is_empty()
    {
        message = format!("{message}; in the way: {}", seen.join(", "));
    }
    EngineError::Refused {
        address,
        statement,
        code,
        message,
    }
}

async fn seen(link: &Link, pieces: &[Piece]) -> Result<Vec<String>, EngineError> {
    let relations: Vec<u32> = pieces
        .iter()
        .flat_map(|piece| &piece.rows)
        .filter_map(|(entry, _)| match entry.spot {
            Spot::Column { relation, .. } => Some(relation),
            Spot::Schema { .. } => None,
        })
        .collect();
    let rows = link
        .ask(
            "who is in the way",
            BLOCKERS,
            vec![(&relations, Type::OID_ARRAY)],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let (pid, who): (i32, Option<String>) = (get(row, 0)?, get(row, 1)?);
            Ok(format!(
                "session {pid} of {} with a lock on {}",
                who.unwrap_or_else(|| "the server".to_owned()),
                get::<String>(row, 2)?
            ))
        })
        .collect()
}
