//! How each privilege stands: our rows, told by exact account and by column in any case.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt, HashSet};

use super::account::Account;
use super::connection::Link;
use super::dial::Server;
use super::observe::{self, Shape};
use super::rights::{self, ColumnRow, UserRow};
use super::rows::{Place, Rows, named, tables_of};
use super::stamp::{self, Ours, Stamp};
use crate::access::names::lowercase;
use crate::access::{Privilege, PrivilegeKey, SharedText, Standing, TableName};
use crate::engines::EngineError;

/// What is known of one privilege from all leases that were handed in.
#[derive(Default)]
struct Known<'k> {
    stamps: Vec<&'k Stamp>,
    spellings: Vec<&'k str>,
}

pub(super) async fn privileges(
    link: &mut Link,
    of: &[Privilege],
    owned: &HashSet<PrivilegeKey>,
) -> Result<Vec<Standing>, EngineError> {
    let places: Vec<Option<Place>> = of.iter().map(Place::of).collect();
    let look = Look {
        second: second(link).await?,
        rows: Rows::read(link, &tables_of(&places)).await?,
        users: observe::users(link).await?,
    };
    look.standings(link, of, owned).await
}

/// The server's second, on MySQL, where rows have one.
pub(super) async fn second(link: &mut Link) -> Result<Option<String>, EngineError> {
    if link.server().is_mariadb() {
        return Ok(None);
    }
    let mut time = observe::clock(link).await?;
    time.truncate(time.find('.').unwrap_or(time.len()));
    Ok(Some(time))
}

/// What was read of the rows of some tables.
pub(super) struct Look {
    /// As [`second`] told it before the rows were read.
    pub(super) second: Option<String>,
    pub(super) rows: Rows,
    pub(super) users: HashMap<Account, UserRow>,
}

impl Look {
    /// How privileges on these tables stand; `owned` are live leases besides.
    pub(super) async fn standings(
        &self,
        link: &mut Link,
        of: &[Privilege],
        owned: &HashSet<PrivilegeKey>,
    ) -> Result<Vec<Standing>, EngineError> {
        let places: Vec<Option<Place>> = of.iter().map(Place::of).collect();
        let missing: BTreeSet<TableName> = places
            .iter()
            .flatten()
            .filter(|place| self.rows.variants(place).next().is_none())
            .map(|place| place.table.clone())
            .collect();
        let shapes = observe::shapes(link, &missing).await?;
        let stamps: Vec<Option<Stamp>> = of
            .iter()
            .zip(&places)
            .map(|(privilege, place)| {
                let column = &place.as_ref()?.column;
                Stamp::read(privilege.stamp.as_deref()?, column)
            })
            .collect();
        let mut known: HashMap<PrivilegeKey, Known> = HashMap::new();
        for ((privilege, place), stamp) in of.iter().zip(&places).zip(&stamps) {
            let Some(place) = place else { continue };
            let known = known.entry(privilege.key()).or_default();
            known.stamps.extend(stamp);
            known.spellings.push(&place.column);
        }
        let judge = Judge {
            server: link.server(),
            second: self.second.as_deref(),
            rows: &self.rows,
            users: &self.users,
            shapes: &shapes,
            known: &known,
            owned,
        };
        Ok(of
            .iter()
            .zip(&places)
            .zip(&stamps)
            .map(|((privilege, place), recorded)| match place {
                Some(place) => judge.standing(privilege, place, recorded.as_ref()),
                None => Standing::Gone {
                    why: "it is no privilege of MySQL or MariaDB".to_owned(),
                },
            })
            .collect())
    }
}

/// One look, with all that says what it means.
struct Judge<'l> {
    server: &'l Server,
    second: Option<&'l str>,
    rows: &'l Rows,
    users: &'l HashMap<Account, UserRow>,
    shapes: &'l HashMap<TableName, Shape>,
    known: &'l HashMap<PrivilegeKey, Known<'l>>,
    /// Live leases besides those that were handed in.
    owned: &'l HashSet<PrivilegeKey>,
}

impl Judge<'_> {
    fn standing(&self, privilege: &Privilege, place: &Place, recorded: Option<&Stamp>) -> Standing {
        let rows: Vec<&ColumnRow> = self.rows.variants(place).collect();
        if let Some(row) = rows
            .iter()
            .find(|row| row.column == place.column)
            .or(rows.first())
        {
            let mariadb = self.server.is_mariadb();
            let contested = recorded.and_then(|recorded| {
                let known = self.known.get(&privilege.key())?;
                let today: Vec<Stamp> = rows
                    .iter()
                    .map(|row| self.rows.times(place, row, mariadb))
                    .collect();
                stamp::contested(
                    recorded,
                    &today,
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
                stamp: match recorded {
                    Some(_) => None,
                    None => self.rows.stamp(place, row, mariadb).text(&place.column),
                },
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
        if let Some(held) = self.renamed(place, recorded) {
            return held;
        }
        self.absent(place, recorded)
    }

    /// Whether a lease explains that row.
    fn is_ours(&self, key: &PrivilegeKey) -> bool {
        self.known.contains_key(key) || self.owned.contains(key)
    }

    /// RENAME USER moves the rows and keeps their times. The account's old name may even exist again. A row that
    /// was not there at our stamp, of an account that no lease explains, and on MySQL of our row's very second, may be
    /// ours: a person decides, because a later grant to somebody else can look the same.
    fn renamed(&self, place: &Place, recorded: Option<&Stamp>) -> Option<Standing> {
        let recorded = recorded.filter(|stamp| !stamp.many)?;
        let exists = self.users.contains_key(&place.account);
        if exists && self.server.is_mariadb() {
            return None;
        }
        let column = lowercase(&place.column);
        let candidates: Vec<(&Account, &ColumnRow)> = self
            .rows
            .holders(&place.table, &column)
            .filter(|account| {
                **account != place.account
                    && !recorded
                        .others
                        .iter()
                        .any(|other| *other == account.to_string())
                    && !self.is_ours(&rights::key(&place.table, account, &column))
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

    /// The recorded stamp behind our REVOKE, where that says more.
    fn revoked(&self, place: &Place, recorded: Option<&Stamp>) -> Option<SharedText> {
        let hand = self.rows.last_hand(&place.table, &place.account);
        let revoked = recorded?.clone().revoked(hand, self.second?)?;
        revoked.text(&place.column)
    }

    fn absent(&self, place: &Place, recorded: Option<&Stamp>) -> Standing {
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
                    stamp: self.revoked(place, recorded),
                },
            },
        }
    }
}
