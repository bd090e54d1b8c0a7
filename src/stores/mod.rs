//! The durable state, and the inbox that authenticates who submits. Two traits; SQLite with mailboxes behind them
//! today, a Postgres ledger later: there the inbox is a table whose `actor` the server fills in, and a deposit
//! carries that person exactly as a mailbox's deposit carries the owner of its file.
//!
//! A store keeps values; it never decides. All writes of one step go through one [`Ledger::commit`].

pub mod error;
pub mod mailbox;
pub mod sqlite;

use std::time::Duration;

use foldhash::{HashMap, HashSet};

use crate::access::hold::Hold;
use crate::access::{
    At, BootInstant, Course, Lease, LeaseId, LeaseState, LedgerId, Now, Person, PrivilegeKey,
    Request, RequestId, ServerIdentity, SharedText, State, TableColumns, TargetName,
};
use crate::audit::event::Draft;

pub use error::StoreError;

/// Which requests to read. What is set must fit all at once; nothing set means all. Newest first.
#[derive(Clone, Debug, Default)]
pub struct FindRequests {
    pub id_prefix: Option<String>,
    pub states: Option<Vec<State>>,
    pub requester: Option<u32>,
    pub target: Option<TargetName>,
    /// `lapses_at` at or before this instant.
    pub lapsing_by: Option<At>,
    /// Ended (any final state) at or after this instant; used to refresh views.
    pub ended_since: Option<At>,
    pub limit: Option<usize>,
}

/// Which leases to read. Ordered by request and position, but for ended ones.
#[derive(Clone, Debug)]
pub enum FindLeases {
    /// All of one request.
    Of(RequestId),
    /// Live ones of a target (`None`: of all targets).
    Live(Option<TargetName>),
    /// Live ones of a target whose time is over by either clock, or whose request is `revoking`; and every other
    /// live lease that shares a privilege key with one of them.
    DueWithSharers(TargetName, Now),
    /// Live ones of these requests on a target; and every other live lease that shares a privilege key with one of
    /// them.
    OfWithSharers(TargetName, Vec<RequestId>),
    /// Live ones of a target with one of these keys whose GRANT is on record: held or disputed, not owed.
    GivenWithKeys(TargetName, Vec<PrivilegeKey>),
    /// Ended ones of a target, ended at or after this instant. Those that ended first come first.
    EndedSince(TargetName, At),
}

/// As much of an open request as its place among others takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub id: RequestId,
    pub lapses_at: At,
    pub tables: Vec<TableColumns>,
}

/// How much there is to do on each target, where there is anything. The numbers are weights: they only tell how much
/// more one target has than another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// What is due.
    pub due: HashMap<TargetName, usize>,
    /// Requests that are to be judged or to be granted.
    pub waiting: HashMap<TargetName, usize>,
}

/// What a ledger knows of itself. Each is one row, kept as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// The settings file that the ledger belongs to, as a canonical path.
    SettingsPath,
    /// SHA-256 over settings and policies as last seen.
    SettingsHash,
    /// When a sweep last did all its revokes, RFC 3339.
    LastSweep,
    /// JSON of what the last sweep saw of each target: for `doctor` and the dashboard.
    LastSweepReport,
    /// The server identity of each target that ever held a lease: JSON, by target name.
    TargetIdentities,
    /// The protected columns of each target as its catalog last showed them: JSON, by target name.
    Protected,
}

/// The newest instants that the ledger has seen, by which a clock set back is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub at: At,
    pub boot: BootInstant,
}

/// One step's writes: all of them or none, numbered and chained inside the same transaction.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub effects: Vec<Effect>,
    pub events: Vec<Draft>,
}

