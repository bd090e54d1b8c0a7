//! Gives: every order whole, or not at all.
//!
//! GRANT is not transactional (facts-mysql, "Not transactional"): what an order's statements had given before one of
//! them failed is taken back, but nothing that was there before. An answer that does not come says nothing: the rows
//! are read.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashSet, HashSetExt};

use super::account::Account;
use super::connection::Link;
use super::observe::{self, Shape};
use super::render;
use super::revoke;
use super::rights::UserRow;
use super::rows::{Place, Rows};
use super::sessions;
use crate::access::{ColumnName, RequestId, TableName};
use crate::engines::{EngineError, GrantOrder, Report};

/// Accounts in one statement; far below any packet limit.
const ACCOUNTS: usize = 100;
/// Orders of one account in one statement: their ids stand in its comment.
const ORDERS: usize = 200;

/// The columns of each table.
type Sets = BTreeMap<TableName, Vec<ColumnName>>;

/// One order, taken apart.
struct Job {
    request: RequestId,
    places: Vec<Place>,
    /// By account. Nearly always one.
    sets: BTreeMap<Account, Sets>,
}

impl Job {
    /// Account and columns, where it is for one account.
    fn alone(&self) -> Option<(&Account, &Sets)> {
        self.sets.iter().next().filter(|_| self.sets.len() == 1)
    }
}

/// See `Engine::grant`.
pub(super) async fn grant(link: &mut Link, orders: &[GrantOrder]) -> Vec<Report> {
    let mut reports: Vec<Report> = orders.iter().map(|_| Report::default()).collect();
    if let Err(error) = give(link, orders, &mut reports).await {
        for report in &mut reports {
            report.error.get_or_insert_with(|| error.clone());
        }
    }
    reports
}

/// Writes into the reports what concerns single orders.
///
/// # Errors
/// What kept all of them, before anything was sent.
async fn give(
    link: &mut Link,
    orders: &[GrantOrder],
    reports: &mut [Report],
) -> Result<(), EngineError> {
    if orders.is_empty() {
        return Ok(());
    }
    link.ready().await?;
    let tables: BTreeSet<TableName> = orders
        .iter()
        .flat_map(|order| &order.privileges)
        .filter_map(|privilege| Place::of(privilege).map(|place| place.table))
        .collect();
    sessions::end_waiting(link, &tables).await?;
    let shapes = observe::shapes(link, &tables).await?;
    let users = observe::users(link).await?;
    let before = Rows::read(link, &tables).await?;

    let mut jobs: BTreeMap<usize, Job> = BTreeMap::new();
    for (number, order) in orders.iter().enumerate() {
        match job(link, order, &shapes, &users) {
            Ok(job) => {
                jobs.insert(number, job);
            }
            Err(error) => reports[number].error = Some(error),
        }
    }
    let mut giving = Giving {
        link,
        before: &before,
        given: HashSet::new(),
    };
    for group in groups(&jobs, giving.link.server().is_mariadb()) {
        let members: Vec<(usize, &Job)> = group
            .iter()
            .filter_map(|number| Some((*number, jobs.get(number)?)))
            .collect();
        giving.group(&members, reports).await;
    }
    Ok(())
}

/// Checks that the names still lead to what was surveyed: there is nothing else to hold on to here.
fn job(
    link: &Link,
    order: &GrantOrder,
    shapes: &HashMap<TableName, Shape>,
    users: &HashMap<Account, UserRow>,
) -> Result<Job, EngineError> {
    let changed = |what: String, why: String| EngineError::Changed {
        address: link.shown(),
        what,
        why,
    };
    let mut job = Job {
        request: order.request.clone(),
        places: Vec::new(),
        sets: BTreeMap::new(),
    };
    for privilege in &order.privileges {
        let place = Place::of(privilege)
            .filter(|place| {
                Place::named(&privilege.named).as_ref().map(Place::key) == Some(place.key())
            })
            .ok_or_else(|| {
                changed(
                    "the order".to_owned(),
                    "it names something else than it was surveyed for".to_owned(),
                )
            })?;
        if !users.contains_key(&place.account) {
            return Err(changed(
                format!("account {}", place.account),
                "it does not exist any more".to_owned(),
            ));
        }
        let shape = shapes.get(&place.table).filter(|shape| shape.is_table());
        let Some(shape) = shape else {
            return Err(changed(
                format!("table {}", place.table),
                "it is no table any more, or our account may not see it".to_owned(),
            ));
        };
        if !shape
            .columns
            .iter()
            .any(|column| column.name == place.column)
        {
            return Err(changed(
                format!("column {} of {}", place.column, place.table),
                "it does not exist any more, or is spelled otherwise".to_owned(),
            ));
        }
        let columns = job
            .sets
            .entry(place.account.clone())
            .or_default()
            .entry(place.table.clone())
            .or_default();
        let column = ColumnName(place.column.clone());
        if !columns.contains(&column) {
            columns.push(column);
        }
        job.places.push(place);
    }
    Ok(job)
}

