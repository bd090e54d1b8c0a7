//! Who may be a grantee.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use crate::access::{Grantee, SurveyProblem};
use crate::engines::EngineError;
use crate::engines::postgres::identity::get;
use crate::engines::postgres::link::Link;
use crate::engines::postgres::names::near;
use crate::engines::postgres::quote;

pub const ACCOUNTS: &str = include_str!("../sql/survey_accounts.sql");
const NEAR: &str = include_str!("../sql/near_accounts.sql");

/// One account of the server.
#[derive(Clone, Debug)]
pub struct Account {
    pub oid: u32,
    pub name: Grantee,
    pub may_connect: bool,
    /// Why it can be no grantee: completes "alice …".
    unfit: Option<String>,
}

/// The accounts that were asked about, by name.
#[derive(Debug, Default)]
pub struct Accounts {
    found: BTreeMap<Grantee, Account>,
    near: Vec<String>,
}

impl Accounts {
    pub fn read(rows: &[Row]) -> Result<Self, EngineError> {
        let mut accounts = Self::default();
        for row in rows {
            let account = account(row)?;
            accounts.found.insert(account.name.clone(), account);
        }
        Ok(accounts)
    }

    /// Names to suggest.
    pub async fn read_near(&mut self, link: &Link) -> Result<(), EngineError> {
        for row in link.ask("names of accounts", NEAR, Vec::new()).await? {
            self.near.push(get(&row, 0)?);
        }
        Ok(())
    }

    pub fn get(&self, name: &Grantee) -> Option<&Account> {
        self.found.get(name)
    }

    /// The account, if it can be a grantee.
    pub fn fit(&self, name: &Grantee) -> Result<&Account, SurveyProblem> {
        match self.found.get(name) {
            Some(account) => match &account.unfit {
                None => Ok(account),
                Some(why) => Err(unfit(name, why)),
            },
            None if name.as_str().eq_ignore_ascii_case("public") => {
                Err(unfit(name, "is everybody, not an account"))
            }
            None => Err(SurveyProblem::NoAccount {
                grantee: name.clone(),
                near: near(name.as_str(), self.near.iter().map(String::as_str)),
            }),
        }
    }
}

fn unfit(name: &Grantee, why: &str) -> SurveyProblem {
    SurveyProblem::Unfit {
        grantee: name.clone(),
        why: why.to_owned(),
    }
}

fn account(row: &Row) -> Result<Account, EngineError> {
    let name: String = get(row, 1)?;
    let members: Vec<String> = get(row, 6)?;
    let unfit = if get::<bool>(row, 4)? {
        Some("is the account that jit itself logs in as".to_owned())
    } else if get(row, 3)? {
        Some("is a superuser".to_owned())
    } else if get(row, 5)? {
        Some("is jit's grantor role, or can become it".to_owned())
    } else if !get::<bool>(row, 2)? {
        Some("is a role that nobody can log in as".to_owned())
    } else if !members.is_empty() {
        Some(format!(
            "has members, who would get it too: {}",
            members.join(", ")
        ))
    } else {
        quote::role(&name)
            .err()
            .map(|bad| format!("cannot be named in a statement: {bad}"))
    };
    Ok(Account {
        oid: get(row, 0)?,
        name: Grantee(name.into()),
        may_connect: get(row, 7)?,
        unfit,
    })
}
