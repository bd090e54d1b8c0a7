//! What must be known of a target before anybody is asked to approve: a handful of queries for all asks at once.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashSet;
use tokio_postgres::types::Type;

use crate::access::arrival::Ask;
use crate::access::privilege::{self, Named, Thing};
use crate::access::{ColumnName, Identity, Privilege, Reading, Survey, TableColumns};
use crate::engines::EngineError;

use super::identity::Answered;
use super::link::Link;
use super::observe;
use super::reads::{self, ByPair, Pairs, Reached};
use super::relations::{self, Relation, Relations};

mod accounts;
mod caveats;
mod prerequisites;

use accounts::{Account, Accounts};

/// Answers every ask from one look at the catalog. Changes nothing.
///
/// # Errors
/// `NotSetUp` where the grantor role does not exist.
pub async fn survey(
    link: &Link,
    answered: &Answered,
    grantor: &str,
    asks: &[Ask],
) -> Result<Vec<Survey>, EngineError> {
    if asks.is_empty() {
        return Ok(Vec::new());
    }
    let Some(ours) = observe::grantor(link, grantor).await? else {
        return Err(EngineError::NotSetUp {
            address: link.shown().to_owned(),
            why: format!("role {grantor} does not exist; `jit setup` prints what to run"),
        });
    };
    let mut seen = Seen::first(link, answered, grantor, ours.oid, asks).await?;
    seen.second(link, asks).await?;
    Ok(asks.iter().map(|ask| seen.answer(ask)).collect())
}

/// Everything that was seen, for all asks.
struct Seen<'a> {
    answered: &'a Answered,
    grantor_name: &'a str,
    grantor: u32,
    relations: Relations,
    accounts: Accounts,
    reading: ByPair,
    using: ByPair,
    views: caveats::Views,
    opens: prerequisites::Opens,
}