/// Orders that can share their statements: of one account and one table whatever their columns, since the server gives
/// or refuses the columns of one GRANT together; and, but on MariaDB, of several accounts where columns and tables are
/// the same. MariaDB stops midway when one of several accounts fails.
fn groups(jobs: &BTreeMap<usize, Job>, one_account: bool) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    let mut of_table: BTreeMap<(&Account, &TableName), Vec<usize>> = BTreeMap::new();
    let mut shared: BTreeMap<Sets, Vec<Vec<usize>>> = BTreeMap::new();
    for (number, job) in jobs {
        match job.alone() {
            Some((account, sets)) => match sets.keys().next() {
                Some(table) if sets.len() == 1 => {
                    of_table.entry((account, table)).or_default().push(*number);
                }
                _ => shared.entry(sets.clone()).or_default().push(vec![*number]),
            },
            None => groups.push(vec![*number]),
        }
    }
    for numbers in of_table.into_values() {
        for numbers in numbers.chunks(ORDERS) {
            let members = numbers.iter().filter_map(|number| jobs.get(number));
            let sets = wanted(members)
                .into_iter()
                .map(|((_, table), mut columns)| {
                    columns.sort();
                    (table.clone(), columns)
                });
            let bundles = shared.entry(sets.collect()).or_default();
            bundles.push(numbers.to_vec());
        }
    }
    for bundles in shared.into_values() {
        let most = if one_account { 1 } else { ACCOUNTS };
        for bundles in bundles.chunks(most) {
            groups.push(bundles.concat());
        }
    }
    groups.sort();
    groups
}

/// The columns that each account wants of each table, each once.
fn wanted<'j>(
    jobs: impl Iterator<Item = &'j Job>,
) -> BTreeMap<(&'j Account, &'j TableName), Vec<ColumnName>> {
    let mut wanted: BTreeMap<_, Vec<ColumnName>> = BTreeMap::new();
    for job in jobs {
        for (account, sets) in &job.sets {
            for (table, columns) in sets {
                let all = wanted.entry((account, table)).or_default();
                for column in columns {
                    if !all.contains(column) {
                        all.push(column.clone());
                    }
                }
            }
        }
    }
    wanted
}

struct Giving<'g> {
    link: &'g mut Link,
    before: &'g Rows,
    /// What orders of this call have been given: not to be undone for another's failure.
    given: HashSet<Place>,
}

