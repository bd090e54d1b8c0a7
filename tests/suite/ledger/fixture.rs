//! A ledger, an inbox and an audit file in a folder of their own, values to put into them, and ways to act on them
//! as somebody else or as another process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use jit::access::{
    Actor, Approval, At, BootInstant, Grantee, Identity, Lease, LeaseId, LeaseState, Named, Now,
    Privilege, Request, RequestId, ServerIdentity, State, TableColumns, TableName, TargetName, Ttl,
};
use jit::audit::event::{Draft, EventKind};
use jit::audit::journal::{Owed, Source};
use jit::stores::mailbox::{Credentials, Mailboxes, Names, as_person};
use jit::stores::sqlite::{Places, Sharing, SqliteLedger, create};
use jit::stores::{Change, Effect, Ledger, StoreError};

use crate::support;
use crate::support::people::{OPERATORS, Person};
use crate::support::process::beside_the_servers;

/// The environment variable that tells a test that it is run as a child, and what to do.
const CHILD: &str = "JIT_TEST_CHILD";

/// A folder that everybody may pass through, removed at the end.
pub struct Place {
    pub folder: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let name = format!("{}-store-{}", std::process::id(), support::unique());
        let folder = beside_the_servers("test-places").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub fn at(&self, inner: &str) -> PathBuf {
        self.folder.join(inner)
    }

    pub fn places(&self) -> Places {
        places(&self.folder)
    }

    /// Made by root, for the operators' group.
    pub fn shared(&self) -> SqliteLedger {
        create(&self.places(), Sharing::Group { gid: operators() }, &now(0)).unwrap()
    }

    /// Made for whoever runs the tests.
    pub fn alone(&self) -> SqliteLedger {
        create(&self.places(), Sharing::Alone, &now(0)).unwrap()
    }

    pub fn inbox(&self) -> PathBuf {
        self.places().inbox
    }

    pub fn audit(&self) -> PathBuf {
        self.places().audit
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.folder.display());
        } else {
            let _ = Command::new("chattr")
                .arg("-R")
                .arg("-a")
                .arg(&self.folder)
                .stderr(Stdio::null())
                .status();
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

pub fn places(folder: &Path) -> Places {
    Places {
        ledger: folder.join("jit/ledger/ledger.db"),
        inbox: folder.join("jit/inbox"),
        audit: folder.join("log/audit.jsonl"),
    }
}

pub fn operators() -> u32 {
    uzers::get_group_by_name(OPERATORS)
        .expect("make setup")
        .gid()
}

pub fn credentials(person: &Person) -> Credentials {
    let (gid, groups) = jit::identity::groups_of(person.uid).unwrap();
    Credentials {
        uid: person.uid,
        gid,
        groups,
    }
}

/// Runs something with that person's rights, in this process.
pub fn acting<T: Send>(person: &Person, act: impl FnOnce() -> T + Send) -> T {
    as_person(&credentials(person), || Ok(act())).unwrap()
}

pub fn mailboxes(inbox: &Path) -> Mailboxes {
    Mailboxes::open(inbox, names()).unwrap()
}

pub fn names() -> Names {
    Names {
        name_of: Box::new(jit::identity::name_of),
        local: Box::new(jit::identity::local_uids),
    }
}

/// This test program, where everybody may run it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder =
            beside_the_servers("test-places").join(format!("{}-suite", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let copy = folder.join("suite");
        crate::support::copy_program(&std::env::current_exe().unwrap(), &copy);
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        copy
    })
}

/// The arguments with which this program runs one test function, as [`order`] told, in this folder.
fn told<'a>(command: &'a mut Command, test: &str, order: &str, folder: &Path) -> &'a mut Command {
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, order)
        .env("JIT_TEST_PLACE", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

/// A child of this program that runs a test function, which asks [`order`] what to do.
pub fn child(person: Option<&Person>, test: &str, order: &str, folder: &Path) -> Child {
    let mut command = match person {
        Some(person) => person.command(program()),
        None => Command::new(program()),
    };
    told(&mut command, test, order, folder).spawn().unwrap()
}

/// As [`child`], after a shell script that ends in `exec "$@"`, in a mount namespace of its own.
pub fn child_after(script: &str, test: &str, order: &str, folder: &Path) -> Child {
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            script,
            "sh",
        ])
        .arg(program());
    told(&mut command, test, order, folder).spawn().unwrap()
}

