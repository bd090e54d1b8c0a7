//! The rows about some tables, and the place of one privilege among them.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt};

use super::account::Account;
use super::connection::Link;
use super::observe;
use super::rights::{self, ByAccount, ColumnRow, TableRow};
use super::stamp::{OTHERS, Stamp};
use crate::access::names::{lowercase, same_but_for_case};
use crate::access::privilege::Thing;
use crate::access::{
    ColumnName, Grantee, Identity, Named, Privilege, PrivilegeKey, ShortText, TableName,
};
use crate::engines::EngineError;

/// A privilege of this engine, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) table: TableName,
    pub(super) column: ShortText,
    pub(super) account: Account,
}

impl Place {
    /// By identity. `None` for another engine's privilege.
    pub(super) fn of(privilege: &Privilege) -> Option<Self> {
        match &privilege.identity {
            Identity::MysqlColumn {
                database,
                table,
                column,
                user,
                host,
            } => Some(Self {
                table: TableName::new(database.clone(), table.clone()),
                column: column.clone(),
                account: Account::new(user.clone(), host),
            }),
            _ => None,
        }
    }

    /// By the names of today, which differ from the identity after RENAME USER.
    pub(super) fn named(named: &Named) -> Option<Self> {
        match &named.thing {
            Thing::Column { table, column } => Some(Self {
                table: table.clone(),
                column: column.0.clone(),
                account: Account::from(&named.grantee),
            }),
            Thing::Schema(_) => None,
        }
    }

    pub(super) fn key(&self) -> PrivilegeKey {
        rights::key(&self.table, &self.account, &self.column)
    }
}

/// The rows about some tables, as they are now.
pub(super) struct Rows {
    columns: ByAccount<Vec<ColumnRow>>,
    tables: ByAccount<TableRow>,
    /// Who holds a column, by table and the column in lower case.
    holders: HashMap<TableName, HashMap<ShortText, BTreeSet<Account>>>,
}

impl Rows {
    pub(super) async fn read(
        link: &mut Link,
        tables: &BTreeSet<TableName>,
    ) -> Result<Self, EngineError> {
        let columns = observe::column_rows(link, tables).await?;
        let tables = observe::table_rows(link, tables).await?;
        Ok(Self::new(columns, tables))
    }

    pub(super) fn new(columns: ByAccount<Vec<ColumnRow>>, tables: ByAccount<TableRow>) -> Self {
        let mut holders: HashMap<TableName, HashMap<ShortText, BTreeSet<Account>>> = HashMap::new();
        for (table, accounts) in &columns {
            let of_table = holders.entry(table.clone()).or_default();
            for (account, rows) in accounts {
                for row in rows {
                    of_table
                        .entry(lowercase(&row.column).into())
                        .or_default()
                        .insert(account.clone());
                }
            }
        }
        Self {
            columns,
            tables,
            holders,
        }
    }

    /// All SELECT column rows of an account on a table.
    pub(super) fn held(&self, table: &TableName, account: &Account) -> &[ColumnRow] {
        self.columns
            .get(table)
            .and_then(|accounts| accounts.get(account))
            .map_or(&[], Vec::as_slice)
    }

    /// The spellings of one column.
    pub(super) fn variants(&self, place: &Place) -> impl Iterator<Item = &ColumnRow> {
        self.held(&place.table, &place.account)
            .iter()
            .filter(|row| same_but_for_case(&row.column, &place.column))
    }

    /// All who hold a column, in whatever spelling.
    pub(super) fn holders(
        &self,
        table: &TableName,
        column: &str,
    ) -> impl Iterator<Item = &Account> {
        self.holders
            .get(table)
            .and_then(|columns| columns.get(lowercase(column).as_ref()))
            .into_iter()
            .flatten()
    }

    fn table(&self, table: &TableName, account: &Account) -> Option<&TableRow> {
        self.tables.get(table)?.get(account)
    }

    /// A table's row that says SELECT on columns while no column has it. It comes from revoking two spellings of one
    /// column, and until the next FLUSH PRIVILEGES it still lets COUNT(*) through, and on MariaDB HANDLER, which
    /// reads whole rows (measured). So it counts as not taken away.
    pub(super) fn is_orphan(&self, table: &TableName, account: &Account) -> bool {
        self.table(table, account)
            .is_some_and(|row| row.columns && !row.select)
            && self.held(table, account).is_empty()
    }

    /// Who was last at an account's rights on a table, and when, where anything is left of them.
    pub(super) fn last_hand(&self, table: &TableName, account: &Account) -> Option<(&str, &str)> {
        let row = self.table(table, account)?;
        Some((&row.grantor, &row.at))
    }

    /// The stamp of a row, to be kept.
    pub(super) fn stamp(&self, place: &Place, row: &ColumnRow, mariadb: bool) -> Stamp {
        // Only rows of the same second can pass for ours later; on MariaDB, which has no times, those are all.
        let others: Vec<ShortText> = self
            .holders(&place.table, &row.column)
            .filter(|other| {
                **other != place.account
                    && self
                        .held(&place.table, other)
                        .iter()
                        .any(|other| other.at == row.at)
            })
            .take(OTHERS + 1)
            .map(Account::text)
            .collect();
        let many = others.len() > OTHERS;
        Stamp {
            others: if many { Vec::new() } else { others },
            many,
            ..self.times(place, row, mariadb)
        }
    }

    /// The same without who else holds the column: what a kept one is compared to.
    pub(super) fn times(&self, place: &Place, row: &ColumnRow, mariadb: bool) -> Stamp {
        let of_table = self.table(&place.table, &place.account);
        let time = |at: &str| (!mariadb).then(|| ShortText::from(at));
        Stamp {
            column: row.column.clone(),
            at: time(&row.at),
            table_at: of_table.and_then(|row| time(&row.at)),
            grantor: of_table.map(|row| row.grantor.clone()),
            others: Vec::new(),
            many: false,
            at_once: false,
        }
    }
}

/// The tables that they lie on.
pub(super) fn tables_of(places: &[Option<Place>]) -> BTreeSet<TableName> {
    places
        .iter()
        .flatten()
        .map(|place| place.table.clone())
        .collect()
}

/// The place by the names that it has for an account and a spelling.
pub(super) fn named(place: &Place, account: &Account, column: &str) -> Named {
    Named {
        grantee: Grantee::from(account),
        thing: Thing::Column {
            table: place.table.clone(),
            column: ColumnName(column.into()),
        },
    }
}
