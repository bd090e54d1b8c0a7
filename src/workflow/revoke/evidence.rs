//! What a REVOKE did not change: other ways to read, and sessions that go on.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashSet};
use serde_json::json;

use crate::access::plan::{Plan, Settlement};
use crate::access::{Lease, LeaseId, Now, Privilege, PrivilegeKey, Sessions};
use crate::audit::event::Draft;
use crate::engines::{Engine, EngineError, Session, StillReads};
use crate::workflow::events;

use super::{Due, distinct};

/// What a REVOKE did not change: other ways to read, and sessions that go on.
#[derive(Default)]
pub struct Evidence {
    still: HashMap<PrivilegeKey, Vec<String>>,
    pub sessions: Vec<(Vec<PrivilegeKey>, Session)>,
    /// The users whose sessions were looked for.
    grantees: HashSet<String>,
    /// Why it could not be gathered, if it could not.
    missing: Option<String>,
}

impl Evidence {
    /// `still_reads` was seen with the REVOKEs' outcome.
    pub async fn gather(
        engine: &mut dyn Engine,
        due: &Due,
        now: &Now,
        plan: &Plan,
        still_reads: Result<Vec<StillReads>, EngineError>,
    ) -> Self {
        let mut evidence = Self::default();
        // Of what another lease covers nothing is to be said: reading goes on, and rightly so.
        let covered: HashSet<&LeaseId> = plan
            .settled
            .iter()
            .filter(|settled| matches!(settled.how, Settlement::Covered { .. }))
            .map(|settled| &settled.lease)
            .collect();
        let ended: Vec<&Lease> = due
            .due(now)
            .into_iter()
            .filter(|lease| !covered.contains(&lease.id))
            .collect();
        match still_reads {
            Ok(found) => {
                for still in found {
                    evidence.still.entry(still.key).or_default().push(still.how);
                }
            }
            Err(error) => evidence.missing = Some(error.to_string()),
        }
        evidence.grantees = ended
            .iter()
            .map(|lease| user_of(lease.grantee.as_str()).to_owned())
            .collect();
        let (end, report): (Vec<&Lease>, Vec<&Lease>) = ended.into_iter().partition(|lease| {
            due.requests
                .get(&lease.id.request)
                .and_then(|request| request.terms.as_ref())
                .is_some_and(|terms| terms.sessions == Sessions::End)
        });
        for (leases, end) in [(end, true), (report, false)] {
            let privileges = distinct(leases);
            if privileges.is_empty() {
                continue;
            }
            let keys: Vec<PrivilegeKey> = privileges.iter().map(Privilege::key).collect();
            match engine.sessions(&privileges, end).await {
                Ok(found) => evidence
                    .sessions
                    .extend(found.into_iter().map(|session| (keys.clone(), session))),
                Err(error) => evidence.missing = Some(error.to_string()),
            }
        }
        evidence
    }

    /// Adds what is about these leases; `in_the_way` are sessions that were ended for them.
    pub fn add_to(&self, line: &mut Draft, leases: &[&Lease], in_the_way: BTreeSet<&Session>) {
        let keys: HashSet<PrivilegeKey> = leases.iter().map(|lease| lease.key()).collect();
        let mut still: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for lease in leases {
            for how in self.still.get(&lease.key()).into_iter().flatten() {
                let column = lease.privilege.named.column().map_or("", |c| c.as_str());
                still.entry(how.clone()).or_default().push(column);
            }
        }
        if !still.is_empty() {
            events::observe(line, "still_reads", json!(still));
        }
        let account = leases
            .first()
            .map(|lease| lease.grantee.as_str())
            .unwrap_or_default();
        let user = user_of(account);
        let mut sessions: Vec<&Session> = self
            .sessions
            .iter()
            .filter(|(of, session)| {
                // Where the session's account is no grantee of these, it acts for one: better said once too often.
                let whose = user_of(&session.account);
                of.iter().any(|key| keys.contains(key))
                    && (whose == user || !self.grantees.contains(whose))
            })
            .map(|(_, session)| session)
            .collect();
        sessions.extend(in_the_way);
        if !sessions.is_empty() {
            events::observe(line, "sessions", json!(sessions));
        }
        if let Some(why) = &self.missing {
            events::observe(line, "not_observed", json!(why));
        }
    }
}

/// The user of an account, without MySQL's host.
fn user_of(account: &str) -> &str {
    account.rsplit_once('@').map_or(account, |(user, _)| user)
}
