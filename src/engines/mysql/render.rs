//! The only place where GRANT and REVOKE become text. Names are always qualified: a statement that leans on a
//! default database is replicated by other rules (facts-mysql, finding 9).

use super::account::Account;
use super::quote;
use crate::access::{ColumnName, RequestId, TableName};

/// Which words of REVOKE the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RevokeWords {
    /// `REVOKE IF EXISTS … IGNORE UNKNOWN USER`: MySQL 8.0.30 and later. A replica without the row goes on.
    Lenient,
    /// Every row must be there.
    Strict,
}

/// A table as SQL names it.
pub(super) fn table(table: &TableName) -> String {
    format!(
        "{}.{}",
        quote::identifier(&table.schema),
        quote::identifier(&table.table)
    )
}

fn columns(columns: &[ColumnName]) -> String {
    let quoted: Vec<_> = columns.iter().map(|c| quote::identifier(&c.0)).collect();
    quoted.join(", ")
}

fn accounts(accounts: &[Account]) -> String {
    let quoted: Vec<_> = accounts.iter().map(quote::account).collect();
    quoted.join(", ")
}

/// `GRANT SELECT (…) ON … TO …`, all columns of one table in one statement.
pub(super) fn grant(on: &TableName, what: &[ColumnName], to: &[Account]) -> String {
    format!(
        "GRANT SELECT ({}) ON {} TO {}",
        columns(what),
        table(on),
        accounts(to)
    )
}

/// The matching REVOKE.
pub(super) fn revoke(
    words: RevokeWords,
    on: &TableName,
    what: &[ColumnName],
    from: &[Account],
) -> String {
    let (before, after) = match words {
        RevokeWords::Lenient => ("IF EXISTS ", " IGNORE UNKNOWN USER"),
        RevokeWords::Strict => ("", ""),
    };
    format!(
        "REVOKE {before}SELECT ({}) ON {} FROM {}{after}",
        columns(what),
        table(on),
        accounts(from)
    )
}

/// Takes away SELECT on a table as a whole, and on all of its columns: only where rows show that there is none.
pub(super) fn revoke_leftover(on: &TableName, from: &Account) -> String {
    format!(
        "REVOKE SELECT ON {} FROM {}",
        table(on),
        quote::account(from)
    )
}

/// What a DBA runs where we may not give a table's columns.
pub(super) fn hand_out(on: &TableName, to: &Account) -> String {
    format!(
        "GRANT SELECT ON {} TO {} WITH GRANT OPTION",
        table(on),
        quote::account(to)
    )
}

/// What every comment of ours begins with; `sessions` finds our own statements by it.
pub(super) const MARK: &str = "/* jit ";

/// Puts the requests' ids in front, so that a statement that waits can be told apart in the process list.
pub(super) fn commented<'r>(
    requests: impl IntoIterator<Item = &'r RequestId>,
    statement: &str,
) -> String {
    let ids: Vec<_> = requests.into_iter().map(RequestId::as_str).collect();
    let word = if ids.is_empty() {
        "undo".to_owned()
    } else {
        ids.join(" ")
    };
    format!("{MARK}{word} */ {statement}")
}

/// Whether a statement of the process list carries one of these ids.
pub(super) fn carries(statement: &str, requests: &[RequestId]) -> bool {
    statement
        .strip_prefix(MARK)
        .and_then(|rest| rest.split_once(" */"))
        .is_some_and(|(ids, _)| {
            ids.split(' ')
                .any(|id| requests.iter().any(|request| request.as_str() == id))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seed: &[u8]) -> RequestId {
        RequestId::of_submission(1, seed)
    }

    #[test]
    fn statements_name_everything_in_full_and_quoted() {
        let on = TableName::new("my shop", "or`der");
        let what = [ColumnName::from("e.mail"), ColumnName::from("SSN")];
        let who = [Account::new("o'neil", "%"), Account::new("bob", "10.%")];
        assert_eq!(
            grant(&on, &what, &who),
            "GRANT SELECT (`e.mail`, `SSN`) ON `my shop`.`or``der` TO 'o''neil'@'%', 'bob'@'10.%'"
        );
        assert_eq!(
            revoke(RevokeWords::Lenient, &on, &what[..1], &who[1..]),
            "REVOKE IF EXISTS SELECT (`e.mail`) ON `my shop`.`or``der` FROM 'bob'@'10.%' IGNORE UNKNOWN USER"
        );
        assert_eq!(
            revoke(RevokeWords::Strict, &on, &what[..1], &who[1..]),
            "REVOKE SELECT (`e.mail`) ON `my shop`.`or``der` FROM 'bob'@'10.%'"
        );
    }

    #[test]
    fn a_waiting_statement_is_known_by_its_request() {
        let (one, two, three) = (id(b"1"), id(b"2"), id(b"3"));
        let statement = commented([&one, &two], "GRANT x");
        assert!(carries(&statement, std::slice::from_ref(&two)));
        assert!(!carries(&statement, std::slice::from_ref(&three)));
        assert!(!carries(&format!("SELECT '{one}'"), &[one]));
        assert!(!carries(&commented([], "REVOKE x"), &[two]));
    }
}
