//! Postgres 13 and later, through a grantor role of our own.
//!
//! Everything of ours is granted by one NOLOGIN role (`jit_grantor` unless the target says otherwise) that holds
//! the policies' columns WITH GRANT OPTION; our login is a member that inherits nothing, and acts as it by
//! SET LOCAL ROLE inside a transaction. So our rows stand apart in every access list (facts-postgres, "Grantor").
//!
//! The role's comment carries the ledger's id. Roles, and their comments, belong to the whole cluster: two ledgers
//! may serve two databases of one cluster only with different grantor roles; one ledger may serve several
//! databases with the same one.

mod apply;
mod blockers;
mod check;
mod claim;
mod clearing;
mod connection;
mod guard;
mod holdings;
mod identities;
mod identity;
mod link;
mod names;
mod observe;
mod quote;
mod reads;
mod relations;
mod render;
mod sessions;
mod setup;
mod statements;
mod survey;
mod transaction;

use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use foldhash::HashSet;

use super::*;
use identity::Answered;
use link::Link;

/// One connected target.
pub struct Postgres {
    address: Address,
    answered: Answered,
    link: Option<Rc<Link>>,
}

impl Postgres {
    /// Connects to the first endpoint that answers and can be written to.
    pub async fn connect(address: &Address) -> Result<Self, EngineError> {
        let (link, answered) = connection::open(address).await?;
        Ok(Self {
            address: address.clone(),
            answered,
            link: Some(Rc::new(link)),
        })
    }

    /// The connection, made anew if it was lost. Another server under the same address is refused.
    async fn link(&mut self) -> Result<Rc<Link>, EngineError> {
        if let Some(link) = self.link.as_ref().filter(|link| !link.is_dead()) {
            return Ok(link.clone());
        }
        self.link = None;
        let (link, answered) = connection::open(&self.address).await?;
        if !answered.server.same_database(&self.answered.server) {
            return Err(EngineError::Changed {
                address: self.address.shown(),
                what: "the server".to_owned(),
                why: format!(
                    "{} answers now, and {} did before",
                    answered.server, self.answered.server
                ),
            });
        }
        self.answered = answered;
        let link = Rc::new(link);
        self.link = Some(link.clone());
        Ok(link)
    }

    /// Runs something that changes nothing, once more on a new connection where the first try lost its own.
    async fn reading<T>(
        &mut self,
        read: impl AsyncFn(&Link, &Answered) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let link = self.link().await?;
        match read(&link, &self.answered).await {
            Err(_) if link.is_dead() => {
                let link = self.link().await?;
                read(&link, &self.answered).await
            }
            done => done,
        }
    }

    fn shown(&self) -> String {
        self.answered.server.to_string()
    }

    fn database(&self) -> u32 {
        self.answered.database
    }

    fn statement_timeout(&self) -> Duration {
        self.address.statement_timeout
    }
}

#[async_trait(?Send)]
impl Engine for Postgres {
    fn flavour(&self) -> &Flavour {
        &self.answered.flavour
    }

    fn server(&self) -> &ServerIdentity {
        &self.answered.server
    }

    fn marks_its_rows(&self) -> bool {
        true
    }

    fn sql(&self, verb: Verb, privileges: &[Privilege]) -> String {
        // A name that cannot be written is refused by survey, and never granted; for display it is said.
        render::one(verb, privileges).unwrap_or_else(|bad| format!("-- not sent: {bad}"))
    }

    async fn catalog(&mut self, of: &[TablePattern]) -> Result<Catalog, EngineError> {
        self.reading(async |link, _| observe::catalog(link, of).await)
            .await
    }

    async fn survey(&mut self, asks: &[Ask]) -> Result<Vec<Survey>, EngineError> {
        let grantor = self.address.grantor.clone();
        self.reading(async |link, answered| survey::survey(link, answered, &grantor, asks).await)
            .await
    }

    /// Rows name their grantor: nothing has to be explained.
    async fn privileges(
        &mut self,
        of: &[Privilege],
        _owned: &HashSet<PrivilegeKey>,
    ) -> Result<Vec<Standing>, EngineError> {
        self.reading(async |link, answered| observe::standings(link, answered.database, of).await)
            .await
    }

    async fn grant(&mut self, orders: &[GrantOrder]) -> Vec<Report> {
        apply::grant(self, orders).await
    }

    async fn revoke(&mut self, steps: &[RevokeStep]) -> Vec<Report> {
        apply::revoke(self, steps).await
    }

    async fn aftermath(&mut self, of: &[Privilege]) -> Result<Aftermath, EngineError> {
        Ok(Aftermath {
            standings: self.privileges(of, &HashSet::default()).await?,
            still_reads: self
                .reading(async |link, answered| {
                    reads::still_reads(link, answered.database, of).await
                })
                .await,
        })
    }

    async fn sessions(&mut self, of: &[Privilege], end: bool) -> Result<Vec<Session>, EngineError> {
        self.reading(async |link, answered| {
            sessions::sessions(link, answered.database, of, end).await
        })
        .await
    }

    async fn strays(
        &mut self,
        owned: &HashSet<PrivilegeKey>,
        _known: &[Privilege],
    ) -> Result<Vec<Privilege>, EngineError> {
        let name = self.address.grantor.clone();
        self.reading(
            async |link, answered| match observe::grantor(link, &name).await? {
                Some(grantor) => observe::strays(link, answered.database, grantor.oid, owned).await,
                // Without the role there can be no row of its.
                None => Ok(Vec::new()),
            },
        )
        .await
    }

    async fn end_own(&mut self, requests: &[RequestId]) -> Result<usize, EngineError> {
        self.reading(async |link, _| sessions::end_own(link, requests).await)
            .await
    }

    async fn clock_skew(&mut self) -> Result<i64, EngineError> {
        self.reading(async |link, _| sessions::clock_skew(link).await)
            .await
    }

    async fn check(&mut self, needs: &Needs) -> Result<Vec<Finding>, EngineError> {
        let address = self.address.clone();
        self.reading(async |link, answered| check::check(link, answered, &address, needs).await)
            .await
    }

    async fn claim(&mut self, ledger: &LedgerId) -> Result<(), EngineError> {
        let grantor = self.address.grantor.clone();
        self.reading(async |link, _| claim::claim(link, &grantor, ledger).await)
            .await
    }

    async fn setup(&mut self, needs: &Needs, undo: bool) -> Result<Vec<SetupGroup>, EngineError> {
        let grantor = self.address.grantor.clone();
        self.reading(async |link, answered| {
            let seen = holdings::holdings(link, answered, &grantor, needs).await?;
            match undo {
                false => setup::setup(&seen, needs),
                true => setup::undo(&seen, needs),
            }
        })
        .await
    }

    async fn run(&mut self, statements: &[String]) -> Result<(), EngineError> {
        let link = self.link().await?;
        for statement in statements {
            link.run(statement).await?;
        }
        Ok(())
    }
}
