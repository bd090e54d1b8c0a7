//! One merged transaction: resolve, fence, give or take, look again, commit. All of it or nothing.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_postgres::Row;

use crate::access::RequestId;
use crate::access::privilege::Named;
use crate::engines::{EngineError, Verb};

mod commit;

pub use commit::{Fate, fate_of};

use commit::commit;

use super::identities::{Entry, Names, Shown, Spot, Wanted};
use super::identity::get;
use super::link::{Fault, Link, Send, shortened};
use super::statements::{self, Statement, Wish};
use super::{quote, render};

/// A part of an order or step that succeeds or fails as a whole.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Whose part it is: the order's or step's place in the call.
    pub job: usize,
    pub request: Option<RequestId>,
    /// Rows, and on GRANT the names that must still lead to them.
    pub rows: Vec<(Entry, Named)>,
}

/// How to go about it.
#[derive(Clone, Debug)]
pub struct Manner {
    pub verb: Verb,
    /// OID of the role to act as.
    pub grantor: u32,
    /// How long to wait for a table's fence, and for a statement's own locks.
    pub fence_wait: Duration,
    pub lock_wait: Duration,
    /// Relations to leave unfenced, and whether to leave all so.
    pub unfenced: BTreeSet<u32>,
    pub no_fences: bool,
}

/// Committed, and seen to be.
#[derive(Clone, Debug)]
pub struct Done {
    /// The server's number of the transaction, as its logs show it.
    pub xid: String,
}

/// Nothing was done, unless it says so.
#[derive(Debug)]
pub enum Failure {
    /// These pieces (by place) stand in the way of the rest. Empty: nobody knows which.
    Pieces {
        culprits: BTreeSet<usize>,
        error: EngineError,
        /// Worth another try as it is.
        passing: bool,
    },
    /// Somebody else's lock kept the fence of this relation.
    Fence { relation: u32, error: EngineError },
    /// It would fail for everything else too.
    Whole(EngineError),
    /// The connection went; with `xid` the COMMIT had been sent.
    Lost {
        xid: Option<String>,
        error: EngineError,
    },
}

const XID: &str = "SELECT pg_current_xact_id()::text";
const BACKEND: &str = "SELECT pg_backend_pid()";

/// Others' DDL, deadlocks, lock and statement time limits: reading again and trying again may help
/// (facts-postgres, "Algorithms").
fn is_passing(code: &str) -> bool {
    matches!(code, "XX000" | "40P01" | "40001" | "55P03" | "57014")
}

/// Tries once. After any failure but `Lost` the transaction is rolled back and the link can be used.
/// `backend` is set to the server's process as soon as it is known, for whoever watches what it waits for.
pub async fn attempt(
    link: &Link,
    pieces: &[Piece],
    how: &Manner,
    backend: &Cell<Option<i32>>,
) -> Result<Done, Failure> {
    let tried = tried(link, pieces, how, backend).await;
    backend.set(None);
    if tried.is_err() && !link.is_dead() {
        // DEALLOCATE: a fence that was cut between its two halves leaves its name behind.
        let _ = link.run("ROLLBACK; DEALLOCATE ALL").await;
    }
    tried
}

