//! What else reading needs: USAGE on the schema, CONNECT on the database.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use crate::access::privilege::{Named, Thing};
use crate::access::{Identity, Prerequisite, Privilege};
use crate::engines::EngineError;
use crate::engines::postgres::identity::get;
use crate::engines::postgres::link::Parameter;
use crate::engines::postgres::quote;
use crate::engines::postgres::reads::{Pairs, Reached};

use super::Seen;
use super::accounts::Account;

const OPENS: &str = include_str!("../sql/opens.sql");

/// The query for what USAGE would open besides; pairs are of namespace and account.
pub fn opens(pairs: &Pairs) -> (&'static str, &'static str, Vec<Parameter<'_>>) {
    ("what USAGE opens", OPENS, pairs.parameters())
}

/// What USAGE on a schema would open, by schema and account.
#[derive(Debug, Default)]
pub struct Opens(BTreeMap<(u32, u32), Vec<String>>);

impl Opens {
    pub fn read(rows: &[Row]) -> Result<Self, EngineError> {
        let mut opens = Self::default();
        for row in rows {
            let tables: Vec<String> = get(row, 2)?;
            let functions: Vec<String> = get(row, 3)?;
            let mut words = Vec::new();
            if !tables.is_empty() {
                words.push(format!("what it may read there: {}", some(&tables)));
            }
            if !functions.is_empty() {
                words.push(format!(
                    "functions that run with their owner's rights: {}",
                    some(&functions)
                ));
            }
            opens.0.insert((get(row, 0)?, get(row, 1)?), words);
        }
        Ok(opens)
    }
}

/// The query gives one more than is told.
fn some(names: &[String]) -> String {
    const TOLD: usize = 5;
    let mut text = names[..names.len().min(TOLD)].join(", ");
    if names.len() > TOLD {
        text.push_str(" and more");
    }
    text
}

impl Seen<'_> {
    /// What the account lacks. USAGE that only another lease of ours gives counts as lacking: it ends with that.
    pub(super) fn prerequisites(
        &self,
        privileges: &[Privilege],
        account: &Account,
    ) -> Vec<Prerequisite> {
        let mut lacking = Vec::new();
        if !account.may_connect
            && let (Ok(database), Ok(role)) = (
                quote::name(&self.answered.server.database),
                quote::role(account.name.as_str()),
            )
        {
            lacking.push(Prerequisite {
                what: format!("CONNECT on database {}", self.answered.server.database),
                sql: format!("GRANT CONNECT ON DATABASE {database} TO {role}"),
                lease: None,
                opens: Vec::new(),
            });
        }
        let mut seen = BTreeSet::new();
        for relation in self.leased(privileges) {
            let has = self
                .using
                .all(relation.schema_oid, account.oid)
                // What comes by SET ROLE cannot be used together with a column of one's own.
                .any(|way| way.reached == Reached::Now && !way.is_ours(self.grantor));
            if has || !seen.insert(relation.schema_oid) {
                continue;
            }
            let schema = &relation.name.schema;
            let (Ok(quoted), Ok(role)) = (quote::name(schema), quote::role(account.name.as_str()))
            else {
                continue;
            };
            lacking.push(Prerequisite {
                what: format!("USAGE on schema {schema}"),
                sql: format!("GRANT USAGE ON SCHEMA {quoted} TO {role}"),
                lease: relation.usage_grantable.then(|| Privilege {
                    identity: Identity::PostgresSchema {
                        database: self.answered.database,
                        namespace: relation.schema_oid,
                        role: account.oid,
                        grantor: self.grantor,
                    },
                    named: Named {
                        grantee: account.name.clone(),
                        thing: Thing::Schema(schema.clone()),
                    },
                    stamp: None,
                }),
                opens: self
                    .opens
                    .0
                    .get(&(relation.schema_oid, account.oid))
                    .cloned()
                    .unwrap_or_default(),
            });
        }
        lacking
    }
}
