//! The databases. One trait that speaks in identities; Postgres and MySQL (with MariaDB) behind it.
//!
//! An engine never decides: it observes, applies what it is told, and says what it saw. It knows nothing of the
//! ledger. "OK" from a server is never evidence: callers observe again after they apply.

pub mod address;
pub mod error;
mod hosts;
pub mod mysql;
pub mod password;
pub mod postgres;
mod tls;

use async_trait::async_trait;
use foldhash::HashSet;
use serde::{Deserialize, Serialize};

use crate::access::arrival::{Ask, Survey};
use crate::access::plan::RevokeStep;
use crate::access::{
    ColumnName, Grantee, LedgerId, Privilege, PrivilegeKey, RequestId, ServerIdentity, ShortText,
    Standing, TableName, TablePattern,
};

pub use address::{Address, Dialect};
pub use error::EngineError;

/// Which server answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavour {
    pub kind: Kind,
    /// As the server says it: `15.18`, `10.11.19-MariaDB`.
    pub version: String,
}

/// The `engine` key of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Postgres,
    Mysql,
    Mariadb,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
        }
    }
}

/// GRANT or REVOKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Grant,
    Revoke,
}

/// What one request is to be given: all of it or nothing.
#[derive(Clone, Debug)]
pub struct GrantOrder {
    pub request: RequestId,
    pub privileges: Vec<Privilege>,
}

/// What became of one order or step, as far as the server said. It is no evidence: observe.
#[derive(Debug, Default)]
pub struct Report {
    /// What went wrong; where `EngineError::outcome_unknown` holds, it may have happened all the same.
    pub error: Option<EngineError>,
    /// A merged statement's name, equal in all reports that were served by it: the `batch` key of an event.
    pub batch: Option<String>,
    /// Sessions whose lock kept a REVOKE waiting: those that were ended for it, and with an error those that were not.
    pub in_the_way: Vec<Session>,
}

/// A session that may go on reading although the privilege is gone, or that keeps it from going.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Session {
    /// The server's number for it: pid, or connection id.
    pub id: u64,
    pub account: String,
    /// Why it may still read, or what it holds up, in words: `open transaction with a lock on public.customers since
    /// 09:15:02Z`.
    pub why: String,
    /// Whether it was ended by us.
    pub ended: bool,
}

/// After a revoke: how the grantee can still read a column of it, not through us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StillReads {
    pub key: PrivilegeKey,
    /// As in [`crate::access::Reading`].
    pub how: String,
}

/// What is seen once statements have been sent.
#[derive(Debug)]
pub struct Aftermath {
    /// In the order of the privileges.
    pub standings: Vec<Standing>,
    pub still_reads: Result<Vec<StillReads>, EngineError>,
}

/// One finding of `jit doctor` about a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub ok: bool,
    /// What was checked, short: `privileges`, `TLS`, `clock`, `grantor`.
    pub what: String,
    /// What was seen, in one sentence.
    pub saw: String,
    /// What to run or do when it is not ok.
    pub cure: Option<String>,
}

/// Statements of `jit setup`, with who must run them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupGroup {
    /// In words: `a superuser or CREATEROLE role`, `the owner of schema app (app_owner)`.
    pub by: String,
    pub statements: Vec<String>,
}

/// Tables and columns as the catalog has them, in catalog order; what globs and pickers are matched with.
pub type Catalog = Vec<(TableName, Vec<ColumnName>)>;

/// One connected target.
///
/// All methods may be called again after an error; a lost connection is made anew by the next call.
/// Every statement is bounded in time (10 s unless the address says otherwise).
#[async_trait(?Send)]
pub trait Engine {
    fn flavour(&self) -> &Flavour;

    /// Who answered at connection.
    fn server(&self) -> &ServerIdentity;

    /// The statement for some privileges of one table (or schema) and one grantee, by the names given in them,
    /// without the intent's comment. Pure; the very text that `grant` and `revoke` send where nothing is merged.
    fn sql(&self, verb: Verb, privileges: &[Privilege]) -> String;

    /// Tables and columns that can be leased, without the system's own. For globs, pickers and `check --live`.
    /// Those of these patterns are among them; others may be too, for MySQL and MariaDB show only what our account may
    /// give anyhow.
    async fn catalog(&mut self, of: &[TablePattern]) -> Result<Catalog, EngineError>;

    /// Looks at the target for each ask, in one go. Changes nothing.
    async fn survey(&mut self, asks: &[Ask]) -> Result<Vec<Survey>, EngineError>;

    /// The standing of each privilege, by identity, in the order given, from a new snapshot on the primary.
    ///
    /// `owned` are live leases besides these: their rows are no stranger's. Only what is `contested` without it can
    /// differ.
    async fn privileges(
        &mut self,
        of: &[Privilege],
        owned: &HashSet<PrivilegeKey>,
    ) -> Result<Vec<Standing>, EngineError>;

