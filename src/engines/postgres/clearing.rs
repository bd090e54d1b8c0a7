//! Clearing the way for a REVOKE where it takes a lock on the table (18 and later).
//!
//! There it waits for whoever has the table for himself (ACCESS EXCLUSIVE) or asked for that before us, and everybody
//! with UPDATE, DELETE, TRUNCATE or MAINTAIN can have it so, by LOCK TABLE; no other statement of ours gets round it
//! (facts-postgres, "Concurrency"). So sessions in the way are ended, while our REVOKE stands in the lock's queue:
//! who comes later queues behind it, so however many they are and however fast they come back, it gets its turn.
//!
//! The grantee's own sessions are ended at once. Those of the table's owner, who can give the column to anybody anyway,
//! of superusers and of the server itself never are: nobody reads the table as long as they have it. A bystander's is
//! ended where the step is pressing (see [`Urgency`]).

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::access::ServerIdentity;
use crate::access::plan::Urgency;
use crate::engines::{Address, EngineError, Session};

use super::connection;
use super::identities::Spot;
use super::identity::get;
use super::link::Link;
use super::reads::Pairs;
use super::sessions::{self, Backend};
use super::transaction::Piece;

const IN_THE_WAY: &str = include_str!("sql/in_the_way.sql");

/// How often to look what our REVOKE waits for.
const EVERY: Duration = Duration::from_millis(100);
/// So many sessions are named in an error.
const NAMED: usize = 5;

/// Whom a session in the way belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The grantee's, or a role's that can act for it.
    Grantee,
    /// The table's owner's, or a role's that can act for it.
    Owner,
    Superuser,
    /// No role's: a vacuum, say.
    Server,
    /// A prepared transaction: there is no session to end.
    Prepared,
    Bystander,
}

impl Whose {
    fn read(word: &str) -> Self {
        match word {
            "grantee" => Self::Grantee,
            "owner" => Self::Owner,
            "superuser" => Self::Superuser,
            "prepared" => Self::Prepared,
            "bystander" => Self::Bystander,
            _ => Self::Server,
        }
    }
}

/// What one batch of REVOKEs is about: relations (0 for what is no column) with grantees and urgency.
#[derive(Clone, Debug, Default)]
pub struct Affair {
    pairs: BTreeSet<(u32, u32)>,
    urgency: BTreeMap<u32, Urgency>,
}

impl Affair {
    /// Of these pieces; `urgency` says that of a job.
    pub fn of(pieces: &[Piece], urgency: impl Fn(usize) -> Urgency) -> Self {
        let mut affair = Self::default();
        for piece in pieces {
            for (entry, _) in &piece.rows {
                let relation = relation(entry.spot);
                affair.pairs.insert((relation, entry.role));
                let most = affair.urgency.entry(relation).or_insert(Urgency::Usual);
                *most = urgency(piece.job).max(*most);
            }
        }
        affair
    }

    fn urgency_of(&self, relations: &[u32]) -> Urgency {
        relations
            .iter()
            .filter_map(|relation| self.urgency.get(relation))
            .copied()
            .max()
            .unwrap_or(Urgency::Usual)
    }
}

pub fn relation(spot: Spot) -> u32 {
    match spot {
        Spot::Column { relation, .. } => relation,
        Spot::Schema { .. } => 0,
    }
}

/// A session that was in the way.
#[derive(Clone, Debug)]
struct Met {
    backend: Backend,
    account: Option<String>,
    whose: Whose,
    /// Whether our REVOKE waited for it, and not only for one that waits for it.
    direct: bool,
    holds: bool,
    relations: Vec<u32>,
    tables: String,
    /// A prepared transaction's name.
    prepared: Option<String>,
    urgency: Urgency,
    since: Instant,
    /// Told to end; why the server refused that; and whether it was then seen gone.
    told: bool,
    refused: Option<String>,
    ended: bool,
}

impl Met {
    fn read(row: &Row, affair: &Affair) -> Result<Self, EngineError> {
        let relations: Option<Vec<u32>> = get(row, 6)?;
        let relations = relations.unwrap_or_default();
        Ok(Self {
            backend: Backend {
                pid: get(row, 0)?,
                role: get::<Option<u32>>(row, 1)?.unwrap_or(0),
            },
            account: get(row, 2)?,
            whose: Whose::read(get(row, 3)?),
            direct: get(row, 4)?,
            holds: get(row, 5)?,
            urgency: affair.urgency_of(&relations),
            relations,
            tables: get::<Option<String>>(row, 7)?.unwrap_or_default(),
            prepared: get(row, 8)?,
            since: Instant::now(),
            told: false,
            refused: None,
            ended: false,
        })
    }

    /// Whether it must end now. `courtesy` is how long a bystander may be in the way first, for most are gone by then.
    fn must_end(&self, courtesy: Duration) -> bool {
        !self.told
            && match self.whose {
                Whose::Grantee => true,
                // Who only reads, and holds up an owner who holds up us, does no harm.
                Whose::Bystander => {
                    self.direct
                        && self.urgency == Urgency::Pressing
                        && self.since.elapsed() >= courtesy
                }
                Whose::Owner | Whose::Superuser | Whose::Server | Whose::Prepared => false,
            }
    }

    /// What it has, in words.
    fn lock(&self) -> String {
        match (self.holds, self.direct) {
            (true, _) => format!("a lock on {}", self.tables),
            (false, true) => format!("a wait for a lock on {}", self.tables),
            (false, false) => format!("an open transaction on {}", self.tables),
        }
    }

    /// For the audit trail.
    fn session(&self) -> Session {
        Session {
            id: u64::from(self.backend.pid.unsigned_abs()),
            account: self.account.clone().unwrap_or_else(|| "the server".into()),
            why: format!("{} that the REVOKE waited for", self.lock()),
            ended: self.ended,
        }
    }

