//! Everything that is read.

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};
use serde::Deserialize;

use super::error::{Doing, Fault};
use super::lease_docs::Leases;
use super::{SqliteLedger, rows, statements as sql};
use crate::access::hold::Hold;
use crate::access::{
    At, BootInstant, Lease, Now, Person, PrivilegeKey, Request, RequestId, ServerIdentity, State,
    TableColumns, TargetName,
};
use crate::stores::{
    DrainedSubmission, Fact, FindLeases, FindRequests, OwedLine, Seen, StoreError, Waiting, Work,
};

impl SqliteLedger {
    /// One read, which sees one moment.
    pub(super) fn reading<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        work(&self.connection).map_err(|fault| fault.told(&self.path, Doing::Reading))
    }

    pub(super) fn find_request(&self, id: &RequestId) -> Result<Option<Request>, StoreError> {
        self.reading(|connection| {
            let found = rows::all(connection, sql::REQUEST_BY_ID, [id.as_str()], rows::request)?;
            Ok(found.into_iter().next())
        })
    }

    pub(super) fn find_requests_of(
        &self,
        ids: &[RequestId],
    ) -> Result<HashMap<RequestId, Request>, StoreError> {
        self.reading(|connection| {
            let mut found = HashMap::with_capacity(ids.len());
            rows::each(
                connection,
                sql::REQUESTS_BY_IDS,
                [serde_json::to_string(ids)?],
                rows::request,
                |request| {
                    found.insert(request.id.clone(), request);
                    Ok(())
                },
            )?;
            Ok(found)
        })
    }

    pub(super) fn find_requests(&self, find: &FindRequests) -> Result<Vec<Request>, StoreError> {
        let mut found = Vec::new();
        self.find_each_request(find, &mut |request| {
            found.push(request);
            Ok(())
        })?;
        Ok(found)
    }

    pub(super) fn find_each_request(
        &self,
        find: &FindRequests,
        take: &mut dyn FnMut(Request) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let prefix = find.id_prefix.as_deref();
        // Ids are ASCII: DEL stands behind every character of theirs.
        let prefix_end = prefix.map(|prefix| format!("{prefix}\u{7f}"));
        let states = find.states.as_ref().map(words);
        let limit = find.limit.map_or(-1, |n| i64::try_from(n).unwrap_or(-1));
        self.reading(|connection| {
            rows::each(
                connection,
                way(find),
                named_params! {
                    ":prefix": prefix,
                    ":prefix_end": prefix_end,
                    ":states": states,
                    ":requester": find.requester,
                    ":target": find.target.as_ref().map(|target| target.as_str()),
                    ":lapsing_by": find.lapsing_by.map(At::millis),
                    ":ended_since": find.ended_since.map(At::millis),
                    ":limit": limit,
                },
                rows::request,
                |request| Ok(take(request)?),
            )
        })
    }

    pub(super) fn find_each_waiting(
        &self,
        target: &TargetName,
        state: State,
        take: &mut dyn FnMut(Waiting),
    ) -> Result<(), StoreError> {
        /// What is read of a document.
        #[derive(Deserialize)]
        struct Doc {
            tables: Vec<TableColumns>,
        }
        self.reading(|connection| {
            rows::each(
                connection,
                sql::REQUESTS_WAITING,
                params![state.word(), target.as_str()],
                |row| {
                    Ok(Waiting {
                        tables: rows::document::<Doc>(row)?.tables,
                        id: rows::id(rows::word(row, 1)?)?,
                        lapses_at: At::from_millis(row.get(2)?),
                    })
                },
                |waiting| {
                    take(waiting);
                    Ok(())
                },
            )
        })
    }

    pub(super) fn find_leases(&self, find: &FindLeases) -> Result<Vec<Lease>, StoreError> {
        let mut found = Vec::new();
        self.find_each_lease(find, &mut |lease| {
            found.push(lease);
            Ok(())
        })?;
        Ok(found)
    }

    pub(super) fn find_each_lease(
        &self,
        find: &FindLeases,
        take: &mut dyn FnMut(Lease) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.reading(|connection| {
            let mut leases = Leases::new(connection);
            let mut each = |statement: &str, params: &[(&str, &dyn ToSql)]| {
                rows::each(
                    connection,
                    statement,
                    params,
                    |row| leases.read(row),
                    |lease| Ok(take(lease)?),
                )
            };
            match find {
                FindLeases::Of(id) => {
                    each(sql::LEASES_OF, named_params! { ":request": id.as_str() })
                }
                FindLeases::Live(None) => each(sql::LEASES_LIVE, named_params! {}),
                FindLeases::Live(Some(target)) => each(
                    sql::LEASES_LIVE_OF_TARGET,
                    named_params! { ":target": target.as_str() },
                ),
                FindLeases::DueWithSharers(target, now) => each(
                    sql::LEASES_DUE,
                    named_params! {
                        ":target": target.as_str(),
                        ":at": now.at.millis(),
                        ":boot": now.boot.boot,
                        ":boot_millis": stored(now.boot.millis),
                    },
                ),
                FindLeases::OfWithSharers(target, requests) => each(
                    sql::LEASES_LIVE_OF_REQUESTS,
                    named_params! {
                        ":target": target.as_str(),
                        ":requests": serde_json::to_string(requests)?,
                    },
                ),
                FindLeases::GivenWithKeys(target, keys) => each(
                    sql::LEASES_GIVEN_WITH_KEYS,
                    named_params! { ":target": target.as_str(), ":keys": serde_json::to_string(keys)? },
                ),
                FindLeases::EndedSince(target, since) => each(
                    sql::LEASES_ENDED_SINCE,
                    named_params! { ":target": target.as_str(), ":since": since.millis() },
                ),
            }
        })
    }

    pub(super) fn find_due_keys(
        &self,
        target: &TargetName,
        now: &Now,
    ) -> Result<Vec<(RequestId, PrivilegeKey)>, StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached(sql::LEASE_KEYS_DUE)?;
            let mut rows = statement.query(named_params! {
                ":target": target.as_str(),
                ":at": now.at.millis(),
                ":boot": now.boot.boot,
                ":boot_millis": stored(now.boot.millis),
            })?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push((
                    rows::id(rows::word(row, 0)?)?,
                    rows::key(rows::word(row, 1)?)?,
                ));
            }
            Ok(found)
        })
    }

    pub(super) fn find_work(&self, now: &Now) -> Result<Work, StoreError> {
        let weight = |row: &Row<'_>| {
            let weight = usize::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
            Ok((TargetName::from(row.get::<_, String>(0)?), weight))
        };
        self.reading(|connection| {
            let due = named_params! {
                ":at": now.at.millis(),
                ":boot": now.boot.boot,
                ":boot_millis": stored(now.boot.millis),
            };
            Ok(Work {
                due: rows::all(connection, sql::WORK_DUE, due, weight)?
                    .into_iter()
                    .collect(),
                waiting: rows::all(connection, sql::WORK_WAITING, [], weight)?
                    .into_iter()
                    .collect(),
            })
        })
    }

    pub(super) fn find_live_keys(
        &self,
        target: &TargetName,
    ) -> Result<HashSet<PrivilegeKey>, StoreError> {
        let mut found = HashSet::new();
        self.each_live_key(target, |key| {
            found.insert(key);
        })?;
        Ok(found)
    }

    pub(super) fn find_live_counts(
        &self,
        target: &TargetName,
    ) -> Result<HashMap<PrivilegeKey, usize>, StoreError> {
        let mut found = HashMap::new();
        self.each_live_key(target, |key| *found.entry(key).or_default() += 1)?;
        Ok(found)
    }

    /// Once for each live lease.
    fn each_live_key(
        &self,
        target: &TargetName,
        mut take: impl FnMut(PrivilegeKey),
    ) -> Result<(), StoreError> {
        self.reading(|connection| {
            rows::each(
                connection,
                sql::LEASE_KEYS_LIVE,
                [target.as_str()],
                |row| rows::key(rows::word(row, 0)?),
                |key| {
                    take(key);
                    Ok(())
                },
            )
        })
    }

    pub(super) fn find_live_targets(&self) -> Result<Vec<TargetName>, StoreError> {
        let found =
            self.reading(|connection| rows::texts(connection, sql::LEASE_TARGETS_LIVE, []))?;
        Ok(found.into_iter().map(TargetName::from).collect())
    }

    pub(super) fn find_live_servers(
        &self,
        target: &TargetName,
    ) -> Result<Vec<ServerIdentity>, StoreError> {
        self.reading(|connection| {
            rows::all(
                connection,
                sql::LEASE_SERVERS_LIVE,
                [target.as_str()],
                rows::document,
            )
        })
    }

    pub(super) fn find_holds(&self, ended: bool) -> Result<Vec<Hold>, StoreError> {
        let statement = if ended {
            sql::HOLDS_ALL
        } else {
            sql::HOLDS_STANDING
        };
        self.reading(|connection| rows::all(connection, statement, [], rows::document))
    }

    pub(super) fn find_fact(&self, fact: Fact) -> Result<Option<String>, StoreError> {
        self.reading(|connection| rows::text(connection, sql::FACT_GET, [fact_word(fact)]))
    }

    pub(super) fn find_text(&self, hash: &str) -> Result<Option<String>, StoreError> {
        self.reading(|connection| rows::text(connection, sql::TEXT_BY_HASH, [hash]))
    }

    pub(super) fn find_name(&self, uid: u32) -> Result<Option<String>, StoreError> {
        self.reading(|connection| rows::text(connection, sql::PERSON_NAME, [uid]))
    }

    pub(super) fn find_submissions_of(
        &self,
        uid: u32,
        limit: usize,
    ) -> Result<Vec<DrainedSubmission>, StoreError> {
        let digests: Vec<String> = self.reading(|connection| {
            let mut statement = connection.prepare_cached(sql::SUBMISSIONS_OF)?;
            let rows = statement.query_map(params![uid, limit as i64], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let mut found = Vec::with_capacity(digests.len());
        for digest in digests {
            found.extend(self.find_submission(&digest)?);
        }
        Ok(found)
    }

    pub(super) fn find_submission(
        &self,
        digest: &str,
    ) -> Result<Option<DrainedSubmission>, StoreError> {
        type Row = (u32, String, i64, String, String, Option<String>);
        self.reading(|connection| {
            let row: Option<Row> = connection
                .prepare_cached(sql::SUBMISSION_BY_DIGEST)?
                .query_row([digest], |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                    ))
                })
                .optional()?;
            let Some((uid, name, at, act, outcome, request)) = row else {
                return Ok(None);
            };
            let request = request.map(|id| rows::id(&id)).transpose()?;
            Ok(Some(DrainedSubmission {
                digest: digest.to_owned(),
                person: Person { uid, name },
                at: At::from_millis(at),
                act,
                outcome,
                request,
            }))
        })
    }

    pub(super) fn find_seen(&self) -> Result<Seen, StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached(sql::SEEN_GET)?;
            let seen = statement.query_row([], |row| {
                Ok(Seen {
                    at: At::from_millis(row.get(0)?),
                    boot: BootInstant {
                        boot: row.get(1)?,
                        millis: loaded(row.get(2)?),
                    },
                })
            })?;
            Ok(seen)
        })
    }

    pub(super) fn find_lines_of(&self, id: &RequestId) -> Result<Vec<String>, StoreError> {
        self.reading(|connection| rows::texts(connection, sql::EVENTS_OF, [id.as_str()]))
    }

    pub(super) fn find_lines_from(
        &self,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<OwedLine>, StoreError> {
        // The line itself comes along, where there is one: number 0 has none.
        let limit = limit.saturating_add(usize::from(seq > 0));
        self.reading(|connection| {
            let mut statement = connection.prepare_cached(sql::EVENTS_FROM)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![stored(seq), limit], |row| {
                let mut line: String = row.get(1)?;
                line.push('\n');
                Ok(OwedLine {
                    seq: loaded(row.get(0)?),
                    line,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    pub(super) fn find_journal_mark(&self) -> Result<(u64, Option<String>), StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached(sql::JOURNAL_MARK)?;
            Ok(statement.query_row([], |row| Ok((loaded(row.get(0)?), row.get(1)?)))?)
        })
    }
}

/// The statement whose index leads to the fewest rows; all of them apply all conditions.
fn way(find: &FindRequests) -> &'static str {
    let within = |some: &[State]| {
        find.states
            .as_ref()
            .is_some_and(|states| states.iter().all(|state| some.contains(state)))
    };
    let open: Vec<State> = State::ALL.into_iter().filter(|s| !s.is_final()).collect();
    match find {
        FindRequests {
            id_prefix: Some(_), ..
        } => sql::REQUESTS_BY_PREFIX,
        FindRequests {
            lapsing_by: Some(_),
            ..
        } if within(&State::WAITING) => sql::REQUESTS_LAPSING,
        _ if within(&open) => sql::REQUESTS_IN_STATES,
        FindRequests {
            ended_since: Some(_),
            ..
        } => sql::REQUESTS_ENDED_SINCE,
        FindRequests {
            requester: Some(_), ..
        } => sql::REQUESTS_OF_REQUESTER,
        FindRequests {
            target: Some(_), ..
        } => sql::REQUESTS_OF_TARGET,
        FindRequests {
            states: Some(_),
            limit: None,
            ..
        } => sql::REQUESTS_IN_STATES,
        _ => sql::REQUESTS_NEWEST,
    }
}

fn words(states: &Vec<State>) -> String {
    serde_json::json!(states).to_string()
}

/// SQLite's integers are signed; no number of ours comes near the end of them.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What [`stored`] has stored; the schema lets nothing negative in.
pub(super) fn loaded(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The key of a fact in the ledger.
pub(super) fn fact_word(fact: Fact) -> &'static str {
    match fact {
        Fact::SettingsPath => "settings_path",
        Fact::SettingsHash => "settings_hash",
        Fact::LastSweep => "last_sweep",
        Fact::LastSweepReport => "last_sweep_report",
        Fact::TargetIdentities => "target_identities",
        Fact::Protected => "protected",
    }
}
