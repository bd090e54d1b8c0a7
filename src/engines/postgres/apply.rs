//! GRANT and REVOKE of many things: merged first, and split until what fails stands alone.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::access::plan::{RevokeStep, Urgency};
use crate::access::{Privilege, RequestId};
use crate::engines::{EngineError, GrantOrder, Report, Verb};

use super::Postgres;
use super::blockers;
use super::clearing::{self, Affair, Clearing, Eye};
use super::identities::{self, Entry};
use super::link::Link;
use super::transaction::{self, Failure, Fate, Manner, Piece};

/// How long a fence may hold up a revoke. It is a courtesy to others' DDL; without it the check by OID that follows
/// still tells the right object from a wrong one.
const REVOKE_FENCE: Duration = Duration::from_millis(300);
/// After so many locked tables the rest goes without fences at once.
const FENCES_LOST: usize = 3;
/// How long a GRANT waits for somebody else's lock before its order fails.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// After so many REVOKEs that waited for nothing, the rest waits only briefly: the next sweep comes soon.
const WAITS_LOST: usize = 3;
const BRIEF_WAIT: Duration = Duration::from_millis(300);
/// Tries of one transaction at what may pass by itself.
const TRIES: u32 = 3;
/// Connections that may be lost under one call.
const LOSSES: u32 = 2;
/// From so many failures on, what is left is halved instead of tried whole, so that many failures cost n log n.
const HALVE_AFTER: usize = 6;

/// Gives every order whole or not at all.
pub async fn grant(engine: &mut Postgres, orders: &[GrantOrder]) -> Vec<Report> {
    let mut work = Work::new(Verb::Grant, orders.len());
    for (job, order) in orders.iter().enumerate() {
        let rows = work.rows(engine, job, &order.privileges);
        work.add(job, Some(&order.request), rows);
    }
    work.run(engine).await
}

/// Takes every step away, as the recorded grantor.
pub async fn revoke(engine: &mut Postgres, steps: &[RevokeStep]) -> Vec<Report> {
    let mut work = Work::new(Verb::Revoke, steps.len());
    work.urgency = steps.iter().map(|step| step.urgency).collect();
    for (job, step) in steps.iter().enumerate() {
        let rows = work.rows(engine, job, &step.privileges);
        work.add(job, None, rows);
    }
    work.run(engine).await
}

type Rows = Vec<(Entry, crate::access::privilege::Named)>;

/// Pieces that are tried together.
struct Batch {
    grantor: u32,
    pieces: Vec<Piece>,
}

/// What is to be done, and what has become of it.
struct Work {
    verb: Verb,
    reports: Vec<Report>,
    queue: VecDeque<Batch>,
    unfenced: BTreeSet<u32>,
    /// Of each job, where it is a REVOKE.
    urgency: Vec<Urgency>,
    /// Where a REVOKE may have to have its way cleared.
    eye: Option<Eye>,
    waits_lost: usize,
    failures: usize,
    losses: u32,
}

impl Work {
    fn new(verb: Verb, jobs: usize) -> Self {
        Self {
            verb,
            reports: std::iter::repeat_with(Report::default).take(jobs).collect(),
            queue: VecDeque::new(),
            unfenced: BTreeSet::new(),
            urgency: Vec::new(),
            eye: None,
            waits_lost: 0,
            failures: 0,
            losses: 0,
        }
    }

    /// Takes identities apart; a job that holds a foreign one fails, and has no rows.
    fn rows(&mut self, engine: &Postgres, job: usize, privileges: &[Privilege]) -> Rows {
        match identities::all(privileges, engine.database(), &engine.shown()) {
            Ok(entries) => entries
                .into_iter()
                .zip(privileges.iter().map(|privilege| privilege.named.clone()))
                .collect(),
            Err(error) => {
                self.fails(job, &error);
                Vec::new()
            }
        }
    }

    /// Queues a job's rows, those of each grantor apart.
    fn add(&mut self, job: usize, request: Option<&RequestId>, rows: Rows) {
        let mut by_grantor: BTreeMap<u32, Rows> = BTreeMap::new();
        for (entry, named) in rows {
            let same = by_grantor.entry(entry.grantor).or_default();
            same.push((entry, named));
        }
        for (grantor, rows) in by_grantor {
            let piece = Piece {
                job,
                request: request.cloned(),
                rows,
            };
            match self.queue.iter_mut().find(|batch| batch.grantor == grantor) {
                Some(batch) => batch.pieces.push(piece),
                None => self.queue.push_back(Batch {
                    grantor,
                    pieces: vec![piece],
                }),
            }
        }
    }

    /// The first thing that went wrong with a job is what its report says.
    fn fails(&mut self, job: usize, error: &EngineError) {
        if let Some(report) = self.reports.get_mut(job) {
            report.error.get_or_insert_with(|| error.clone());
        }
    }