    /// Gives every order whole or not at all (MySQL and MariaDB: by undoing what was new). One report an order.
    ///
    /// Merges what it can and falls back to order by order when a merged statement fails. Never gives anything
    /// where the names in the privileges do not lead to their identities any more: that order fails.
    /// Each statement carries the request's id in a comment, and so does the session's name where there is one.
    async fn grant(&mut self, orders: &[GrantOrder]) -> Vec<Report>;

    /// Takes away every step's privileges, as the recorded grantor. One report a step.
    ///
    /// Merges what it can, falls back to smaller statements when one fails, waits for locks only for a bounded
    /// time, and then goes without them. Where REVOKE itself waits for the table (Postgres 18 and later), sessions of
    /// the grantee that keep it waiting are ended, and bystanders' where the step is pressing. Already absent is no
    /// error.
    async fn revoke(&mut self, steps: &[RevokeStep]) -> Vec<Report>;

    /// How privileges stand behind REVOKEs, as [`Engine::privileges`] tells it with no live leases besides, and how each
    /// one's grantee can still read that column, or schema, with our rows left out of account.
    ///
    /// # Errors
    /// Those of the former; those of the latter alone are in its place.
    async fn aftermath(&mut self, of: &[Privilege]) -> Result<Aftermath, EngineError>;

    /// Sessions of the grantees (or of roles that act for them) that can go on reading; with `end`, ended first
    /// and reported with `ended: true` where the server then showed them gone.
    async fn sessions(&mut self, of: &[Privilege], end: bool) -> Result<Vec<Session>, EngineError>;

    /// Whether the catalog tells our privileges from all others by themselves: then [`Engine::strays`] needs to know
    /// of none.
    fn marks_its_rows(&self) -> bool;

    /// Privileges in the catalog that bear our mark and are not in `owned`: on Postgres all rows of our grantor;
    /// on MySQL and MariaDB, of the `known` ones (ended leases) those that are there again by our account's hand.
    async fn strays(
        &mut self,
        owned: &HashSet<PrivilegeKey>,
        known: &[Privilege],
    ) -> Result<Vec<Privilege>, EngineError>;

    /// Ends every session of our own account that still carries one of these requests' ids (a statement that
    /// waits behind a lock is applied later even though its client is dead: facts-mysql, finding 3) or those of many,
    /// and on MySQL and MariaDB every idle one; except this one. Returns when the server shows them gone. How many
    /// there were.
    async fn end_own(&mut self, requests: &[RequestId]) -> Result<usize, EngineError>;

    /// The server's clock minus ours, in milliseconds, as well as one round trip tells.
    async fn clock_skew(&mut self) -> Result<i64, EngineError>;

    /// Checks our account against these tables: privileges enough for each and no more, mark, grantor, TLS.
    async fn check(&mut self, needs: &Needs) -> Result<Vec<Finding>, EngineError>;

    /// Puts the ledger's id on the target (Postgres: the grantor's comment), or finds it there.
    /// An `EngineError::OtherLedger` where another one's is. MySQL and MariaDB have no place for it: always fine.
    async fn claim(&mut self, ledger: &LedgerId) -> Result<(), EngineError>;

    /// The SQL that makes the target ready for these tables, or that takes all of it away again.
    async fn setup(&mut self, needs: &Needs, undo: bool) -> Result<Vec<SetupGroup>, EngineError>;

    /// Runs setup statements through this connection, one by one; used with `--apply` by a privileged URL.
    async fn run(&mut self, statements: &[String]) -> Result<(), EngineError>;
}

/// What the policies want to be able to lease on a target, in full names that exist in its catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub tables: Vec<(TableName, Vec<ColumnName>)>,
    /// Schemas whose USAGE may be leased along.
    pub usage: Vec<ShortText>,
    /// Whether a policy ends sessions at expiry, for which our account needs a right of its own.
    pub end_sessions: bool,
    /// The login that jit itself uses, as the settings name it.
    pub login: Grantee,
    /// The ledger that the target will belong to.
    pub ledger: Option<LedgerId>,
}

/// Connects, finds out who answers, and prepares the session (time limits, no default database, our name).
///
/// # Errors
/// `Unreachable` where no server answers in time, `Denied` where it does not let us in; never contains a secret.
pub async fn connect(address: &Address) -> Result<Box<dyn Engine>, EngineError> {
    match address.dialect {
        Dialect::Postgres => Ok(Box::new(postgres::Postgres::connect(address).await?)),
        Dialect::Mysql => Ok(Box::new(mysql::Mysql::connect(address).await?)),
    }
}
