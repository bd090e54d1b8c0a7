//! PURE. Which REVOKEs take exactly the rows that are there.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::rows::{Place, Rows};
use crate::access::names::lowercase;
use crate::access::{ColumnName, ShortText, TableName};

/// Accounts in one statement; far below any packet limit.
const ACCOUNTS: usize = 200;

/// Table, account and column in lower case.
pub(super) type Spot = (TableName, Account, ShortText);

/// Where a place is.
pub(super) fn of(place: &Place) -> Spot {
    (
        place.table.clone(),
        place.account.clone(),
        lowercase(&place.column).into(),
    )
}

/// One REVOKE: some spellings of columns of one table, from accounts that all have exactly these rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) table: TableName,
    pub(super) columns: Vec<ColumnName>,
    pub(super) accounts: Vec<Account>,
}

/// The fewest statements that name exactly the rows that are there. Several spellings of one column go into
/// statements of their own, one after the other.
pub(super) fn statements(rows: &Rows, places: &[Place], one_account: bool) -> Vec<Statement> {
    // What each account has of each table, by column: its spellings.
    let mut there: BTreeMap<(TableName, Account), BTreeMap<ShortText, BTreeSet<ShortText>>> =
        BTreeMap::new();
    for place in places {
        for row in rows.variants(place) {
            there
                .entry((place.table.clone(), place.account.clone()))
                .or_default()
                .entry(lowercase(&row.column).into())
                .or_default()
                .insert(row.column.clone());
        }
    }
    let mut merged: BTreeMap<(usize, TableName, Vec<ColumnName>), Vec<Account>> = BTreeMap::new();
    for ((table, account), columns) in there {
        let most = columns.values().map(BTreeSet::len).max().unwrap_or(0);
        for layer in 0..most {
            let spellings: Vec<ColumnName> = columns
                .values()
                .filter_map(|spellings| spellings.iter().nth(layer))
                .map(|spelling| ColumnName(spelling.clone()))
                .collect();
            merged
                .entry((layer, table.clone(), spellings))
                .or_default()
                .push(account.clone());
        }
    }
    let most = if one_account { 1 } else { ACCOUNTS };
    merged
        .into_iter()
        .flat_map(|((_, table, columns), accounts)| {
            accounts
                .chunks(most)
                .map(|accounts| Statement {
                    table: table.clone(),
                    columns: columns.clone(),
                    accounts: accounts.to_vec(),
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::mysql::render::{self, RevokeWords};
    use crate::engines::mysql::rights::ColumnRow;
    use foldhash::{HashMap, HashMapExt};

    fn rows(held: &[(&str, &str)]) -> Rows {
        let mut accounts: HashMap<Account, Vec<ColumnRow>> = HashMap::new();
        for (user, column) in held {
            accounts
                .entry(Account::new(*user, "%"))
                .or_default()
                .push(ColumnRow {
                    column: (*column).into(),
                    at: String::new().into(),
                });
        }
        let columns = HashMap::from_iter([(TableName::new("shop", "c"), accounts)]);
        Rows::new(columns, HashMap::new())
    }

    fn place(user: &str, column: &str) -> Place {
        Place {
            table: TableName::new("shop", "c"),
            column: column.into(),
            account: Account::new(user, "%"),
        }
    }

    fn shown(statements: Vec<Statement>) -> Vec<String> {
        statements
            .iter()
            .map(|s| render::revoke(RevokeWords::Strict, &s.table, &s.columns, &s.accounts))
            .collect()
    }

    #[test]
    fn only_rows_that_are_there_are_named_and_equal_sets_are_merged() {
        let rows = rows(&[
            ("a", "email"),
            ("a", "ssn"),
            ("b", "email"),
            ("b", "ssn"),
            ("c", "ssn"),
        ]);
        let places: Vec<_> = ["a", "b", "c", "d"]
            .iter()
            .flat_map(|user| [place(user, "email"), place(user, "ssn")])
            .collect();
        assert_eq!(
            shown(statements(&rows, &places, false)),
            [
                "REVOKE SELECT (`email`, `ssn`) ON `shop`.`c` FROM 'a'@'%', 'b'@'%'",
                "REVOKE SELECT (`ssn`) ON `shop`.`c` FROM 'c'@'%'",
            ]
        );
        assert_eq!(statements(&rows, &places, true).len(), 3);
    }

    #[test]
    fn each_spelling_has_its_own_statement() {
        let rows = rows(&[("a", "SSN"), ("a", "ssn"), ("a", "email")]);
        let places = [place("a", "Ssn"), place("a", "email")];
        assert_eq!(
            shown(statements(&rows, &places, false)),
            [
                "REVOKE SELECT (`email`, `SSN`) ON `shop`.`c` FROM 'a'@'%'",
                "REVOKE SELECT (`ssn`) ON `shop`.`c` FROM 'a'@'%'",
            ]
        );
    }

    #[test]
    fn what_nobody_leased_is_not_named() {
        let rows = rows(&[("a", "email"), ("a", "note")]);
        assert_eq!(
            shown(statements(&rows, &[place("a", "email")], false)),
            ["REVOKE SELECT (`email`) ON `shop`.`c` FROM 'a'@'%'"]
        );
    }
}