    fn all_fail(&mut self, batch: &Batch, error: &EngineError) {
        for piece in &batch.pieces {
            self.fails(piece.job, error);
        }
    }

    async fn run(mut self, engine: &mut Postgres) -> Vec<Report> {
        // What locks and slow servers may cost altogether. The merged tries come first, so only what failed in
        // them is ever left over.
        let deadline = Instant::now() + engine.statement_timeout() * 6;
        if self.verb == Verb::Revoke && engine.answered.version.revoke_takes_table_lock() {
            self.eye = Some(Eye::new(&engine.address, &engine.answered.server));
        }
        while let Some(batch) = self.queue.pop_front() {
            if Instant::now() > deadline {
                let error = EngineError::Refused {
                    address: engine.shown(),
                    statement: "not sent".to_owned(),
                    code: "57014".to_owned(),
                    message: "others took all the time there was; to be tried again".to_owned(),
                };
                self.all_fail(&batch, &error);
                continue;
            }
            match self.eye.is_some() {
                true => self.cleared(engine, batch).await,
                false => self.batch(engine, batch, None).await,
            }
        }
        for report in &mut self.reports {
            let failed = report.error.is_some();
            report.in_the_way.retain(|session| session.ended || failed);
        }
        self.reports
    }

    /// Tries one batch, with those in its way sent away and reported.
    async fn cleared(&mut self, engine: &mut Postgres, batch: Batch) {
        let urgency = |job| self.urgency.get(job).copied().unwrap_or(Urgency::Usual);
        let affair = Affair::of(&batch.pieces, urgency);
        let mut relations: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for piece in &batch.pieces {
            let of = piece
                .rows
                .iter()
                .map(|(entry, _)| clearing::relation(entry.spot));
            relations.entry(piece.job).or_default().extend(of);
        }
        let mut clearing = Clearing::default();
        self.batch(engine, batch, Some((&affair, &mut clearing)))
            .await;
        if let Ok(link) = engine.link().await {
            // What cannot be asked is reported as not ended.
            let _ = clearing.settle(&link).await;
        }
        for (job, relations) in relations {
            if let Some(report) = self.reports.get_mut(job) {
                report.in_the_way.extend(clearing.sessions(&relations));
                report.in_the_way.sort();
                report.in_the_way.dedup();
            }
        }
    }

    /// Tries one batch until it is done, has failed, or has been split.
    async fn batch(
        &mut self,
        engine: &mut Postgres,
        batch: Batch,
        mut way: Option<(&Affair, &mut Clearing)>,
    ) {
        let mut tries = 0;
        loop {
            tries += 1;
            let manner = self.manner(batch.grantor);
            let link = match engine.link().await {
                Ok(link) => link,
                Err(error) => return self.all_fail(&batch, &error),
            };
            let backend = Cell::new(None);
            let trying = transaction::attempt(&link, &batch.pieces, &manner, &backend);
            let tried = match (&mut way, &mut self.eye) {
                (Some((affair, clearing)), Some(eye)) => tokio::select! {
                    biased;
                    tried = trying => tried,
                    never = clearing.watch(eye, affair, &backend, manner.lock_wait / 2) => match never {},
                },
                _ => trying.await,
            };
            match tried {
                Ok(done) => return self.done(&batch, &done.xid),
                Err(Failure::Whole(error)) => return self.all_fail(&batch, &error),
                Err(Failure::Fence { relation, error }) => {
                    if self.verb == Verb::Grant {
                        let culprits = on_relation(&batch, relation);
                        let error = blockers::named(&link, &batch.pieces, error).await;
                        return self.split(batch, culprits, error);
                    }
                    self.unfenced.insert(relation);
                    tries -= 1;
                }
                Err(Failure::Pieces {
                    culprits,
                    error,
                    passing,
                }) => {
                    // Waiting for a lock again is for the next sweep, unless whoever had it is gone; the rest of the
                    // batch must not wait for it.
                    let again = passing
                        && tries < TRIES
                        && (!is_lock_timeout(&error) || sent_away(&link, &mut way).await);
                    if !again {
                        let error = match &way {
                            Some((_, clearing)) => {
                                self.waits_lost += usize::from(is_lock_timeout(&error));
                                clearing.named(error)
                            }
                            None => blockers::named(&link, &batch.pieces, error).await,
                        };
                        return self.split(batch, culprits, error);
                    }
                    tokio::time::sleep(Duration::from_millis(20 << tries)).await;
                }
                Err(Failure::Lost { xid, error }) => {
                    self.losses += 1;
                    let sent = xid.is_some();
                    match became(engine, xid).await {
                        Ok(Fate::Committed) => return self.done(&batch, "unknown"),
                        Ok(Fate::Aborted) if self.losses <= LOSSES => tries -= 1,
                        Ok(_) => return self.all_fail(&batch, &error),
                        Err(away) => {
                            // Where nothing can have been done, what keeps us away now says more.
                            return self.all_fail(&batch, if sent { &error } else { &away });
                        }
                    }
                }
            }
        }
    }