async fn tried(
    link: &Link,
    pieces: &[Piece],
    how: &Manner,
    backend: &Cell<Option<i32>>,
) -> Result<Done, Failure> {
    // What is said from here on is about this transaction.
    drop(link.notices());
    let entries = || pieces.iter().flat_map(|piece| &piece.rows);
    let mut wanted = Wanted::of(entries().map(|(entry, _)| entry));
    if !wanted.roles.contains(&how.grantor) {
        wanted.roles.push(how.grantor);
    }
    let requests: BTreeSet<RequestId> = pieces.iter().filter_map(|p| p.request.clone()).collect();

    // First trip: begin, who we are (asked inside, for a pooler may give each transaction another), and today's names.
    let mut sends = vec![
        Send::Run(format!(
            "{}BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SET LOCAL application_name = '{}'",
            render::comment(&requests),
            render::session_name(&requests),
        )),
        Send::Ask {
            name: "our process",
            sql: BACKEND,
            parameters: Vec::new(),
        },
    ];
    sends.extend(wanted.sends());
    let begun = answered(link, sends).await?;
    if let Some(row) = begun[1].first() {
        backend.set(Some(get(row, 0).map_err(Failure::Whole)?));
    }
    let names = read_names(&begun[2..])?;
    let Some(grantor) = names.roles.get(&how.grantor) else {
        return Err(Failure::Whole(EngineError::NotSetUp {
            address: link.shown().to_owned(),
            why: format!("the grantor role (OID {}) exists no more", how.grantor),
        }));
    };
    if how.verb == Verb::Grant {
        still_lead_there(link, pieces, &names)?;
    }

    // Second trip: fences, statements, the names again, and what the catalog shows.
    let wishes: Vec<Wish> = pieces
        .iter()
        .enumerate()
        .flat_map(|(place, piece)| piece.rows.iter().map(move |(entry, _)| (place, *entry)))
        .collect();
    let work = statements::merged(how.verb, &wishes, &names, &render::comment(&requests)).map_err(
        |(piece, bad)| Failure::Pieces {
            culprits: BTreeSet::from([piece]),
            error: changed(link, "a name", &bad.to_string()),
            passing: false,
        },
    )?;
    let fences = fences(&wishes, &names, how);
    let role = quote::role(grantor.as_str())
        .map_err(|bad| Failure::Whole(changed(link, "the grantor role", &bad.to_string())))?;
    let roles: Vec<u32> = wishes
        .iter()
        .map(|(_, entry)| entry.role)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut sends = vec![Send::Run(format!(
        "SET LOCAL ROLE {role}; SET LOCAL lock_timeout = {}",
        how.fence_wait.as_millis().max(1)
    ))];
    sends.extend(fences.iter().map(|(_, sql)| Send::Run(sql.clone())));
    sends.push(Send::Run(format!(
        "SET LOCAL lock_timeout = {}",
        how.lock_wait.as_millis().max(1)
    )));
    sends.extend(work.iter().map(|one| Send::Run(one.sql.clone())));
    sends.extend(wanted.sends());
    sends.extend(Shown::sends(&wanted, &roles, &how.grantor));
    sends.push(Send::Ask {
        name: "transaction number",
        sql: XID,
        parameters: Vec::new(),
    });
    let answers = link.pipeline(sends).await;
    let rows = judged(link, answers, &fences, &work)?;
    let after = rows.len() - Names::ANSWERS - Shown::ANSWERS - 1;
    let names_after = read_names(&rows[after..after + Names::ANSWERS])?;
    let state = &rows[after + Names::ANSWERS..];
    let shown = Shown::read(&state[0], &state[1]).map_err(Failure::Whole)?;
    let xid: String = match state[2].first() {
        Some(row) => get(row, 0).map_err(Failure::Whole)?,
        None => {
            return Err(Failure::Whole(changed(
                link,
                "the transaction",
                "it has no number",
            )));
        }
    };
    if names_after != names {
        return Err(Failure::Pieces {
            culprits: BTreeSet::new(),
            error: changed(link, "a name", "it changed while its privilege was changed"),
            passing: true,
        });
    }
    shows(link, pieces, how.verb, &shown, &names)?;

    // Third trip. A COMMIT may answer ROLLBACK, and the driver does not show which: the server's own record does.
    commit(link, xid).await
}

/// Sends, and fails as a whole on the first fault.
async fn answered(link: &Link, sends: Vec<Send<'_>>) -> Result<Vec<Vec<Row>>, Failure> {
    let mut rows = Vec::with_capacity(sends.len());
    for answer in link.pipeline(sends).await {
        match answer {
            Ok(answer) => rows.push(answer),
            Err(fault @ Fault::Lost(_)) => return Err(lost(link, fault, None)),
            Err(fault) => return Err(Failure::Whole(link.error(fault, "begin"))),
        }
    }
    Ok(rows)
}

fn read_names(answers: &[Vec<Row>]) -> Result<Names, Failure> {
    Names::read(answers).map_err(Failure::Whole)
}

fn lost(link: &Link, fault: Fault, xid: Option<String>) -> Failure {
    Failure::Lost {
        error: link.error(
            fault,
            if xid.is_some() {
                "COMMIT"
            } else {
                "a transaction"
            },
        ),
        xid,
    }
}

