//! The ledger's mark on the target: the comment of the grantor role.

use crate::access::LedgerId;
use crate::engines::EngineError;

use super::link::Link;
use super::observe;
use super::quote::{self, BadName};

const BEFORE: &str = "jit ledger ";
const AFTER: &str = ": what jit grants is granted by this role";

/// What the comment says of whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Nobody,
    Ledger(LedgerId),
    /// Somebody's own words.
    Other(String),
}

/// Reads a comment.
pub fn mark(comment: Option<&str>) -> Mark {
    match comment {
        None | Some("") => Mark::Nobody,
        Some(text) => match text.strip_prefix(BEFORE) {
            None => Mark::Other(text.to_owned()),
            Some(rest) => {
                let id = rest.split([':', ' ']).next().unwrap_or("");
                Mark::Ledger(LedgerId(id.to_owned()))
            }
        },
    }
}

/// The statement that puts the ledger's id there.
pub fn statement(grantor: &str, ledger: &LedgerId) -> Result<String, BadName> {
    Ok(format!(
        "COMMENT ON ROLE {} IS {}",
        quote::role(grantor)?,
        quote::literal(&format!("{BEFORE}{ledger}{AFTER}"))?
    ))
}

/// Finds the ledger's id on the grantor role, or puts it there where our login may: it seldom may, for that takes
/// CREATEROLE, and so `jit setup` prints it.
pub async fn claim(link: &Link, grantor: &str, ledger: &LedgerId) -> Result<(), EngineError> {
    let not_set_up = |why: String| EngineError::NotSetUp {
        address: link.shown().to_owned(),
        why,
    };
    let Some(role) = observe::grantor(link, grantor).await? else {
        return Err(not_set_up(format!(
            "role {grantor} does not exist; `jit setup` prints what to run"
        )));
    };
    let sql = statement(grantor, ledger).map_err(|bad| not_set_up(bad.to_string()))?;
    match mark(role.comment.as_deref()) {
        Mark::Ledger(theirs) if theirs == *ledger => return Ok(()),
        Mark::Ledger(theirs) => {
            return Err(EngineError::OtherLedger {
                address: link.shown().to_owned(),
                theirs: theirs.to_string(),
                ours: ledger.to_string(),
            });
        }
        Mark::Other(text) => {
            return Err(not_set_up(format!(
                "role {grantor} has a comment that is not jit's ({text:?}); if the role is jit's to use, run: {sql}"
            )));
        }
        Mark::Nobody => {}
    }
    match link.run(&sql).await {
        Ok(()) => {}
        Err(EngineError::Refused { .. }) => {
            return Err(not_set_up(format!(
                "role {grantor} does not carry this ledger's id, and our login may not write it; run: {sql}"
            )));
        }
        Err(error) => return Err(error),
    }
    // Two ledgers may have found it empty at the same moment: the last to write is the one that stays.
    let now = observe::grantor(link, grantor).await?;
    match mark(now.and_then(|role| role.comment).as_deref()) {
        Mark::Ledger(theirs) if theirs == *ledger => Ok(()),
        Mark::Ledger(theirs) => Err(EngineError::OtherLedger {
            address: link.shown().to_owned(),
            theirs: theirs.to_string(),
            ours: ledger.to_string(),
        }),
        Mark::Nobody | Mark::Other(_) => Err(not_set_up(format!(
            "role {grantor} lost the ledger's id as soon as it was written"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back() {
        let ledger = LedgerId("0123456789abcdef0123456789abcdef".to_owned());
        let sql = statement("jit_grantor", &ledger).unwrap();
        let comment = sql.split_once('\'').unwrap().1.trim_end_matches('\'');
        assert_eq!(mark(Some(comment)), Mark::Ledger(ledger));
        assert_eq!(mark(None), Mark::Nobody);
        assert!(matches!(mark(Some("of the DBA")), Mark::Other(_)));
    }
}