    fn manner(&self, grantor: u32) -> Manner {
        Manner {
            verb: self.verb,
            grantor,
            fence_wait: match self.verb {
                Verb::Grant => LOCK_WAIT,
                Verb::Revoke => REVOKE_FENCE,
            },
            lock_wait: match self.waits_lost >= WAITS_LOST {
                true => BRIEF_WAIT,
                false => LOCK_WAIT,
            },
            unfenced: self.unfenced.clone(),
            no_fences: self.verb == Verb::Revoke && self.unfenced.len() >= FENCES_LOST,
        }
    }

    fn done(&mut self, batch: &Batch, xid: &str) {
        let jobs: BTreeSet<usize> = batch.pieces.iter().map(|piece| piece.job).collect();
        if jobs.len() < 2 {
            return;
        }
        for job in jobs {
            if let Some(report) = self.reports.get_mut(job) {
                report.batch = Some(format!("xid {xid}"));
            }
        }
    }

    /// Sets what stands in the way apart from the rest, the rest first. What cannot be split has failed.
    fn split(&mut self, batch: Batch, culprits: BTreeSet<usize>, error: EngineError) {
        self.failures += 1;
        let grantor = batch.grantor;
        let mut pieces = batch.pieces;
        let parts = if pieces.len() == 1 {
            match (self.verb, pieces.pop()) {
                (Verb::Revoke, Some(piece)) if piece.rows.len() > 1 => smaller(piece),
                (_, Some(piece)) => return self.fails(piece.job, &error),
                (_, None) => return,
            }
        } else if culprits.is_empty()
            || culprits.len() == pieces.len()
            || self.failures > HALVE_AFTER
        {
            let rest = pieces.split_off(pieces.len() / 2);
            vec![pieces, rest]
        } else {
            let mut apart: Vec<Piece> = Vec::new();
            let mut rest = Vec::new();
            for (place, piece) in pieces.into_iter().enumerate() {
                match culprits.contains(&place) {
                    true => apart.push(piece),
                    false => rest.push(piece),
                }
            }
            vec![rest, apart]
        };
        let mut parts = parts.into_iter();
        if let Some(first) = parts.next() {
            self.queue.push_front(Batch {
                grantor,
                pieces: first,
            });
        }
        for pieces in parts {
            self.queue.push_back(Batch { grantor, pieces });
        }
    }
}

/// A step that failed whole: by grantee, and then column by column.
fn smaller(piece: Piece) -> Vec<Vec<Piece>> {
    let mut by_role: BTreeMap<u32, Rows> = BTreeMap::new();
    for row in &piece.rows {
        by_role.entry(row.0.role).or_default().push(row.clone());
    }
    let parts: Vec<Rows> = match by_role.len() {
        1 => piece.rows.into_iter().map(|row| vec![row]).collect(),
        _ => by_role.into_values().collect(),
    };
    parts
        .into_iter()
        .map(|rows| {
            vec![Piece {
                job: piece.job,
                request: piece.request.clone(),
                rows,
            }]
        })
        .collect()
}

fn on_relation(batch: &Batch, wanted: u32) -> BTreeSet<usize> {
    use super::identities::Spot;
    let touches = |piece: &Piece| {
        piece.rows.iter().any(
            |(entry, _)| matches!(entry.spot, Spot::Column { relation, .. } if relation == wanted),
        )
    };
    batch
        .pieces
        .iter()
        .enumerate()
        .filter(|(_, piece)| touches(piece))
        .map(|(place, _)| place)
        .collect()
}

/// After a wait that was lost: whether sessions in the way were ended in it, or now.
async fn sent_away(link: &Link, way: &mut Option<(&Affair, &mut Clearing)>) -> bool {
    let Some((affair, clearing)) = way else {
        return false;
    };
    // Where the watch could not look, this does.
    let _ = clearing.clear(link, affair, 0, Duration::ZERO).await;
    clearing.settle(link).await.unwrap_or(false)
}

fn is_lock_timeout(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { code, .. } if code == "55P03" || code == "57014")
}

/// After a lost connection: what became of the transaction. Without a COMMIT sent it can only be rolled back.
async fn became(engine: &mut Postgres, xid: Option<String>) -> Result<Fate, EngineError> {
    let link = engine.link().await?;
    match xid {
        None => Ok(Fate::Aborted),
        Some(xid) => transaction::fate_of(&link, &xid).await,
    }
}
