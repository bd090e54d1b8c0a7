//! After a lease has ended: what reads on all the same, and what of ours is there again.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt, HashSet};

use super::account::Account;
use super::connection::Link;
use super::observe;
use super::rights::{self, Rights};
use super::rows::{Place, Rows, named, tables_of};
use super::stamp::Stamp;
use super::standing::{self, Look};
use crate::access::names::lowercase;
use crate::access::{Privilege, PrivilegeKey, ShortText, TableName};
use crate::engines::{Aftermath, EngineError, StillReads};

/// See `Engine::aftermath`.
pub(super) async fn aftermath(link: &mut Link, of: &[Privilege]) -> Result<Aftermath, EngineError> {
    let second = standing::second(link).await?;
    let mut tables = tables_of(&by_name(of));
    tables.extend(of.iter().filter_map(Place::of).map(|place| place.table));
    let rights = match observe::rights(link, &tables).await {
        Ok(rights) => rights,
        Err(error) => {
            return Ok(Aftermath {
                standings: standing::privileges(link, of, &HashSet::default()).await?,
                still_reads: Err(error),
            });
        }
    };
    let still_reads = reading(&rights, of);
    let look = Look {
        second,
        rows: Rows::new(rights.columns, rights.tables),
        users: rights.users,
    };
    Ok(Aftermath {
        standings: look.standings(link, of, &HashSet::default()).await?,
        still_reads: Ok(still_reads),
    })
}

/// Their places by the names of today.
fn by_name(of: &[Privilege]) -> Vec<Option<Place>> {
    of.iter()
        .map(|privilege| Place::named(&privilege.named))
        .collect()
}

/// How the grantees can still read, our rows left out.
fn reading(rights: &Rights, of: &[Privilege]) -> Vec<StillReads> {
    let places = by_name(of);
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
    found.into_iter().collect()
}

/// Of ended leases, those whose row is there again by our hand, as far as the rows tell it.
///
/// MySQL: the last statement on the account's table was ours and touched this very column; or the row still has the
/// time of our own stamp, and was seen gone later. Times are whole seconds: where a GRANT of ours for a live lease, or
/// a REVOKE of ours, is known in the row's second, that was our hand, and the row may be a DBA's of a moment before.
///
/// MariaDB has no times and keeps only the table's last grantor, so there a row counts only where we have given this
/// account nothing else on this table, lately or now: otherwise a DBA's own grant could pass for ours, and be taken.
pub(super) async fn strays(
    link: &mut Link,
    owned: &HashSet<PrivilegeKey>,
    known: &[Privilege],
) -> Result<Vec<Privilege>, EngineError> {
    let places: Vec<Option<Place>> = known.iter().map(Place::of).collect();
    let rows = Rows::read(link, &tables_of(&places)).await?;
    let server = link.server();
    let mut given: HashMap<(TableName, Account), HashSet<ShortText>> = HashMap::new();
    for place in places.iter().flatten() {
        given
            .entry((place.table.clone(), place.account.clone()))
            .or_default()
            .insert(lowercase(&place.column).into());
    }
    let mut revokes: HashMap<(TableName, Account), Vec<Stamp>> = HashMap::new();
    for (privilege, place) in known.iter().zip(&places) {
        if let (Some(place), Some(text)) = (place, &privilege.stamp)
            && let Some(stamp) = Stamp::read(text, &place.column)
            && stamp.is_of_a_revoke()
        {
            let of_table = revokes.entry((place.table.clone(), place.account.clone()));
            of_table.or_default().push(stamp);
        }
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
        let today = rows.stamp(place, row, server.is_mariadb());
        let recorded = privilege.stamp.as_deref();
        let recorded = recorded.and_then(|text| Stamp::read(text, &place.column));
        let account_table = (place.table.clone(), place.account.clone());
        let ours = if today.grantor.is_none() {
            // A column's row without its table's: it opens nothing, but would with the next grant.
            true
        } else if server.is_mariadb() {
            today.by(&server.grantor)
                && !live.contains(&account_table)
                && given.get(&account_table).is_some_and(|set| set.len() == 1)
        } else {
            let granted_then = || {
                rows.held(&place.table, &place.account).iter().any(|other| {
                    other.column != row.column
                        && other.at == row.at
                        && owned.contains(&rights::key(&place.table, &place.account, &other.column))
                })
            };
            let revoked_then = || {
                let stamps = revokes.get(&account_table).into_iter().flatten();
                stamps
                    .into_iter()
                    .any(|stamp| stamp.is_the_revoke_of(&today))
            };
            (today.by(&server.grantor) && today.is_last() && !granted_then() && !revoked_then())
                || recorded.is_some_and(|stamp| stamp.is_back(&today))
        };
        if ours {
            strays.entry(privilege.key()).or_insert_with(|| Privilege {
                identity: privilege.identity.clone(),
                named: named(place, &place.account, &row.column),
                stamp: today.text(&place.column),
            });
        }
    }
    Ok(strays.into_values().collect())
}

/// Table and account of a key.
fn table_of_key(key: &PrivilegeKey) -> Option<(TableName, Account)> {
    let hand = key.hand()?;
    Some((
        TableName::new(hand.database, hand.table),
        Account::new(hand.user, &hand.host),
    ))
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