impl<'a> Seen<'a> {
    /// Names to objects.
    async fn first(
        link: &Link,
        answered: &'a Answered,
        grantor_name: &'a str,
        grantor: u32,
        asks: &[Ask],
    ) -> Result<Self, EngineError> {
        let tables: BTreeSet<_> = asks
            .iter()
            .flat_map(|ask| ask.tables.iter().chain(&ask.along))
            .map(|of| &of.table)
            // What holds a zero byte cannot even be asked for, and cannot exist.
            .filter(|table| !table.schema.contains('\0') && !table.table.contains('\0'))
            .collect();
        let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
        let names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
        let grantees: BTreeSet<&str> = asks
            .iter()
            .map(|ask| ask.grantee.as_str())
            .filter(|name| !name.contains('\0'))
            .collect();
        let grantees: Vec<&str> = grantees.into_iter().collect();
        let by_name = || -> Vec<super::link::Parameter<'_>> {
            vec![
                (&schemas, Type::TEXT_ARRAY),
                (&names, Type::TEXT_ARRAY),
                (&grantor, Type::OID),
            ]
        };
        let answers = link
            .snapshot(vec![
                ("relations", relations::RELATIONS, by_name()),
                ("columns", relations::COLUMNS, by_name()),
                (
                    "accounts",
                    accounts::ACCOUNTS,
                    vec![(&grantees, Type::TEXT_ARRAY), (&grantor, Type::OID)],
                ),
            ])
            .await?;
        let mut relations = Relations::read(&answers[0], &answers[1])?;
        let mut accounts = Accounts::read(&answers[2])?;
        if tables.iter().any(|table| relations.get(table).is_none()) {
            relations.read_near(link).await?;
        }
        if asks.iter().any(|ask| accounts.get(&ask.grantee).is_none()) {
            accounts.read_near(link).await?;
        }
        Ok(Self {
            answered,
            grantor_name,
            grantor,
            relations,
            accounts,
            reading: ByPair::default(),
            using: ByPair::default(),
            views: caveats::Views::default(),
            opens: prerequisites::Opens::default(),
        })
    }

    /// Objects to privileges.
    async fn second(&mut self, link: &Link, asks: &[Ask]) -> Result<(), EngineError> {
        let mut on_relations = BTreeSet::new();
        let mut on_schemas = BTreeSet::new();
        for ask in asks {
            let Some(account) = self.accounts.get(&ask.grantee) else {
                continue;
            };
            for of in ask.tables.iter().chain(&ask.along) {
                if let Some(relation) = self.relations.get(&of.table) {
                    on_relations.insert((relation.oid, account.oid));
                    on_schemas.insert((relation.schema_oid, account.oid));
                }
            }
        }
        let relation_pairs: Pairs = on_relations.into_iter().collect();
        let schema_pairs: Pairs = on_schemas.into_iter().collect();
        let answers = link
            .snapshot(vec![
                relation_pairs.reads(),
                schema_pairs.usage(),
                caveats::views(&relation_pairs),
                prerequisites::opens(&schema_pairs),
            ])
            .await?;
        self.reading = ByPair::of(reads::ways_to_read(&answers[0])?);
        self.using = ByPair::of(reads::ways_to_use(&answers[1])?);
        self.views = caveats::Views::read(&answers[2])?;
        self.opens = prerequisites::Opens::read(&answers[3])?;
        Ok(())
    }

    /// The answer to one ask, without asking anything more.
    fn answer(&self, ask: &Ask) -> Survey {
        let mut survey = Survey {
            server: self.answered.server.clone(),
            privileges: Vec::new(),
            problems: Vec::new(),
            readable: Vec::new(),
            prerequisites: Vec::new(),
            will_read: Vec::new(),
            caveats: Vec::new(),
        };
        let account = match self.accounts.fit(&ask.grantee) {
            Ok(account) => Some(account),
            Err(problem) => {
                survey.problems.push(problem);
                None
            }
        };
        let mut lacking: BTreeMap<u32, (&Relation, Vec<ColumnName>)> = BTreeMap::new();
        for (asked, of) in ask
            .tables
            .iter()
            .map(|of| (true, of))
            .chain(ask.along.iter().map(|of| (false, of)))
        {
            let relation = match self.relations.fit(&of.table) {
                Ok(relation) => relation,
                Err(problem) => {
                    if asked {
                        survey.problems.push(problem);
                    }
                    continue;
                }
            };
            for name in &of.columns {
                let Some(column) = relation.column(name) else {
                    if asked {
                        survey.problems.push(relation.no_column(name));
                    }
                    continue;
                };
                if let Some(account) = account {
                    let ways = self.readable(relation, column.attnum, account);
                    if asked {
                        survey.readable.extend(ways.iter().map(|how| Reading {
                            table: of.table.clone(),
                            column: name.clone(),
                            how: how.clone(),
                        }));
                    } else if !ways.is_empty() {
                        continue;
                    }
                }
                if !(relation.grantable || column.grantable) || !relation.grantor_has_usage {
                    let (_, columns) = lacking.entry(relation.oid).or_insert((relation, vec![]));
                    columns.push(name.clone());
                }
                if let Some(account) = account {
                    let privilege = self.privilege(relation, column.attnum, name, account);
                    survey.privileges.push(privilege);
                }
            }
        }
        privilege::once(&mut survey.privileges);
        survey.problems.extend(
            lacking
                .into_values()
                .map(|(relation, columns)| relation.not_ours(columns, self.grantor_name)),
        );
        if let Some(account) = account {
            survey.will_read = self.will_read(&survey.privileges, account);
            survey.prerequisites = self.prerequisites(&survey.privileges, account);
            survey.caveats = self.caveats(&survey.privileges, account);
        }
        survey
    }

    /// The ways in which the account can read the column already, in words; rows of ours aside.
    fn readable(&self, relation: &Relation, attnum: i16, account: &Account) -> Vec<String> {
        let ways: BTreeSet<String> = self
            .reading
            .column(relation.oid, attnum, account.oid)
            .filter(|way| way.reached != Reached::BySelfGrant && !way.is_ours(self.grantor))
            .map(|way| way.words.clone())
            .collect();
        ways.into_iter().collect()
    }

    fn privilege(
        &self,
        relation: &Relation,
        attnum: i16,
        column: &ColumnName,
        account: &Account,
    ) -> Privilege {
        Privilege {
            identity: Identity::PostgresColumn {
                database: self.answered.database,
                relation: relation.oid,
                attnum,
                role: account.oid,
                grantor: self.grantor,
            },
            named: Named {
                grantee: account.name.clone(),
                thing: Thing::Column {
                    table: relation.name.clone(),
                    column: column.clone(),
                },
            },
            stamp: None,
        }
    }

    /// Every column of the leased tables that the account can read then, in the catalog's order.
    fn will_read(&self, privileges: &[Privilege], account: &Account) -> Vec<TableColumns> {
        let asked: HashSet<_> = privileges
            .iter()
            .filter_map(|privilege| match privilege.identity {
                Identity::PostgresColumn {
                    relation, attnum, ..
                } => Some((relation, attnum)),
                _ => None,
            })
            .collect();
        let mut tables: Vec<TableColumns> = Vec::new();
        for relation in self.leased(privileges) {
            let columns = relation.columns.iter().filter(|column| {
                asked.contains(&(relation.oid, column.attnum))
                    || self
                        .reading
                        .column(relation.oid, column.attnum, account.oid)
                        .any(|way| way.reached != Reached::BySelfGrant)
            });
            tables.push(TableColumns {
                table: relation.name.clone(),
                columns: columns.map(|column| column.name.clone()).collect(),
            });
        }
        tables
    }

    /// The relations that privileges are on, each once, in their order.
    fn leased<'s>(&'s self, privileges: &[Privilege]) -> Vec<&'s Relation> {
        let mut leased: Vec<&Relation> = Vec::new();
        for privilege in privileges {
            if let Some(relation) = privilege
                .named
                .table()
                .and_then(|table| self.relations.get(table))
                && !leased.iter().any(|other| other.oid == relation.oid)
            {
                leased.push(relation);
            }
        }
        leased
    }
}
