//! The embedded ledger: SQLite, for operators only. (Any reader of another uid could block a commit, so the folder
//! is closed to everybody else: see [`create`].)

mod commit;
pub mod create;
mod error;
mod find;
mod lease_docs;
mod lock;
mod migrate;
mod open;
mod put;
mod reserve;
mod rows;
mod statements;

use std::path::PathBuf;
use std::time::Duration;

use foldhash::{HashMap, HashSet};
use rusqlite::Connection;

use crate::access::hold::Hold;
use crate::access::{
    Lease, LedgerId, Now, PrivilegeKey, Request, RequestId, ServerIdentity, State, TargetName,
};
use crate::stores::{
    Change, DrainedSubmission, Fact, FindLeases, FindRequests, Ledger, Lock, OwedLine, Seen,
    StoreError, Waiting, Work,
};

pub use create::{Places, Sharing, create};
pub use open::may_operate;

/// How long a write waits for another process's write.
const BUSY: Duration = Duration::from_secs(10);

/// An open ledger.
pub struct SqliteLedger {
    connection: Connection,
    id: LedgerId,
    /// The `host` key of the events sealed here.
    host: String,
    path: PathBuf,
    access: open::Access,
}

impl SqliteLedger {
    /// Whether anything can be written: not where the file system is read-only.
    ///
    /// What is due is still listed then, so that it can be revoked.
    pub fn is_writable(&self) -> bool {
        self.access != open::Access::ReadOnly
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

impl Ledger for SqliteLedger {
    fn id(&self) -> &LedgerId {
        &self.id
    }

    fn request(&self, id: &RequestId) -> Result<Option<Request>, StoreError> {
        self.find_request(id)
    }

    fn requests_of(&self, ids: &[RequestId]) -> Result<HashMap<RequestId, Request>, StoreError> {
        self.find_requests_of(ids)
    }

    fn requests(&self, find: &FindRequests) -> Result<Vec<Request>, StoreError> {
        self.find_requests(find)
    }

    fn each_request(
        &self,
        find: &FindRequests,
        take: &mut dyn FnMut(Request) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.find_each_request(find, take)
    }

    fn each_waiting(
        &self,
        target: &TargetName,
        state: State,
        take: &mut dyn FnMut(Waiting),
    ) -> Result<(), StoreError> {
        self.find_each_waiting(target, state, take)
    }

    fn leases(&self, find: &FindLeases) -> Result<Vec<Lease>, StoreError> {
        self.find_leases(find)
    }

    fn each_lease(
        &self,
        find: &FindLeases,
        take: &mut dyn FnMut(Lease) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.find_each_lease(find, take)
    }

    fn due_keys(
        &self,
        target: &TargetName,
        now: &Now,
    ) -> Result<Vec<(RequestId, PrivilegeKey)>, StoreError> {
        self.find_due_keys(target, now)
    }

    fn work(&self, now: &Now) -> Result<Work, StoreError> {
        self.find_work(now)
    }

    fn live_keys(&self, target: &TargetName) -> Result<HashSet<PrivilegeKey>, StoreError> {
        self.find_live_keys(target)
    }

    fn live_counts(&self, target: &TargetName) -> Result<HashMap<PrivilegeKey, usize>, StoreError> {
        self.find_live_counts(target)
    }

    fn live_targets(&self) -> Result<Vec<TargetName>, StoreError> {
        self.find_live_targets()
    }

    fn live_servers(&self, target: &TargetName) -> Result<Vec<ServerIdentity>, StoreError> {
        self.find_live_servers(target)
    }

    fn holds(&self, ended: bool) -> Result<Vec<Hold>, StoreError> {
        self.find_holds(ended)
    }

    fn fact(&self, fact: Fact) -> Result<Option<String>, StoreError> {
        self.find_fact(fact)
    }

    fn text(&self, hash: &str) -> Result<Option<String>, StoreError> {
        self.find_text(hash)
    }

    fn submission(&self, digest: &str) -> Result<Option<DrainedSubmission>, StoreError> {
        self.find_submission(digest)
    }

    fn submissions_of(&self, uid: u32, limit: usize) -> Result<Vec<DrainedSubmission>, StoreError> {
        self.find_submissions_of(uid, limit)
    }

    fn name_of(&self, uid: u32) -> Result<Option<String>, StoreError> {
        self.find_name(uid)
    }

    fn seen(&self) -> Result<Seen, StoreError> {
        self.find_seen()
    }

    fn lines_of(&self, id: &RequestId) -> Result<Vec<String>, StoreError> {
        self.find_lines_of(id)
    }

    fn head(&self) -> Result<(u64, String), StoreError> {
        let (seq, hash) = self.reading(|connection| rows::head(connection, &self.id))?;
        Ok((seq, hash.to_string()))
    }

    fn commit_all(
        &self,
        now: &Now,
        changes: &[Change],
    ) -> Result<std::ops::Range<u64>, StoreError> {
        self.write(|transaction| commit::apply(transaction, &self.id, &self.host, now, changes))
    }

    fn lines_after(&self, seq: u64, limit: usize) -> Result<Vec<OwedLine>, StoreError> {
        self.find_lines_from(seq, limit)
    }

    fn journal_mark(&self) -> Result<(u64, Option<String>), StoreError> {
        self.find_journal_mark()
    }

    fn set_journal_mark(&self, seq: u64, file: Option<&str>) -> Result<(), StoreError> {
        self.write(|transaction| commit::set_journal_mark(transaction, seq, file))
    }

    fn lock(&self, name: &str, wait: Duration) -> Result<Option<Box<dyn Lock>>, StoreError> {
        lock::take(&self.path, name, wait)
    }
}
