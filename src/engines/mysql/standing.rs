//! How each privilege stands: our rows, told by exact account and by column in any case.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::account::Account;
use super::connection::{Link, Server};
use super::observe::{self, Shape};
use super::rights::{self, ByAccount, ColumnRow, TableRow, UserRow};
use super::stamp::{self, OTHERS, Ours, Stamp};
use crate::access::privilege::Thing;
use crate::access::{
    ColumnName, Grantee, Identity, Named, Privilege, PrivilegeKey, Standing, TableName,
};
use crate::engines::{EngineError, StillReads};

/// A privilege of this engine, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) table: TableName,
    pub(super) column: String,
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
    holders: HashMap<TableName, HashMap<String, BTreeSet<Account>>>,
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
        let mut holders: HashMap<TableName, HashMap<String, BTreeSet<Account>>> = HashMap::new();
        for (table, accounts) in &columns {
            let of_table = holders.entry(table.clone()).or_default();
            for (account, rows) in accounts {
                for row in rows {
                    of_table
                        .entry(row.column.to_lowercase())
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
        let column = place.column.to_lowercase();
        self.held(&place.table, &place.account)
            .iter()
            .filter(move |row| row.column.to_lowercase() == column)
    }

    /// All who hold a column, in whatever spelling.
    fn holders(&self, table: &TableName, column: &str) -> impl Iterator<Item = &Account> {
        self.holders
            .get(table)
            .and_then(|columns| columns.get(&column.to_lowercase()))
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

    fn stamp(&self, table: &TableName, account: &Account, row: &ColumnRow, mariadb: bool) -> Stamp {
        // Only rows of the same second can pass for ours later; on MariaDB, which has no times, those are all.
        let others: Vec<String> = self
            .holders(table, &row.column)
            .filter(|other| {
                *other != account
                    && self
                        .held(table, other)
                        .iter()
                        .any(|other| other.at == row.at)
            })
            .take(OTHERS + 1)
            .map(ToString::to_string)
            .collect();
        let of_table = self.table(table, account);
        let time = |at: &str| (!mariadb).then(|| at.to_owned());
        let many = others.len() > OTHERS;
        Stamp {
            column: row.column.clone(),
            at: time(&row.at),
            table_at: of_table.and_then(|row| time(&row.at)),
            grantor: of_table.map(|row| row.grantor.clone()),
            others: if many { Vec::new() } else { others },
            many,
        }
    }
}

fn tables_of(places: &[Option<Place>]) -> BTreeSet<TableName> {
    places
        .iter()
        .flatten()
        .map(|place| place.table.clone())
        .collect()
}

/// What is known of one privilege from all leases that were handed in.
#[derive(Default)]
struct Known {
    stamps: Vec<Stamp>,
    spellings: Vec<String>,
}

pub(super) async fn privileges(
    link: &mut Link,
    of: &[Privilege],
) -> Result<Vec<Standing>, EngineError> {
    let places: Vec<Option<Place>> = of.iter().map(Place::of).collect();
    let tables = tables_of(&places);
    let rows = Rows::read(link, &tables).await?;
    let users = observe::users(link).await?;
    let missing: BTreeSet<TableName> = places
        .iter()
        .flatten()
        .filter(|place| rows.variants(place).next().is_none())
        .map(|place| place.table.clone())
        .collect();
    let shapes = observe::shapes(link, &missing).await?;

    let mut known: HashMap<PrivilegeKey, Known> = HashMap::new();
    let mut holders: HashSet<(TableName, String, Account)> = HashSet::new();
    for (privilege, place) in of.iter().zip(&places) {
        let Some(place) = place else { continue };
        let known = known.entry(privilege.key()).or_default();
        known
            .stamps
            .extend(privilege.stamp.as_deref().and_then(Stamp::read));
        known.spellings.push(place.column.clone());
        holders.insert((
            place.table.clone(),
            place.column.to_lowercase(),
            place.account.clone(),
        ));
    }
    let look = Look {
        server: link.server(),
        rows: &rows,
        users: &users,
        shapes: &shapes,
        known: &known,
        holders: &holders,
    };
    Ok(of
        .iter()
        .zip(&places)
        .map(|(privilege, place)| match place {
            Some(place) => look.standing(privilege, place),
            None => Standing::Gone {
                why: "it is no privilege of MySQL or MariaDB".to_owned(),
            },
        })
        .collect())
}

/// One look at the catalog.
struct Look<'l> {
    server: &'l Server,
    rows: &'l Rows,
    users: &'l HashMap<Account, UserRow>,
    shapes: &'l HashMap<TableName, Shape>,
    known: &'l HashMap<PrivilegeKey, Known>,
    /// Who holds which column by a lease that was handed in.
    holders: &'l HashSet<(TableName, String, Account)>,
}

impl Look<'_> {
    fn standing(&self, privilege: &Privilege, place: &Place) -> Standing {
        let recorded = privilege.stamp.as_deref().and_then(Stamp::read);
        let rows: Vec<&ColumnRow> = self.rows.variants(place).collect();
        if let Some(row) = rows
            .iter()
            .find(|row| row.column == place.column)
            .or(rows.first())
        {
            let stamps: Vec<Stamp> = rows
                .iter()
                .map(|row| {
                    self.rows
                        .stamp(&place.table, &place.account, row, self.server.is_mariadb())
                })
                .collect();
            let contested = recorded.and_then(|recorded| {
                let known = self.known.get(&privilege.key())?;
                stamp::contested(
                    &recorded,
                    &stamps,
                    &Ours {
                        user: &self.server.grantor,
                        stamps: &known.stamps,
                        spellings: &known.spellings,
                    },
                )
            });
            return Standing::Held {
                named: named(place, &place.account, &row.column),
                grantable: false,
                stamp: stamps
                    .iter()
                    .find(|stamp| stamp.column == row.column)
                    .and_then(Stamp::text),
                contested,
            };
        }
        if self.rows.is_orphan(&place.table, &place.account) {
            return Standing::Held {
                named: named(place, &place.account, &place.column),
                grantable: false,
                stamp: None,
                contested: None,
            };
        }
        if let Some(held) = self.renamed(place, recorded.as_ref()) {
            return held;
        }
        self.absent(place)
    }

    /// RENAME USER moves the rows and keeps their times. The account's old name may even exist again. A row that
    /// was not there at our stamp, of an account that no lease handed in explains, and on MySQL of our row's very
    /// second, may be ours: a person decides, because a later grant to somebody else can look the same.
    fn renamed(&self, place: &Place, recorded: Option<&Stamp>) -> Option<Standing> {
        let recorded = recorded.filter(|stamp| !stamp.many)?;
        let exists = self.users.contains_key(&place.account);
        if exists && self.server.is_mariadb() {
            return None;
        }
        let column = place.column.to_lowercase();
        let candidates: Vec<(&Account, &ColumnRow)> = self
            .rows
            .holders(&place.table, &column)
            .filter(|account| {
                **account != place.account
                    && !recorded.others.contains(&account.to_string())
                    && !self.holders.contains(&(
                        place.table.clone(),
                        column.clone(),
                        (*account).clone(),
                    ))
            })
            .filter_map(|account| {
                let row = self
                    .rows
                    .held(&place.table, account)
                    .iter()
                    .find(|row| row.column == recorded.column)?;
                (self.server.is_mariadb() || Some(&row.at) == recorded.at.as_ref())
                    .then_some((account, row))
            })
            .collect();
        let (first, row) = candidates.first()?;
        let names: Vec<_> = candidates
            .iter()
            .map(|(account, _)| account.to_string())
            .collect();
        let (grantee, who) = match names.as_slice() {
            [one] => ((*first).clone(), one.clone()),
            _ => (place.account.clone(), names.join(" or ")),
        };
        Some(Standing::Held {
            named: named(place, &grantee, &row.column),
            grantable: false,
            stamp: None,
            contested: Some(format!(
                "{} {}, and {who} holds this column and did not before: it looks like a renamed account that took \
                 our privilege along",
                place.account,
                if exists {
                    "does not hold it any more"
                } else {
                    "does not exist any more"
                }
            )),
        })
    }

    fn absent(&self, place: &Place) -> Standing {
        if !self.users.contains_key(&place.account) {
            let others: Vec<String> = self
                .rows
                .holders(&place.table, &place.column)
                .map(ToString::to_string)
                .collect();
            let mut why = format!("account {} does not exist any more", place.account);
            if !others.is_empty() {
                why.push_str(&format!(
                    "; should it have been renamed, these hold the column: {}",
                    others.join(", ")
                ));
            }
            return Standing::Gone { why };
        }
        match observe::spelled(self.shapes, &place.table, self.server.exact_tables) {
            None => Standing::Gone {
                why: format!(
                    "table {} does not exist any more, or our account may not see it",
                    place.table
                ),
            },
            Some((table, shape)) => match shape.column(&place.column) {
                None => Standing::Gone {
                    why: format!(
                        "column {} of {table} does not exist any more, or our account may not see it",
                        place.column
                    ),
                },
                Some(column) => Standing::Absent {
                    named: named(place, &place.account, &column.name),
                },
            },
        }
    }
}