    /// For an error: who it is, why it was left, and what ends it.
    fn named(&self) -> String {
        let who = self.account.as_deref().unwrap_or("the server");
        let lock = self.lock();
        if let Some(name) = &self.prepared {
            return format!(
                "prepared transaction {name:?} of {who} with {lock}: {who} or a superuser runs ROLLBACK PREPARED"
            );
        }
        let left = match (self.whose, &self.refused) {
            (_, Some(why)) => format!("we may not end it ({why})"),
            _ if self.told => "told to end, and still there".to_owned(),
            (Whose::Owner, _) => "never ended, for it acts for the table's owner".to_owned(),
            (Whose::Superuser, _) => "never ended, for it is a superuser's".to_owned(),
            (Whose::Server, _) => "it will be done".to_owned(),
            _ => "left to finish; a sweep ends it when this is a minute overdue".to_owned(),
        };
        let pid = self.backend.pid;
        format!(
            "session {pid} of {who} with {lock}: {left}; a DBA can: SELECT pg_terminate_backend({pid})"
        )
    }
}

/// Who was met in the way of one batch.
#[derive(Clone, Debug, Default)]
pub struct Clearing {
    met: BTreeMap<(i32, Option<String>), Met>,
}

impl Clearing {
    /// Looks who is in the way, and ends those that must be. `waiting` is our process that waits; 0 where none does
    /// any more. Whether any was told to end.
    pub async fn clear(
        &mut self,
        link: &Link,
        affair: &Affair,
        waiting: i32,
        courtesy: Duration,
    ) -> Result<bool, EngineError> {
        let pairs: Pairs = affair.pairs.iter().copied().collect();
        let mut parameters = pairs.parameters();
        parameters.push((&waiting, Type::INT4));
        let rows = link
            .ask("who is in the way", IN_THE_WAY, parameters)
            .await?;
        let mut due = Vec::new();
        for row in &rows {
            let now = Met::read(row, affair)?;
            let key = (now.backend.pid, now.prepared.clone());
            let met = self.met.entry(key).or_insert_with(|| now.clone());
            if met.backend != now.backend {
                *met = now;
            } else {
                met.direct |= now.direct;
                met.holds |= now.holds;
            }
            if met.must_end(courtesy) {
                met.told = true;
                due.push(met.backend);
            }
        }
        if due.is_empty() {
            return Ok(false);
        }
        let refused = sessions::terminate(link, &due).await?;
        for met in self.met.values_mut() {
            if let Some(why) = refused.get(&met.backend.pid) {
                met.refused = Some(why.clone());
            }
        }
        Ok(refused.len() < due.len())
    }

    /// Looks, ends, and looks again until our REVOKE has its turn, from a connection of its own. A look that fails is
    /// the last: what can be done without it is done after the REVOKE's time.
    pub async fn watch(
        &mut self,
        eye: &mut Eye,
        affair: &Affair,
        waiting: &Cell<Option<i32>>,
        courtesy: Duration,
    ) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(backend) = waiting.get() else {
                continue;
            };
            let looked = match eye.link().await {
                Ok(link) => self.clear(link, affair, backend, courtesy).await,
                Err(error) => Err(error),
            };
            if looked.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Finds out which of those that were told to end are gone. Whether any is.
    pub async fn settle(&mut self, link: &Link) -> Result<bool, EngineError> {
        let told: Vec<Backend> = self
            .met
            .values()
            .filter(|met| met.told && met.refused.is_none() && !met.ended)
            .map(|met| met.backend)
            .collect();
        let left = sessions::gone(link, &told).await?;
        for met in self.met.values_mut() {
            met.ended |= told.contains(&met.backend) && !left.contains(&met.backend.pid);
        }
        Ok(left.len() < told.len())
    }

    /// The sessions that were in the way of these relations.
    pub fn sessions(&self, relations: &BTreeSet<u32>) -> impl Iterator<Item = Session> {
        self.met
            .values()
            .filter(|met| met.relations.iter().any(|one| relations.contains(one)))
            .map(Met::session)
    }

    /// Adds to a lock's error who is in the way still, and what ends it.
    pub fn named(&self, error: EngineError) -> EngineError {
        let left: Vec<String> = self
            .met
            .values()
            .filter(|met| !met.ended)
            .take(NAMED)
            .map(Met::named)
            .collect();
        match error {
            EngineError::Refused {
                address,
                statement,
                code,
                message,
            } if code == "55P03" && !left.is_empty() => EngineError::Refused {
                address,
                statement,
                code,
                message: format!("{message}; in the way: {}", left.join(", ")),
            },
            error => error,
        }
    }
}

/// The connection that looks while the other one waits; made when it is first needed.
pub struct Eye {
    address: Address,
    server: ServerIdentity,
    link: Option<Link>,
}

impl Eye {
    pub fn new(address: &Address, server: &ServerIdentity) -> Self {
        Self {
            address: address.clone(),
            server: server.clone(),
            link: None,
        }
    }

    async fn link(&mut self) -> Result<&Link, EngineError> {
        if self.link.as_ref().is_none_or(Link::is_dead) {
            let (link, answered) = connection::open(&self.address).await?;
            // The waiting process is that server's own number.
            if !answered.server.same_database(&self.server) {
                return Err(EngineError::Changed {
                    address: self.address.shown(),
                    what: "the server".to_owned(),
                    why: format!("{} answers now", answered.server),
                });
            }
            self.link = Some(link);
        }
        match &self.link {
            Some(link) => Ok(link),
            None => Err(EngineError::Unreachable {
                address: self.address.shown(),
                why: "no connection to look from".to_owned(),
            }),
        }
    }
}