/// One write.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A submission was drained. [`StoreError::AlreadyDrained`] where its digest is there already.
    Submission(DrainedSubmission),
    /// A person was recognised: uid and name as of now.
    Seen(Person),
    NewRequest(Box<Request>),
    /// All of a request. [`StoreError::Conflict`] where it is not in state `was` any more; the schema refuses a move
    /// that is not in the table of moves, and any change of what was asked and approved once it is given or over.
    SaveRequest {
        was: State,
        now: Box<Request>,
    },
    /// Only what moves of it; the same errors. Of a final request the outcome alone may change.
    MoveRequest {
        id: RequestId,
        was: State,
        course: Box<Course>,
    },
    NewLease(Box<Lease>),
    /// A lease with its privilege. [`StoreError::Conflict`] where it has ended meanwhile.
    SaveLease(Box<Lease>),
    /// Only its state; the same error.
    MoveLease {
        id: LeaseId,
        state: LeaseState,
    },
    /// Its state, and the stamp that its row was seen with; the same error.
    StampLease {
        id: LeaseId,
        state: LeaseState,
        stamp: Option<SharedText>,
    },
    /// Kept once a hash.
    KeepText {
        hash: String,
        body: String,
    },
    SetFact {
        fact: Fact,
        value: String,
    },
    NewHold(Hold),
    SaveHold(Hold),
    /// Forgets the latest instant seen and takes this one: only `jit ledger clock --accept`.
    ResetSeen(Now),
}

impl Effect {
    /// The move of a request that was in state `was` and is now as given.
    pub fn moved(was: State, request: &Request) -> Self {
        Self::MoveRequest {
            id: request.id.clone(),
            was,
            course: Box::new(request.course()),
        }
    }

    /// A lease in a new state, and with the stamp that its row was seen with, where that is another one.
    pub fn put(lease: &Lease, state: LeaseState, stamp: Option<&SharedText>) -> Self {
        let id = lease.id.clone();
        match stamp.is_none() || stamp == lease.privilege.stamp.as_ref() {
            true => Self::MoveLease { id, state },
            false => Self::StampLease {
                id,
                state,
                stamp: stamp.cloned(),
            },
        }
    }
}

/// What the ledger remembers of a submission for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainedSubmission {
    /// SHA-256 (hexadecimal) over uid and bytes.
    pub digest: String,
    pub person: Person,
    pub at: At,
    /// The act's word, or `unreadable`.
    pub act: String,
    /// `accepted`, or why it was rejected.
    pub outcome: String,
    pub request: Option<RequestId>,
}

/// One sealed line that the audit file still owes. `line` ends with its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedLine {
    pub seq: u64,
    pub line: String,
}

/// Keeps other operators out while it lives. Freed by the kernel when the process dies.
pub trait Lock {}

/// The durable state. Every method is one short transaction; none waits longer than 10 s.
pub trait Ledger {
    fn id(&self) -> &LedgerId;

