//! Postgres 13 and later, through a grantor role of our own.

use std::collections::HashSet;

use async_trait::async_trait;

use super::*;

/// One connected target.
pub struct Postgres {}

impl Postgres {
    pub async fn connect(_address: &Address) -> Result<Self, EngineError> {
        unimplemented!()
    }
}

#[async_trait(?Send)]
#[allow(unused_variables)]
impl Engine for Postgres {
    fn flavour(&self) -> &Flavour {
        unimplemented!()
    }
    fn server(&self) -> &ServerIdentity {
        unimplemented!()
    }
    fn sql(&self, verb: Verb, privileges: &[Privilege]) -> String {
        unimplemented!()
    }
    async fn catalog(&mut self) -> Result<Catalog, EngineError> {
        unimplemented!()
    }
    async fn survey(&mut self, asks: &[Ask]) -> Result<Vec<Survey>, EngineError> {
        unimplemented!()
    }
    async fn privileges(&mut self, of: &[Privilege]) -> Result<Vec<Standing>, EngineError> {
        unimplemented!()
    }
    async fn grant(&mut self, orders: &[GrantOrder]) -> Vec<Report> {
        unimplemented!()
    }
    async fn revoke(&mut self, steps: &[RevokeStep]) -> Vec<Report> {
        unimplemented!()
    }
    async fn still_reads(&mut self, of: &[Privilege]) -> Result<Vec<StillReads>, EngineError> {
        unimplemented!()
    }
    async fn sessions(&mut self, of: &[Privilege], end: bool) -> Result<Vec<Session>, EngineError> {
        unimplemented!()
    }
    async fn strays(
        &mut self,
        owned: &HashSet<PrivilegeKey>,
        known: &[Privilege],
    ) -> Result<Vec<Privilege>, EngineError> {
        unimplemented!()
    }
    async fn end_own(&mut self, requests: &[RequestId]) -> Result<usize, EngineError> {
        unimplemented!()
    }
    async fn clock_skew(&mut self) -> Result<i64, EngineError> {
        unimplemented!()
    }
    async fn check(&mut self, needs: &Needs) -> Result<Vec<Finding>, EngineError> {
        unimplemented!()
    }
    async fn claim(&mut self, ledger: &LedgerId) -> Result<(), EngineError> {
        unimplemented!()
    }
    async fn setup(&mut self, needs: &Needs, undo: bool) -> Result<Vec<SetupGroup>, EngineError> {
        unimplemented!()
    }
    async fn run(&mut self, statements: &[String]) -> Result<(), EngineError> {
        unimplemented!()
    }
}
