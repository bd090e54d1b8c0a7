//! May this account be given these columns, and what would that do?

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt, HashSet};

use super::account::Account;
use super::connection::Link;
use super::dial::Server;
use super::observe::{self, Shape};
use super::render;
use super::rights::{self, Rights, Ways};
use crate::access::arrival::{Ask, Reading, Survey, SurveyProblem};
use crate::access::privilege::{self, Thing};
use crate::access::{ColumnName, Grantee, Named, Privilege, TableColumns, TableName};
use crate::engines::EngineError;

/// How many look-alikes are named.
const NEAR: usize = 3;

pub(super) async fn survey(link: &mut Link, asks: &[Ask]) -> Result<Vec<Survey>, EngineError> {
    let asked: BTreeSet<TableName> = asks
        .iter()
        .flat_map(|ask| ask.tables.iter().chain(&ask.along))
        .map(|columns| columns.table.clone())
        .collect();
    let shapes = observe::shapes(link, &asked).await?;
    let exact = link.server().exact_tables;
    // The grant tables hold the catalog's spelling.
    let spelled: BTreeSet<TableName> = asked
        .iter()
        .map(|table| observe::spelled(&shapes, table, exact).map_or(table, |(name, _)| name))
        .cloned()
        .collect();
    let rights = observe::rights(link, &spelled).await?;
    let names = if asked
        .iter()
        .all(|table| observe::spelled(&shapes, table, exact).is_some())
    {
        Vec::new()
    } else {
        observe::names(link).await?
    };
    let look = Look {
        server: link.server(),
        shapes: &shapes,
        rights: &rights,
        names: &names,
    };
    Ok(asks.iter().map(|ask| look.answer(ask)).collect())
}

/// One look at the target.
pub(super) struct Look<'l> {
    pub(super) server: &'l Server,
    pub(super) shapes: &'l HashMap<TableName, Shape>,
    pub(super) rights: &'l Rights,
    names: &'l [TableName],
}

