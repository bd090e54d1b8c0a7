//! What Postgres cannot keep, or what an approver may not expect, in whole sentences.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use crate::access::{Identity, Privilege, TableName};
use crate::engines::EngineError;
use crate::engines::postgres::identity::get;
use crate::engines::postgres::link::{Parameter, shortened};
use crate::engines::postgres::reads::{Pairs, Reached};

use super::Seen;
use super::accounts::Account;
use crate::engines::postgres::relations::{Kind, Relation};

const VIEWS: &str = include_str!("../sql/views.sql");

/// The query for views that show these relations; pairs are of relation and account.
pub fn views(pairs: &Pairs) -> (&'static str, &'static str, Vec<Parameter<'_>>) {
    ("views", VIEWS, pairs.parameters())
}

/// Views that an account can select from, by what they show. Column 0 is the whole row.
#[derive(Debug, Default)]
pub struct Views(BTreeMap<(u32, u32), Vec<(i16, TableName)>>);

impl Views {
    pub fn read(rows: &[Row]) -> Result<Self, EngineError> {
        let mut views = Self::default();
        for row in rows {
            let view = TableName::new(get::<String>(row, 3)?, get::<String>(row, 4)?);
            let pair = (get(row, 0)?, get(row, 2)?);
            views.0.entry(pair).or_default().push((get(row, 1)?, view));
        }
        Ok(views)
    }
}

impl Seen<'_> {
    pub(super) fn caveats(&self, privileges: &[Privilege], account: &Account) -> Vec<String> {
        let mut told = Vec::new();
        for relation in self.leased(privileges) {
            let attnums: BTreeSet<i16> = privileges
                .iter()
                .filter_map(|privilege| match privilege.identity {
                    Identity::PostgresColumn {
                        relation: oid,
                        attnum,
                        ..
                    } if oid == relation.oid => Some(attnum),
                    _ => None,
                })
                .collect();
            told.extend(about(relation, account));
            for column in &relation.columns {
                if let Some(expression) = &column.generated
                    && attnums.contains(&column.attnum)
                {
                    told.push(format!(
                        "{}:{} is generated and shows what it is made from: {}.",
                        relation.name,
                        column.name,
                        shortened(expression)
                    ));
                }
            }
            let views: BTreeSet<&TableName> = self
                .views
                .0
                .get(&(relation.oid, account.oid))
                .into_iter()
                .flatten()
                .filter(|(attnum, _)| *attnum == 0 || attnums.contains(attnum))
                .map(|(_, view)| view)
                .collect();
            for view in views {
                told.push(format!(
                    "{} can select from {view}, which is made from {} and goes on showing it after the lease.",
                    account.name, relation.name
                ));
            }
            told.extend(self.self_grants(relation, &attnums, account));
        }
        told
    }

    fn self_grants(
        &self,
        relation: &Relation,
        attnums: &BTreeSet<i16>,
        account: &Account,
    ) -> Vec<String> {
        let ways: BTreeSet<&str> = attnums
            .iter()
            .flat_map(|attnum| self.reading.column(relation.oid, *attnum, account.oid))
            .filter(|way| way.reached == Reached::BySelfGrant)
            .map(|way| way.words.as_str())
            .collect();
        ways.into_iter()
            .map(|words| {
                format!(
                    "{} can come to read {} without a lease: {words}.",
                    account.name, relation.name
                )
            })
            .collect()
    }
}

fn about(relation: &Relation, account: &Account) -> Vec<String> {
    let name = &relation.name;
    let mut told = Vec::new();
    match relation.kind {
        Kind::View => told.push(format!(
            "{name} is a view: what it shows is read with the rights of its owner, {}.",
            relation.owner
        )),
        Kind::Materialized => told.push(format!(
            "{name} is a materialized view: it shows what was there at its last refresh."
        )),
        Kind::Partitioned => told.push(format!(
            "{name} is partitioned: the lease shows the rows of all partitions through {name}, and nothing when a \
             partition is queried by its own name."
        )),
        Kind::Table | Kind::Other(_) => {}
    }
    if relation.has_row_security {
        told.push(format!(
            "{name} has row-level security: {} sees only rows that a policy there gives it, and without one no \
             rows and no error.",
            account.name
        ));
    }
    if !relation.parents.is_empty() {
        let what = match relation.is_partition {
            true => "a partition of",
            false => "a child of",
        };
        told.push(format!(
            "{name} is {what} {}: the lease is on {name} alone.",
            relation.parents.join(", ")
        ));
    }
    if relation.kind == Kind::Table && relation.children > 0 {
        told.push(format!(
            "{name} has {} child tables: the lease shows their rows too, through {name}.",
            relation.children
        ));
    }
    told
}