impl Giving<'_> {
    /// All members at once; where that fails, each alone.
    async fn group(&mut self, members: &[(usize, &Job)], reports: &mut [Report]) {
        match self.together(members).await {
            Ok(()) => {
                let batch = (members.len() > 1).then(|| self.link.batch());
                for (number, job) in members {
                    reports[*number].batch.clone_from(&batch);
                    self.given.extend(job.places.iter().cloned());
                }
            }
            Err(error) => {
                let undone = self.undo(members).await;
                // Each alone would wait for the same lock again.
                let hopeless =
                    error.is_unreachable() || revoke::is_locked(&error) || undone.is_err();
                if members.len() > 1 && !hopeless {
                    for member in members {
                        Box::pin(self.group(std::slice::from_ref(member), reports)).await;
                    }
                    return;
                }
                let error = match undone {
                    Ok(()) => settled(error),
                    Err(more) => EngineError::Unknown {
                        address: self.link.shown(),
                        statement: "GRANT".to_owned(),
                        why: format!("{error}; and taking back what it may have given: {more}"),
                    },
                };
                for (number, _) in members {
                    reports[*number].error = Some(error.clone());
                }
            }
        }
    }

    /// Every statement that these orders share.
    async fn together(&mut self, members: &[(usize, &Job)]) -> Result<(), EngineError> {
        let mut shared: BTreeMap<(&TableName, Vec<ColumnName>), BTreeSet<&Account>> =
            BTreeMap::new();
        for ((account, table), mut columns) in wanted(members.iter().map(|(_, job)| *job)) {
            if members.len() > 1 {
                columns.sort();
            }
            let accounts = shared.entry((table, columns)).or_default();
            accounts.insert(account);
        }
        for ((table, columns), accounts) in shared {
            // On MariaDB an order of several accounts would stop midway.
            let most = if self.link.server().is_mariadb() {
                1
            } else {
                ACCOUNTS
            };
            let accounts: Vec<Account> = accounts.into_iter().cloned().collect();
            for accounts in accounts.chunks(most) {
                let sql = render::grant(table, &columns, accounts);
                let ids = members.iter().map(|(_, job)| &job.request);
                match self.link.run(&render::commented(ids, &sql)).await {
                    Err(error) if error.outcome_unknown() => {
                        self.look_after(members, table, &columns, accounts, error)
                            .await?;
                    }
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// The answer was lost. What still waits is ended; then the rows tell whether it had been carried out.
    async fn look_after(
        &mut self,
        members: &[(usize, &Job)],
        table: &TableName,
        columns: &[ColumnName],
        accounts: &[Account],
        error: EngineError,
    ) -> Result<(), EngineError> {
        let ids: Vec<RequestId> = members.iter().map(|(_, job)| job.request.clone()).collect();
        sessions::end_own(self.link, &ids).await?;
        let rows = Rows::read(self.link, &BTreeSet::from([table.clone()])).await?;
        let all = accounts.iter().all(|account| {
            columns.iter().all(|column| {
                rows.held(table, account)
                    .iter()
                    .any(|row| row.column == column.0)
            })
        });
        if all { Ok(()) } else { Err(error) }
    }

    /// Takes back what these orders have newly given, and nothing else.
    async fn undo(&mut self, members: &[(usize, &Job)]) -> Result<(), EngineError> {
        let new: Vec<Place> = members
            .iter()
            .flat_map(|(_, job)| &job.places)
            .filter(|place| {
                !self.given.contains(place) && self.before.variants(place).next().is_none()
            })
            .cloned()
            .collect();
        let taken = revoke::take(self.link, &new).await?;
        match taken.left.into_values().next() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }
}

/// An error of an order whose effects are undone: it is certain now.
fn settled(error: EngineError) -> EngineError {
    match error {
        EngineError::Unknown {
            address,
            statement,
            why,
        } => EngineError::Changed {
            address,
            what: format!("`{statement}`"),
            why: format!("{why}; nothing of it is there now"),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jobs by number: the account, and `table: columns` each.
    fn jobs(of: &[(&str, &[(&str, &str)])]) -> BTreeMap<usize, Job> {
        let job = |(account, sets): &(&str, &[(&str, &str)])| {
            let sets: Sets = sets
                .iter()
                .map(|(table, columns)| {
                    let columns = columns.split(' ').map(ColumnName::from);
                    (TableName::new("shop", *table), columns.collect())
                })
                .collect();
            Job {
                request: RequestId::of_submission(1, b"x"),
                places: Vec::new(),
                sets: BTreeMap::from([(Account::new(*account, "%"), sets)]),
            }
        };
        of.iter().map(job).enumerate().collect()
    }

    #[test]
    fn columns_of_one_account_and_table_share_a_statement_on_both() {
        let jobs = jobs(&[
            ("alice", &[("t", "a")]),
            ("alice", &[("u", "a")]),
            ("alice", &[("t", "b a")]),
        ]);
        for one_account in [false, true] {
            assert_eq!(groups(&jobs, one_account), [vec![0, 2], vec![1]]);
        }
        let both: Vec<_> = wanted([&jobs[&0], &jobs[&2]].into_iter())
            .into_values()
            .collect();
        let (a, b) = (ColumnName::from("a"), ColumnName::from("b"));
        assert_eq!(both, [vec![a, b]]);
    }

    #[test]
    fn accounts_share_a_statement_where_tables_and_columns_are_the_same_but_not_on_mariadb() {
        let jobs = jobs(&[
            ("alice", &[("t", "a")]),
            ("bob", &[("t", "b")]),
            ("alice", &[("t", "b")]),
            ("bob", &[("t", "a")]),
            ("carol", &[("t", "a")]),
            ("alice", &[("t", "a"), ("u", "a")]),
            ("bob", &[("t", "a"), ("u", "a")]),
        ]);
        let of_mysql = groups(&jobs, false);
        assert_eq!(of_mysql, [vec![0, 2, 1, 3], vec![4], vec![5, 6]]);
        let of_mariadb = groups(&jobs, true);
        assert_eq!(
            of_mariadb,
            [vec![0, 2], vec![1, 3], vec![4], vec![5], vec![6]]
        );
    }

    #[test]
    fn a_statement_has_only_so_many_orders() {
        let many: Vec<(&str, &[(&str, &str)])> =
            (0..=ORDERS).map(|_| ("alice", &[("t", "a")][..])).collect();
        let groups = groups(&jobs(&many), true);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [ORDERS, 1]);
    }
}