    fn request(&self, id: &RequestId) -> Result<Option<Request>, StoreError>;
    /// Those of some requests that there are.
    fn requests_of(&self, ids: &[RequestId]) -> Result<HashMap<RequestId, Request>, StoreError>;
    fn requests(&self, find: &FindRequests) -> Result<Vec<Request>, StoreError>;
    /// The same one by one, for those who need not have all of them at once. An error of `take` ends it.
    fn each_request(
        &self,
        find: &FindRequests,
        take: &mut dyn FnMut(Request) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
    /// A target's requests in one state, in short and one by one.
    fn each_waiting(
        &self,
        target: &TargetName,
        state: State,
        take: &mut dyn FnMut(Waiting),
    ) -> Result<(), StoreError>;
    fn leases(&self, find: &FindLeases) -> Result<Vec<Lease>, StoreError>;
    /// The same one by one, for those who need not have all of them at once. An error of `take` ends it.
    fn each_lease(
        &self,
        find: &FindLeases,
        take: &mut dyn FnMut(Lease) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
    /// Request and privilege of each lease that is due on a target, as `DueWithSharers` means it and without those
    /// that share; ordered by key.
    fn due_keys(
        &self,
        target: &TargetName,
        now: &Now,
    ) -> Result<Vec<(RequestId, PrivilegeKey)>, StoreError>;
    /// How much there is to do on each target.
    fn work(&self, now: &Now) -> Result<Work, StoreError>;
    /// The privileges of a target's live leases.
    fn live_keys(&self, target: &TargetName) -> Result<HashSet<PrivilegeKey>, StoreError>;
    /// The same, and how many live leases have each.
    fn live_counts(&self, target: &TargetName) -> Result<HashMap<PrivilegeKey, usize>, StoreError>;
    /// The targets that have live leases.
    fn live_targets(&self) -> Result<Vec<TargetName>, StoreError>;
    /// The servers that a target's live leases were given on.
    fn live_servers(&self, target: &TargetName) -> Result<Vec<ServerIdentity>, StoreError>;
    /// Those that hold now, and with `ended` the others too. Oldest first.
    fn holds(&self, ended: bool) -> Result<Vec<Hold>, StoreError>;
    fn fact(&self, fact: Fact) -> Result<Option<String>, StoreError>;
    fn text(&self, hash: &str) -> Result<Option<String>, StoreError>;
    /// What became of a submission, by its digest; `None` where it was never drained.
    fn submission(&self, digest: &str) -> Result<Option<DrainedSubmission>, StoreError>;
    /// What became of a person's last submissions, newest first.
    fn submissions_of(&self, uid: u32, limit: usize) -> Result<Vec<DrainedSubmission>, StoreError>;
    /// The name under which a uid was last recognised.
    fn name_of(&self, uid: u32) -> Result<Option<String>, StoreError>;
    fn seen(&self) -> Result<Seen, StoreError>;
    /// The sealed lines about a request, oldest first.
    fn lines_of(&self, id: &RequestId) -> Result<Vec<String>, StoreError>;
    /// Number and hash of the newest line; `(0, hash of the ledger's id)` where there is none.
    fn head(&self) -> Result<(u64, String), StoreError>;

    /// Writes all or nothing. Events get their numbers, `at` (= `now.at`) and hashes here; the latest instant
    /// seen moves on to `now`, never back. Returns the numbers given.
    fn commit(&self, now: &Now, change: Change) -> Result<std::ops::Range<u64>, StoreError> {
        self.commit_all(now, std::slice::from_ref(&change))
    }

    /// The same for several changes, whose events follow each other in the order of the changes: all or nothing of
    /// all of them, as if they were one.
    fn commit_all(&self, now: &Now, changes: &[Change])
    -> Result<std::ops::Range<u64>, StoreError>;

    /// The line with this number, and the first `limit` lines after it that exist: for the journal and `verify`.
    fn lines_after(&self, seq: u64, limit: usize) -> Result<Vec<OwedLine>, StoreError>;
    /// The newest number known to be in the audit file, and the file's identity then (opaque to the ledger).
    fn journal_mark(&self) -> Result<(u64, Option<String>), StoreError>;
    fn set_journal_mark(&self, seq: u64, file: Option<&str>) -> Result<(), StoreError>;

    /// Takes the named lock, waiting at most so long; `None` where another operator keeps it.
    /// Names: `target:NAME`, `journal`. Nobody who is no operator can hold one.
    fn lock(&self, name: &str, wait: Duration) -> Result<Option<Box<dyn Lock>>, StoreError>;
}

/// What was found in the inbox, authenticated by whoever keeps it.
#[derive(Clone, Debug)]
pub struct Deposit {
    pub person: Person,
    /// SHA-256 (hexadecimal) over uid and bytes.
    pub digest: String,
    pub content: Content,
    /// Where it lies, for [`Inbox::discard`] and for messages. Opaque otherwise.
    pub place: String,
}

/// The bytes of a submission, or why they are not looked at.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Vec<u8>),
    /// Too large, not a regular file, a wrong owner, more than one link …
    Unacceptable(String),
}

/// Something in the inbox that is nobody's mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// Chosen by whoever put it there.
    pub name: String,
    pub why: String,
}

/// The operators' side of the inbox.
pub trait Inbox {
    /// At most `per_person` deposits of each person, oldest first within a person; people take turns.
    /// Never blocks on what it finds (FIFOs, links, huge or endless files).
    fn deposits(&self, per_person: usize) -> Result<Vec<Deposit>, StoreError>;
    /// Removes a deposit. Already gone is fine.
    fn discard(&self, deposit: &Deposit) -> Result<(), StoreError>;
    /// Everybody who has a mailbox.
    fn people(&self) -> Result<Vec<Person>, StoreError>;
    /// What is in the inbox and is nobody's mailbox; not endlessly many.
    fn oddities(&self) -> Result<Vec<Oddity>, StoreError>;
    /// Puts a sheet into a person's mailbox, whole, in place of the last one; nothing where there is no mailbox, and
    /// where the same lies there already.
    fn publish(&self, person: &Person, sheet: Sheet, text: &[u8]) -> Result<(), StoreError>;
}

/// What operators put into a mailbox, a file each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sheet {
    /// Requests, and what became of submissions; it says when it was made.
    View,
    /// The columns that the person may ask for: of a whole company they are megabytes, and they seldom change.
    Columns,
}