fn changed(link: &Link, what: &str, why: &str) -> EngineError {
    EngineError::Changed {
        address: link.shown().to_owned(),
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

/// A GRANT goes only where the names that people approved still lead to the identities that were recorded.
fn still_lead_there(link: &Link, pieces: &[Piece], names: &Names) -> Result<(), Failure> {
    let mut culprits = BTreeSet::new();
    let mut error = None;
    for (place, piece) in pieces.iter().enumerate() {
        for (entry, named) in &piece.rows {
            let why = match names.of(entry) {
                Ok(today) if today == *named => continue,
                Ok(today) => format!("it is {} now", in_words(&today)),
                Err(gone) => gone,
            };
            culprits.insert(place);
            error.get_or_insert_with(|| changed(link, &in_words(named), &why));
        }
    }
    match error {
        None => Ok(()),
        Some(error) => Err(Failure::Pieces {
            culprits,
            error,
            passing: false,
        }),
    }
}

fn in_words(named: &Named) -> String {
    use crate::access::privilege::Thing;
    match &named.thing {
        Thing::Column { table, column } => {
            format!("{table}:{column} for {}", named.grantee)
        }
        Thing::Schema(schema) => format!("USAGE on schema {schema} for {}", named.grantee),
    }
}

/// The fences to take, by relation, always in the same order so that two of us cannot deadlock.
fn fences(wishes: &[Wish], names: &Names, how: &Manner) -> Vec<(u32, String)> {
    if how.no_fences {
        return Vec::new();
    }
    let mut fences = BTreeMap::new();
    for (_, entry) in wishes {
        if let Spot::Column { relation, .. } = entry.spot
            && !how.unfenced.contains(&relation)
            && !fences.contains_key(&relation)
            && let Some(name) = names.relations.get(&relation)
            && let Ok(table) = render::table(name)
        {
            fences.insert(relation, statements::fence(&table));
        }
    }
    fences.into_iter().collect()
}

/// The rows of the second trip, or what its first fault means.
fn judged(
    link: &Link,
    answers: Vec<Result<Vec<Row>, Fault>>,
    fences: &[(u32, String)],
    work: &[Statement],
) -> Result<Vec<Vec<Row>>, Failure> {
    let mut rows = Vec::with_capacity(answers.len());
    for (place, answer) in answers.into_iter().enumerate() {
        let fault = match answer {
            Ok(answer) => {
                rows.push(answer);
                continue;
            }
            Err(fault @ Fault::Lost(_)) => return Err(lost(link, fault, None)),
            Err(fault) => fault,
        };
        let passing = fault.code().is_some_and(is_passing);
        // Places: the role, the fences, the lock limit, the statements, and then our own queries.
        return Err(match place {
            0 => Failure::Whole(not_a_member(link, fault)),
            place if place <= fences.len() => {
                let (relation, sql) = &fences[place - 1];
                Failure::Fence {
                    relation: *relation,
                    error: link.error(fault, sql),
                }
            }
            place if place > fences.len() + 1 && place - fences.len() - 2 < work.len() => {
                let statement = &work[place - fences.len() - 2];
                Failure::Pieces {
                    culprits: statement.serves.clone(),
                    error: link.error(fault, &statement.sql),
                    passing,
                }
            }
            _ => Failure::Pieces {
                culprits: BTreeSet::new(),
                error: link.error(fault, "the catalog's state"),
                passing,
            },
        });
    }
    Ok(rows)
}

fn not_a_member(link: &Link, fault: Fault) -> EngineError {
    match fault {
        Fault::Refused { code, message } if code == "42501" => EngineError::NotSetUp {
            address: link.shown().to_owned(),
            why: format!("our login may not act as the grantor role: {message}"),
        },
        fault => link.error(fault, "SET LOCAL ROLE"),
    }
}

/// What the catalog must show before it may be committed: all of it on GRANT, nothing of it on REVOKE.
fn shows(
    link: &Link,
    pieces: &[Piece],
    verb: Verb,
    shown: &Shown,
    names: &Names,
) -> Result<(), Failure> {
    let mut culprits = BTreeSet::new();
    let mut first = None;
    for (place, piece) in pieces.iter().enumerate() {
        for (entry, named) in &piece.rows {
            let why = match verb {
                Verb::Grant if !shown.holds(entry) => {
                    "the catalog does not show it after its GRANT"
                }
                Verb::Grant if shown.is_grantable(entry) => {
                    "somebody made our row grantable: a person must decide"
                }
                Verb::Revoke if shown.holds(entry) => "the catalog still shows it after its REVOKE",
                Verb::Grant | Verb::Revoke => continue,
            };
            culprits.insert(place);
            first.get_or_insert_with(|| {
                let today = names.of(entry).unwrap_or_else(|_| named.clone());
                (in_words(&today), why)
            });
        }
    }
    let Some((what, why)) = first else {
        return Ok(());
    };
    let said = link.notices();
    let why = match said.is_empty() {
        true => why.to_owned(),
        false => format!("{why}; the server said: {}", shortened(&said.join("; "))),
    };
    Err(Failure::Pieces {
        culprits,
        error: changed(link, &what, &why),
        passing: false,
    })
}