fn named(place: &Place, account: &Account, column: &str) -> Named {
    Named {
        grantee: Grantee::from(account),
        thing: Thing::Column {
            table: place.table.clone(),
            column: ColumnName(column.to_owned()),
        },
    }
}

/// How the grantees can still read, our rows left out.
pub(super) async fn still_reads(
    link: &mut Link,
    of: &[Privilege],
) -> Result<Vec<StillReads>, EngineError> {
    let places: Vec<Option<Place>> = of
        .iter()
        .map(|privilege| Place::named(&privilege.named))
        .collect();
    let rights = observe::rights(link, &tables_of(&places)).await?;
    let mut ways = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (privilege, place) in of.iter().zip(&places) {
        let Some(place) = place else { continue };
        if !rights.users.contains_key(&place.account) {
            continue;
        }
        let ways = ways
            .entry((place.account.clone(), place.table.clone()))
            .or_insert_with(|| rights.ways(&place.account, &place.table));
        let ours = place.key();
        for how in ways.of(&place.column, &|key| *key == ours) {
            found.insert(StillReads {
                key: privilege.key(),
                how,
            });
        }
    }
    Ok(found.into_iter().collect())
}

/// Of ended leases, those whose row is there again by our hand, as far as the rows tell it.
///
/// MySQL: the last statement on the account's table was ours and touched this very column; or the row still has the
/// time of our own stamp. MariaDB has no times and keeps only the table's last grantor, so there a row counts only
/// where we have given this account nothing else on this table, lately or now: otherwise a DBA's own grant could
/// pass for ours, and be taken.
pub(super) async fn strays(
    link: &mut Link,
    owned: &HashSet<PrivilegeKey>,
    known: &[Privilege],
) -> Result<Vec<Privilege>, EngineError> {
    let places: Vec<Option<Place>> = known.iter().map(Place::of).collect();
    let rows = Rows::read(link, &tables_of(&places)).await?;
    let server = link.server();
    let mut given: HashMap<(TableName, Account), HashSet<String>> = HashMap::new();
    for place in places.iter().flatten() {
        given
            .entry((place.table.clone(), place.account.clone()))
            .or_default()
            .insert(place.column.to_lowercase());
    }
    let live: HashSet<(TableName, Account)> = owned.iter().filter_map(table_of_key).collect();

    let mut strays: BTreeMap<PrivilegeKey, Privilege> = BTreeMap::new();
    for (privilege, place) in known.iter().zip(&places) {
        let Some(place) = place else { continue };
        if owned.contains(&privilege.key()) {
            continue;
        }
        let Some(row) = rows.variants(place).find(|row| row.column == place.column) else {
            continue;
        };
        let today = rows.stamp(&place.table, &place.account, row, server.is_mariadb());
        let recorded = privilege.stamp.as_deref().and_then(Stamp::read);
        let account_table = (place.table.clone(), place.account.clone());
        let ours = if today.grantor.is_none() {
            // A column's row without its table's: it opens nothing, but would with the next grant.
            true
        } else if server.is_mariadb() {
            today.by(&server.grantor)
                && !live.contains(&account_table)
                && given.get(&account_table).is_some_and(|set| set.len() == 1)
        } else {
            (today.by(&server.grantor) && today.is_last())
                || recorded.is_some_and(|stamp| stamp.at == today.at)
        };
        if ours {
            strays.entry(privilege.key()).or_insert_with(|| Privilege {
                identity: privilege.identity.clone(),
                named: named(place, &place.account, &row.column),
                stamp: today.text(),
            });
        }
    }
    Ok(strays.into_values().collect())
}

/// Table and account of a key, which is JSON behind its prefix.
fn table_of_key(key: &PrivilegeKey) -> Option<(TableName, Account)> {
    let parts: Vec<String> = serde_json::from_str(key.0.strip_prefix("my:")?).ok()?;
    match parts.as_slice() {
        [database, table, _, user, host] => Some((
            TableName::new(database.clone(), table.clone()),
            Account::new(user.clone(), host),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_its_table_and_account() {
        let table = TableName::new("my shop", "c");
        let account = Account::new("o'neil", "10.%");
        let key = rights::key(&table, &account, "SSN");
        assert_eq!(table_of_key(&key), Some((table, account)));
    }
}