/// Waits for a child, which must do well, and gives its words.
#[track_caller]
pub fn well(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// What this process is to do if it is such a child, and where.
pub fn order() -> Option<(String, PathBuf)> {
    let order = std::env::var(CHILD).ok()?;
    Some((order, std::env::var_os("JIT_TEST_PLACE")?.into()))
}

/// So many milliseconds after a certain moment, on a certain boot.
pub fn now(millis: u64) -> Now {
    Now {
        at: At::from_millis(1_790_000_000_000 + millis as i64),
        boot: BootInstant {
            boot: "boot-1".into(),
            millis: 1_000_000 + millis,
        },
    }
}

pub fn person(uid: u32) -> jit::access::Person {
    jit::access::Person {
        uid,
        name: format!("person{uid}"),
    }
}

pub fn id(number: u32) -> RequestId {
    RequestId::of_submission(number, b"test")
}

pub fn request(number: u32, state: State) -> Request {
    Request {
        id: id(number),
        state,
        requester: person(1000 + number % 3),
        target: target(number % 2),
        grantee: Grantee("alice".into()),
        tables: vec![TableColumns {
            table: TableName::new("public", "t"),
            columns: vec!["c".into()],
        }],
        ttl: Ttl::from_secs(3600),
        reason: "because\n\"quoted\"".into(),
        purpose: None,
        ticket: Some("SUP-1".into()),
        extends: None,
        submitted_at: now(u64::from(number)).at,
        lapses_at: now(u64::from(number) * 1000).at,
        terms: None,
        privileges: vec![],
        caveats: vec![],
        sql: Vec::new(),
        will_read: vec![],
        approvals: vec![],
        granted_at: None,
        expires_at: None,
        ended: None,
        ended_at: state.is_final().then(|| now(u64::from(number) * 1000).at),
        outcome: None,
    }
}

pub fn approved(mut request: Request, by: u32) -> Request {
    request.approvals.push(Approval {
        by: person(by),
        at: now(0).at,
        ttl: None,
        note: None,
    });
    request
}

pub fn target(number: u32) -> TargetName {
    TargetName(format!("target{number}").into())
}

pub fn lease(request: u32, position: u32, column: i16, expires: u64) -> Lease {
    Lease {
        id: LeaseId {
            request: id(request),
            position,
        },
        target: target(request % 2),
        grantee: Grantee("alice".into()),
        server: ServerIdentity {
            address: "db1:5432".into(),
            database: "shop".into(),
            system: "7312".into(),
        },
        privilege: Privilege {
            identity: Identity::PostgresColumn {
                database: 1,
                relation: 2,
                attnum: column,
                role: 3,
                grantor: 4,
            },
            named: Named {
                grantee: Grantee("alice".into()),
                thing: jit::access::privilege::Thing::Column {
                    table: TableName::new("public", "t"),
                    column: "c".into(),
                },
            },
            stamp: None,
        },
        expires_at: now(expires).at,
        boot_end: now(0).boot.plus(Ttl::from_millis(expires)),
        state: LeaseState::Owed,
    }
}

pub fn draft(kind: EventKind, request: Option<u32>) -> Draft {
    let mut draft = Draft::new(kind, &Actor::Person(person(1003)));
    draft.request = request.map(id);
    draft.reason = Some("because\n\"quoted\" é".into());
    draft
}

/// So many events about nothing.
pub fn events(number: usize) -> Change {
    Change {
        effects: vec![],
        events: vec![draft(EventKind::Requested, None); number],
    }
}

pub fn new_request(number: u32, state: State) -> Change {
    Change {
        effects: vec![Effect::NewRequest(Box::new(request(number, state)))],
        events: vec![draft(EventKind::Requested, Some(number))],
    }
}

/// The ledger as the journal sees it.
pub struct Books<'a>(pub &'a SqliteLedger);

impl Source for Books<'_> {
    type Error = StoreError;

    fn lines_after(&self, seq: u64, limit: usize) -> Result<Vec<Owed>, StoreError> {
        let lines = self.0.lines_after(seq, limit)?;
        Ok(lines
            .into_iter()
            .map(|owed| Owed {
                seq: owed.seq,
                line: owed.line,
            })
            .collect())
    }

    fn mark(&self) -> Result<(u64, Option<String>), StoreError> {
        self.0.journal_mark()
    }

    fn set_mark(&self, seq: u64, file: &str) -> Result<(), StoreError> {
        self.0.set_journal_mark(seq, Some(file))
    }
}

/// Every line of the ledger must make one sound trail from the beginning.
#[track_caller]
pub fn sound(ledger: &SqliteLedger) -> u64 {
    let mut verifier = jit::audit::verify::Verifier::of_ledger(ledger.id()).from_the_start();
    for owed in ledger.lines_after(0, usize::MAX).unwrap() {
        verifier.line(owed.line.trim_end_matches('\n').as_bytes());
    }
    let verdict = verifier.end();
    assert!(verdict.is_sound(), "{:#?}", verdict.findings);
    verdict.head.map_or(0, |head| head.seq)
}
