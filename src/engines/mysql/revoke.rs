//! Takes privileges away, until no row is on disk.
//!
//! Neither OK nor an error of the server says what became of a row (facts-mysql, findings 1 and 2): rows are read
//! before, so that only what is there is named, and after. Measured besides, on MySQL 9.7 and MariaDB 10.11:
//!
//! - MySQL answers OK to a REVOKE in another case than the row's, and does nothing.
//! - MariaDB answers 1147 to it and drops the *table's* row: the column's row stays, opens nothing, survives FLUSH
//!   PRIVILEGES, cannot be revoked any more (1147), and opens the column again with the next grant on that table.
//!   Granting it in its own spelling and revoking it again removes it.
//! - Revoking two spellings of one column leaves the table's row behind on both servers; see `Rows::is_orphan`.
//!   Before the next FLUSH PRIVILEGES only a REVOKE of the whole table's SELECT removes it; after it, that is refused
//!   (1147), and granting and revoking any column does.
//! - `LOCK TABLES … WRITE` on the table keeps a GRANT, but not a REVOKE. FLUSH TABLES WITH READ LOCK keeps both:
//!   1205 on MySQL; MariaDB goes by `max_statement_time` alone (1969). There is no way around it but to end the
//!   session that holds the lock, which no policy speaks of: the error is reported, and the caller comes again.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::connection::Link;
use super::render::{self, RevokeWords};
use super::rows::{Place, Rows};
use super::sessions;
use super::takings::{Spot, Statement, of, statements};
use crate::access::names::same_but_for_case;
use crate::access::plan::RevokeStep;
use crate::access::{ColumnName, ShortText, TableName};
use crate::engines::{EngineError, Report};

/// After so many tables in a row that somebody's lock keeps, the rest is left to the next call: a global read lock
/// would otherwise cost one wait for each table.
const LOCKED: usize = 2;

/// See `Engine::revoke`.
pub(super) async fn revoke(link: &mut Link, steps: &[RevokeStep]) -> Vec<Report> {
    let places: Vec<Vec<Place>> = steps
        .iter()
        .map(|step| {
            step.privileges
                .iter()
                .filter_map(|privilege| Place::named(&privilege.named))
                .collect()
        })
        .collect();
    let all: Vec<Place> = places.iter().flatten().cloned().collect();
    match take(link, &all).await {
        Err(error) => steps
            .iter()
            .map(|_| Report {
                error: Some(error.clone()),
                ..Report::default()
            })
            .collect(),
        Ok(taken) => places
            .iter()
            .map(|places| Report {
                error: places
                    .iter()
                    .find_map(|place| taken.left.get(&of(place)).cloned()),
                batch: places
                    .first()
                    .and_then(|place| taken.batch_of(place).cloned()),
                ..Report::default()
            })
            .collect(),
    }
}

/// What became of it.
#[derive(Default)]
pub(super) struct Taken {
    /// What is still there, and why.
    pub(super) left: BTreeMap<Spot, EngineError>,
    /// Merged statements of each table, with their names.
    batches: BTreeMap<TableName, Vec<(Statement, String)>>,
}

impl Taken {
    fn batch_of(&self, place: &Place) -> Option<&String> {
        let statements = self.batches.get(&place.table)?;
        let (_, batch) = statements.iter().rev().find(|(statement, _)| {
            let mut columns = statement.columns.iter();
            statement.accounts.contains(&place.account)
                && columns.any(|column| same_but_for_case(&column.0, &place.column))
        })?;
        Some(batch)
    }
}

/// Takes all of it away; says what is left.
///
/// # Errors
/// Where the server could not be asked at all.
pub(super) async fn take(link: &mut Link, places: &[Place]) -> Result<Taken, EngineError> {
    let mut taken = Taken::default();
    if places.is_empty() {
        return Ok(taken);
    }
    link.ready().await?;
    let tables: BTreeSet<TableName> = places.iter().map(|place| place.table.clone()).collect();
    sessions::end_waiting(link, &tables).await?;

    let rows = Rows::read(link, &tables).await?;
    let one_account = link.server().is_mariadb();
    let words = link.server().words;
    let mut run = Run::new(link, words);
    for statement in statements(&rows, places, one_account) {
        if let Some(batch) = run.all(&statement).await {
            let of_table = taken.batches.entry(statement.table.clone());
            of_table.or_default().push((statement, batch));
        }
    }
    let mut errors = run.errors;

    let mut rows = Rows::read(link, &tables).await?;
    let stubborn = stubborn(&rows, places, &errors);
    if !stubborn.is_empty() {
        for (table, account, spelling) in stubborn {
            if let Err(error) = cure(link, &table, &account, &spelling).await {
                errors.insert((table, account), error);
            }
        }
        rows = Rows::read(link, &tables).await?;
        let leftover: BTreeSet<_> = places
            .iter()
            .filter(|place| rows.is_orphan(&place.table, &place.account))
            .map(|place| (place.table.clone(), place.account.clone()))
            .collect();
        for (table, account) in &leftover {
            let sql = render::revoke_leftover(table, account);
            if let Err(error) = link.run(&render::commented([], &sql)).await {
                errors.insert((table.clone(), account.clone()), error);
            }
        }
        if !leftover.is_empty() {
            rows = Rows::read(link, &tables).await?;
        }
    }
    for place in places {
        let spelled: Vec<_> = rows.variants(place).map(|row| row.column.clone()).collect();
        let orphan = rows.is_orphan(&place.table, &place.account);
        if spelled.is_empty() && !orphan {
            continue;
        }
        let error = errors
            .get(&(place.table.clone(), place.account.clone()))
            .cloned()
            .unwrap_or_else(|| EngineError::Changed {
                address: link.shown(),
                what: format!("SELECT on {} of {}", place.table, place.account),
                why: if spelled.is_empty() {
                    "its row in mysql.tables_priv is still there, without any column; FLUSH PRIVILEGES makes it \
                     harmless"
                        .to_owned()
                } else {
                    format!(
                        "still in mysql.columns_priv after the REVOKE, as {}",
                        spelled.join(", ")
                    )
                },
            });
        taken.left.insert(of(place), error);
    }
    Ok(taken)
}

