//! What our account holds already, so that `jit setup` names only what is missing.

use std::collections::BTreeSet;

use foldhash::HashSet;
use mysql_async::Params;

use super::account::Account;
use super::connection::Link;
use super::observe;
use super::quote;
use super::rights::Rights;
use crate::access::TableName;
use crate::engines::EngineError;

/// The grant tables and the policies' tables as far as one account is concerned.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    account: Option<Account>,
    rights: Rights,
    /// Tables of `mysql` of which it may read all columns.
    seen: HashSet<String>,
    user_columns: HashSet<String>,
    everywhere: HashSet<String>,
}

/// Reads them as whoever `link` is; nothing is known to be held where it may not look. `seen`: tables of `mysql`.
///
/// # Errors
/// Those of the server, but not that something may not be read.
pub(super) async fn read(
    link: &mut Link,
    account: &Account,
    tables: &BTreeSet<TableName>,
    seen: &[&str],
) -> Result<Holdings, EngineError> {
    match looked(link, account, tables, seen).await {
        Err(EngineError::NotSetUp { .. } | EngineError::Refused { .. }) => Ok(Holdings::default()),
        held => held,
    }
}

async fn looked(
    link: &mut Link,
    account: &Account,
    tables: &BTreeSet<TableName>,
    seen: &[&str],
) -> Result<Holdings, EngineError> {
    let rights = observe::rights(link, tables).await?;
    let system = seen.iter().map(|table| TableName::new("mysql", *table));
    let rows = observe::table_rows(link, &system.collect()).await?;
    let user = BTreeSet::from([TableName::new("mysql", "user")]);
    let columns = observe::column_rows(link, &user).await?;
    Ok(Holdings {
        seen: rows
            .into_iter()
            .filter(|(_, rows)| rows.get(account).is_some_and(|row| row.select))
            .map(|(table, _)| table.table.into())
            .collect(),
        user_columns: columns
            .into_values()
            .filter_map(|mut rows| rows.remove(account))
            .flatten()
            .map(|row| row.column.as_str().to_lowercase())
            .collect(),
        everywhere: everywhere(link, account).await?,
        account: Some(account.clone()),
        rights,
    })
}

/// What an account holds on `*.*` itself, in the server's words.
///
/// # Errors
/// Those of the server; `Refused` where we may not see it.
pub(super) async fn everywhere(
    link: &mut Link,
    account: &Account,
) -> Result<HashSet<String>, EngineError> {
    let grants = format!("SHOW GRANTS FOR {}", quote::account(account));
    let lines: Vec<(String,)> = observe::read(link, &grants, Params::Empty).await?;
    Ok(lines
        .iter()
        .flat_map(|(line,)| of_everything(line))
        .collect())
}

/// The privileges of a line of SHOW GRANTS that is about everything.
fn of_everything(line: &str) -> Vec<String> {
    let named = line
        .strip_prefix("GRANT ")
        .and_then(|rest| rest.split_once(" ON *.* TO "));
    named.map_or_else(Vec::new, |(privileges, _)| {
        privileges.split(", ").map(str::to_owned).collect()
    })
}

impl Holdings {
    pub(super) fn may_hand_out(&self, table: &TableName) -> bool {
        self.account
            .as_ref()
            .is_some_and(|account| self.rights.may_give(account, table))
    }

    pub(super) fn sees(&self, system_table: &str) -> bool {
        self.seen.contains(system_table)
    }

    /// `columns` as a statement lists them.
    pub(super) fn sees_of_user(&self, columns: &str) -> bool {
        columns
            .split(", ")
            .all(|column| self.user_columns.contains(&column.to_lowercase()))
    }

    /// A privilege on `*.*`, in the server's word.
    pub(super) fn everywhere(&self, privilege: &str) -> bool {
        self.everywhere.contains(privilege)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_about_everything_count() {
        let of = |line: &str| of_everything(line).join("|");
        assert_eq!(of("GRANT PROCESS ON *.* TO `jit`@`%`"), "PROCESS");
        assert_eq!(
            of("GRANT PROCESS, CONNECTION ADMIN ON *.* TO `jit`@`%` IDENTIFIED BY PASSWORD '*6'"),
            "PROCESS|CONNECTION ADMIN"
        );
        assert_eq!(of("GRANT SELECT ON `shop`.`customers` TO `jit`@`%`"), "");
        assert_eq!(of("GRANT `r`@`%` TO `jit`@`%`"), "");
    }

    #[test]
    fn nothing_is_held_where_nothing_was_seen() {
        let held = Holdings::default();
        assert!(!held.may_hand_out(&TableName::new("shop", "c")) && !held.sees("db"));
        assert!(!held.sees_of_user("User") && !held.everywhere("PROCESS"));
    }
}