impl Look<'_> {
    fn answer(&self, ask: &Ask) -> Survey {
        let account = Account::from(&ask.grantee);
        let mut survey = Survey {
            server: self.server.identity.clone(),
            privileges: Vec::new(),
            problems: Vec::new(),
            readable: Vec::new(),
            prerequisites: Vec::new(),
            will_read: Vec::new(),
            caveats: Vec::new(),
        };
        let exists = self.account(ask, &account, &mut survey);
        let mut ways: HashMap<TableName, Ways> = HashMap::new();
        for asked in &ask.tables {
            self.table(ask, asked, &account, &mut ways, &mut survey);
        }
        for along in &ask.along {
            self.along(ask, along, &account, &mut ways, &mut survey);
        }
        privilege::once(&mut survey.privileges);
        let tables: BTreeSet<TableName> = survey
            .privileges
            .iter()
            .filter_map(|privilege| privilege.named.table().cloned())
            .collect();
        if exists {
            self.may_pass_on(&account, &tables, &mut survey);
        }
        self.will_read(&ways, &mut survey);
        survey.caveats = self.caveats(&account, &tables, &survey.privileges);
        survey
    }

    /// The account itself. Answers whether it exists.
    fn account(&self, ask: &Ask, account: &Account, survey: &mut Survey) -> bool {
        let Some(user) = self.rights.users.get(account) else {
            survey.problems.push(SurveyProblem::NoAccount {
                grantee: ask.grantee.clone(),
                near: self.near_accounts(account),
            });
            return false;
        };
        let mut unfit = Vec::new();
        if account.user.is_empty() {
            unfit.push("is the anonymous account, which anybody is".to_owned());
        }
        if *account == self.server.me {
            unfit.push("is the account that jit itself uses".to_owned());
        }
        if user.is_role {
            unfit.push("is a role, not a login".to_owned());
        }
        if self.rights.mandatory.contains(account) {
            unfit.push("is a mandatory role, which everybody has".to_owned());
        }
        if user.locked {
            unfit.push("is locked: nobody can log in as it".to_owned());
        }
        if user.superuser {
            unfit.push("is a superuser (SUPER)".to_owned());
        }
        let members = self.rights.members(account);
        if !members.is_empty() {
            let members: Vec<_> = members.into_iter().map(ToString::to_string).collect();
            unfit.push(format!(
                "has others who may act as it: {}",
                members.join(", ")
            ));
        }
        if self.has_system_user(account) && !self.has_system_user(&self.server.me) {
            unfit.push(
                "has SYSTEM_USER, and the server lets only such accounts grant to it".to_owned(),
            );
        }
        survey
            .problems
            .extend(unfit.into_iter().map(|why| SurveyProblem::Unfit {
                grantee: ask.grantee.clone(),
                why,
            }));
        true
    }

    fn has_system_user(&self, account: &Account) -> bool {
        self.rights.system_users.contains(account)
            || self
                .rights
                .roles_of(account)
                .iter()
                .any(|role| self.rights.system_users.contains(role))
    }

    /// Refused rather than warned of: what is passed on survives our REVOKE (facts-mysql, finding 7).
    fn may_pass_on(&self, account: &Account, tables: &BTreeSet<TableName>, survey: &mut Survey) {
        for table in tables {
            if let Some(option) = self.rights.grant_option(account, table) {
                survey.problems.push(SurveyProblem::Unfit {
                    grantee: Grantee::from(account),
                    why: format!("could pass it on: it has {option}"),
                });
            }
        }
    }

    fn table(
        &self,
        ask: &Ask,
        asked: &TableColumns,
        account: &Account,
        ways: &mut HashMap<TableName, Ways>,
        survey: &mut Survey,
    ) {
        if observe::is_system(&asked.table.schema) {
            survey.problems.push(SurveyProblem::NotATable {
                table: asked.table.clone(),
                what: "a table of the server's own".to_owned(),
            });
            return;
        }
        let Some((table, shape)) =
            observe::spelled(self.shapes, &asked.table, self.server.exact_tables)
        else {
            survey.problems.push(self.unseen(asked));
            return;
        };
        if !shape.is_table() {
            survey.problems.push(SurveyProblem::NotATable {
                table: table.clone(),
                what: match shape.kind.as_str() {
                    "VIEW" => "a view, which reads with its owner's rights".to_owned(),
                    other => format!("a {}", other.to_lowercase()),
                },
            });
            return;
        }
        if !self.rights.may_give(&self.server.me, table) {
            survey.problems.push(SurveyProblem::NotOurs {
                table: table.clone(),
                columns: asked.columns.clone(),
                sql: vec![render::hand_out(table, &self.server.me)],
            });
        }
        let can_read = ways
            .entry(table.clone())
            .or_insert_with(|| self.rights.ways(account, table));
        for column in &asked.columns {
            let Some(found) = shape.column(&column.0) else {
                survey.problems.push(SurveyProblem::NoColumn {
                    table: table.clone(),
                    column: column.clone(),
                    near: near(
                        &column.0,
                        shape.columns.iter().map(|column| column.name.clone()),
                    ),
                });
                continue;
            };
            survey.readable.extend(
                can_read
                    .of(&found.name, &|key| ask.ours.contains(key))
                    .into_iter()
                    .map(|how| Reading {
                        table: table.clone(),
                        column: ColumnName(found.name.clone().into()),
                        how,
                    }),
            );
            survey
                .privileges
                .push(privilege(table, account, &found.name));
        }
    }

    /// `with:` columns: what is missing, readable already or not ours to give is left out.
    fn along(
        &self,
        ask: &Ask,
        along: &TableColumns,
        account: &Account,
        ways: &mut HashMap<TableName, Ways>,
        survey: &mut Survey,
    ) {
        let Some((table, shape)) =
            observe::spelled(self.shapes, &along.table, self.server.exact_tables)
        else {
            return;
        };
        if !shape.is_table()
            || observe::is_system(&table.schema)
            || !self.rights.may_give(&self.server.me, table)
        {
            return;
        }
        let can_read = ways
            .entry(table.clone())
            .or_insert_with(|| self.rights.ways(account, table));
        for column in &along.columns {
            if let Some(found) = shape.column(&column.0)
                && can_read
                    .of(&found.name, &|key| ask.ours.contains(key))
                    .is_empty()
            {
                survey
                    .privileges
                    .push(privilege(table, account, &found.name));
            }
        }
    }

    /// A table that our account does not see: misspelled, or not ours. The catalog hides what one has no rights on,
    /// so where nothing alike is seen, the owner is asked, whose GRANT tells.
    fn unseen(&self, asked: &TableColumns) -> SurveyProblem {
        let near = near(
            &asked.table.to_string(),
            self.names.iter().map(ToString::to_string),
        );
        let sees_all = !self
            .rights
            .ways(&self.server.me, &asked.table)
            .whole
            .is_empty();
        if sees_all || !near.is_empty() {
            SurveyProblem::NoTable {
                table: asked.table.clone(),
                near,
            }
        } else {
            SurveyProblem::NotOurs {
                table: asked.table.clone(),
                columns: asked.columns.clone(),
                sql: vec![render::hand_out(&asked.table, &self.server.me)],
            }
        }
    }

    fn will_read(&self, ways: &HashMap<TableName, Ways>, survey: &mut Survey) {
        let mut tables: Vec<&TableName> = ways.keys().collect();
        tables.sort();
        let asked: HashSet<_> = survey
            .privileges
            .iter()
            .map(|privilege| {
                let column = privilege.named.column().map(ColumnName::as_str);
                (privilege.named.table(), column)
            })
            .collect();
        for table in tables {
            let (Some(shape), Some(ways)) = (self.shapes.get(table), ways.get(table)) else {
                continue;
            };
            let columns: Vec<ColumnName> = shape
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .filter(|column| {
                    asked.contains(&(Some(table), Some(column)))
                        || !ways.of(column, &|_| false).is_empty()
                })
                .map(ColumnName::from)
                .collect();
            if !columns.is_empty() {
                survey.will_read.push(TableColumns {
                    table: table.clone(),
                    columns,
                });
            }
        }
    }

    fn near_accounts(&self, wanted: &Account) -> Vec<String> {
        let mut same: Vec<String> = self
            .rights
            .users
            .values()
            .filter(|user| !user.is_role && user.account.user == wanted.user)
            .map(|user| user.account.to_string())
            .collect();
        same.sort();
        same.extend(near(
            &wanted.to_string(),
            self.rights
                .users
                .values()
                .filter(|user| {
                    !user.is_role
                        && user.account.user != wanted.user
                        && !user.account.user.is_empty()
                })
                .map(|user| user.account.to_string()),
        ));
        same.truncate(NEAR);
        same
    }
}

fn privilege(table: &TableName, account: &Account, column: &str) -> Privilege {
    Privilege {
        identity: rights::identity(table, account, column),
        named: Named {
            grantee: Grantee::from(account),
            thing: Thing::Column {
                table: table.clone(),
                column: ColumnName(column.into()),
            },
        },
        stamp: None,
    }
}

/// Names that look alike, nearest first.
fn near(wanted: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(f64, String)> = names
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(&wanted, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(score, _)| *score > 0.65)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored
        .into_iter()
        .take(NEAR)
        .map(|(_, name)| name)
        .collect()
}