/// Sends statements, smaller ones where one fails, and remembers the last error of each account and table.
struct Run<'l> {
    link: &'l mut Link,
    words: RevokeWords,
    errors: BTreeMap<(TableName, Account), EngineError>,
    /// The last table that was locked, and how many in a row.
    locked: Option<(TableName, usize)>,
}

impl<'l> Run<'l> {
    fn new(link: &'l mut Link, words: RevokeWords) -> Self {
        Self {
            link,
            words,
            errors: BTreeMap::new(),
            locked: None,
        }
    }

    /// The batch's name where several accounts were served at once.
    async fn all(&mut self, statement: &Statement) -> Option<String> {
        let several = statement.accounts.len() > 1;
        match self.send(statement).await {
            Ok(()) if several => Some(self.link.batch()),
            Ok(()) => None,
            Err(error) => {
                if is_locked(&error) || error.is_unreachable() {
                    self.remember(statement, &error);
                } else {
                    self.one_by_one(statement, &error).await;
                }
                None
            }
        }
    }

    /// Account by account, then column by column: what one of them spoils is lost to the others no more.
    async fn one_by_one(&mut self, statement: &Statement, error: &EngineError) {
        if statement.accounts.len() == 1 && statement.columns.len() == 1 {
            self.remember(statement, error);
            return;
        }
        for account in &statement.accounts {
            let of_one = Statement {
                accounts: vec![account.clone()],
                ..statement.clone()
            };
            if statement.accounts.len() > 1 && self.send(&of_one).await.is_ok() {
                continue;
            }
            for column in &statement.columns {
                let single = Statement {
                    columns: vec![column.clone()],
                    ..of_one.clone()
                };
                if let Err(error) = self.send(&single).await {
                    self.remember(&single, &error);
                    if is_locked(&error) || error.is_unreachable() {
                        break;
                    }
                }
            }
        }
    }

    async fn send(&mut self, statement: &Statement) -> Result<(), EngineError> {
        let mut count = 0;
        if let Some((table, locked)) = &self.locked {
            if *table == statement.table || *locked >= LOCKED {
                return Err(EngineError::Refused {
                    address: self.link.shown(),
                    statement: format!("REVOKE SELECT ON {}", render::table(&statement.table)),
                    code: "1205".to_owned(),
                    message: format!("not tried: somebody's lock on {table} keeps us waiting"),
                });
            }
            count = *locked;
        }
        let sql = render::revoke(
            self.words,
            &statement.table,
            &statement.columns,
            &statement.accounts,
        );
        let answer = self.link.run(&render::commented([], &sql)).await;
        match &answer {
            Err(error) if is_locked(error) => {
                self.locked = Some((statement.table.clone(), count + 1));
            }
            // It may still be waiting there; it must not outlive us.
            Err(error) if error.outcome_unknown() => {
                self.link.ready().await?;
                sessions::end_waiting(self.link, &BTreeSet::from([statement.table.clone()]))
                    .await?;
            }
            _ => self.locked = None,
        }
        answer
    }

    fn remember(&mut self, statement: &Statement, error: &EngineError) {
        for account in &statement.accounts {
            self.errors
                .insert((statement.table.clone(), account.clone()), error.clone());
        }
    }
}

/// Lock wait (1205, 1206, 3572) or time limit (1969, 3024): somebody is in the way.
pub(super) fn is_locked(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { code, .. }
        if matches!(code.as_str(), "1205" | "1206" | "3572" | "1969" | "3024" | "4024"))
}

/// What is there although it was revoked, where no lock explains it: table, account and the spelling to cure.
fn stubborn(
    rows: &Rows,
    places: &[Place],
    errors: &BTreeMap<(TableName, Account), EngineError>,
) -> BTreeSet<(TableName, Account, ShortText)> {
    let mut found = BTreeSet::new();
    for place in places {
        let account_table = (place.table.clone(), place.account.clone());
        if errors
            .get(&account_table)
            .is_some_and(|error| is_locked(error) || error.is_unreachable())
        {
            continue;
        }
        let spot = |spelling: &str| {
            (
                place.table.clone(),
                place.account.clone(),
                ShortText::from(spelling),
            )
        };
        found.extend(rows.variants(place).map(|row| spot(&row.column)));
        if rows.is_orphan(&place.table, &place.account)
            && !found
                .iter()
                .any(|(table, account, _)| *table == place.table && *account == place.account)
        {
            found.insert(spot(&place.column));
        }
    }
    found
}

/// Grants a column in the row's own spelling and revokes it again: then memory and disk agree. The lease still owes
/// its undo, so a crash in between leaves nothing that is not looked for.
async fn cure(
    link: &mut Link,
    table: &TableName,
    account: &Account,
    spelling: &str,
) -> Result<(), EngineError> {
    let columns = [ColumnName::from(spelling)];
    let accounts = [account.clone()];
    let grant = render::grant(table, &columns, &accounts);
    let revoke = render::revoke(RevokeWords::Strict, table, &columns, &accounts);
    link.ready().await?;
    link.run(&render::commented([], &grant)).await?;
    link.run(&render::commented([], &revoke)).await
}
