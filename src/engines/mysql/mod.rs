//! MySQL 8.0 and later, MariaDB 10.6 and later. Facts measured on real servers: facts-mysql.
//!
//! There is no privilege of our own here, as there is on Postgres: a row in `mysql.columns_priv` says neither who
//! gave it nor how often. So what was there before is found by looking, and never ours; what somebody else gives
//! meanwhile is noticed by its stamp (`stamp`); and success is always what the rows show, never what the server
//! answered.

mod account;
mod aftermath;
mod ask;
mod catalog;
mod caveats;
mod check;
mod connection;
mod dial;
mod grant;
mod greeting;
mod holdings;
mod observe;
mod quote;
mod relay;
mod render;
mod revoke;
mod rights;
mod rows;
mod sessions;
mod setup;
mod stamp;
mod standing;
mod survey;
mod takings;

use std::time::Instant;

use chrono::{NaiveDateTime, Utc};
use foldhash::HashSet;

use super::*;
use account::Account;
use connection::Link;
use rows::Place;

/// One connected target.
pub struct Mysql {
    link: Link,
}

impl Mysql {
    /// # Errors
    /// As [`super::connect`]; `Unreachable` also where every server that answers is read-only.
    pub async fn connect(address: &Address) -> Result<Self, EngineError> {
        Ok(Self {
            link: Link::open(address).await?,
        })
    }
}

#[async_trait(?Send)]
impl Engine for Mysql {
    fn flavour(&self) -> &Flavour {
        &self.link.server().flavour
    }

    fn server(&self) -> &ServerIdentity {
        &self.link.server().identity
    }

    fn marks_its_rows(&self) -> bool {
        false
    }

    fn sql(&self, verb: Verb, privileges: &[Privilege]) -> String {
        let places: Vec<Place> = privileges
            .iter()
            .filter_map(|privilege| Place::named(&privilege.named))
            .collect();
        let Some(first) = places.first() else {
            return String::new();
        };
        let mut columns: Vec<ColumnName> = Vec::new();
        let mut accounts: Vec<Account> = Vec::new();
        for place in &places {
            let column = ColumnName(place.column.clone());
            if !columns.contains(&column) {
                columns.push(column);
            }
            if !accounts.contains(&place.account) {
                accounts.push(place.account.clone());
            }
        }
        match verb {
            Verb::Grant => render::grant(&first.table, &columns, &accounts),
            Verb::Revoke => {
                render::revoke(self.link.server().words, &first.table, &columns, &accounts)
            }
        }
    }

    async fn catalog(&mut self, of: &[TablePattern]) -> Result<Catalog, EngineError> {
        catalog::catalog(&mut self.link, of).await
    }

    async fn survey(&mut self, asks: &[Ask]) -> Result<Vec<Survey>, EngineError> {
        survey::survey(&mut self.link, asks).await
    }

    async fn privileges(
        &mut self,
        of: &[Privilege],
        owned: &HashSet<PrivilegeKey>,
    ) -> Result<Vec<Standing>, EngineError> {
        standing::privileges(&mut self.link, of, owned).await
    }

    async fn grant(&mut self, orders: &[GrantOrder]) -> Vec<Report> {
        grant::grant(&mut self.link, orders).await
    }

    async fn revoke(&mut self, steps: &[RevokeStep]) -> Vec<Report> {
        revoke::revoke(&mut self.link, steps).await
    }

    async fn aftermath(&mut self, of: &[Privilege]) -> Result<Aftermath, EngineError> {
        aftermath::aftermath(&mut self.link, of).await
    }

    async fn sessions(&mut self, of: &[Privilege], end: bool) -> Result<Vec<Session>, EngineError> {
        sessions::sessions(&mut self.link, of, end).await
    }

    async fn strays(
        &mut self,
        owned: &HashSet<PrivilegeKey>,
        known: &[Privilege],
    ) -> Result<Vec<Privilege>, EngineError> {
        aftermath::strays(&mut self.link, owned, known).await
    }

    async fn end_own(&mut self, requests: &[RequestId]) -> Result<usize, EngineError> {
        sessions::end_own(&mut self.link, requests).await
    }

    async fn clock_skew(&mut self) -> Result<i64, EngineError> {
        self.link.ready().await?;
        let before = Utc::now();
        let started = Instant::now();
        let told = observe::clock(&mut self.link).await?;
        let middle = before + started.elapsed() / 2;
        let theirs =
            NaiveDateTime::parse_from_str(&told, "%Y-%m-%d %H:%M:%S%.f").map_err(|_| {
                EngineError::Unreachable {
                    address: self.link.shown(),
                    why: format!("it does not tell the time, but {told:?}"),
                }
            })?;
        Ok((theirs.and_utc() - middle).num_milliseconds())
    }

    async fn check(&mut self, needs: &Needs) -> Result<Vec<Finding>, EngineError> {
        check::check(&mut self.link, needs).await
    }

    /// There is no place for a mark that an account with our few privileges could write and read: always fine.
    async fn claim(&mut self, _ledger: &LedgerId) -> Result<(), EngineError> {
        Ok(())
    }

    async fn setup(&mut self, needs: &Needs, undo: bool) -> Result<Vec<SetupGroup>, EngineError> {
        setup::setup(&mut self.link, needs, undo).await
    }

    async fn run(&mut self, statements: &[String]) -> Result<(), EngineError> {
        setup::run(&mut self.link, statements).await
    }
}
