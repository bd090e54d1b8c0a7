//! A sweep that gives, and one that takes, up to 10,000 column leases, against the client of each engine with the
//! same statements merged by hand; on MariaDB also with one account a statement, as `jit` sends them there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use jit::access::{ColumnName, TableColumns, TableName, Ttl};
use jit::workflow::submission::{Act, AskAct, Submission};

use crate::choice;
use crate::measure::{Cost, cost_with};
use crate::support::people::{OPERATORS, Person, cron, root};
use crate::support::process::must;
use crate::support::server::{Kind, Server};
use crate::support::shop::{PASSWORD, Shop};
use crate::support::{mariadb, mysql, postgres};
use crate::table::{Goal, Row};

/// Columns of each table.
pub const COLUMNS: usize = 20;

const POLICY: &str = r"
version: 1
policies:
  - name: wide
    target: shop
    table: '{schema}.t*'
    columns: ['c*']
    allow:
      - {who: [jitalice, jitbob, jitmallory, jitcarol, jitdave], max: 2h, approval: auto}
";

/// How many leases a request is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Each {
    One,
    /// As many as a request may have, at most 1,000.
    Many,
}

impl Each {
    pub fn words(self) -> &'static str {
        match self {
            Self::One => "1 a request",
            Self::Many => "1,000 a request",
        }
    }
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in choice::kinds() {
        // As a DBA runs them: what is answered is on the disk.
        let server = match kind {
            Kind::Postgres => postgres::fresh(&["fsync=on", "log_statement=none"]),
            Kind::Mysql => mysql::fresh(&DURABLE),
            Kind::Mariadb => mariadb::fresh(&[DURABLE[0], DURABLE[1], "--log-bin=bin"]),
        };
        eprintln!("{} {}", kind.word(), server.version());
        for tables in choice::sizes([1, 10, 100]) {
            for each in [Each::One, Each::Many] {
                rows.extend(pair(&server, tables, each));
            }
        }
    }
    rows
}

const DURABLE: [&str; 2] = ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"];

fn pair(server: &Server, tables: usize, each: Each) -> Vec<Row> {
    let field = Field::new(server, tables);
    let leases = tables * COLUMNS * 5;
    field.ask(each);
    field.approve();
    let approved = field.keep("kept");
    let merged = field.script("merged", &field.merged());
    // What `jit` sends to MariaDB: a statement for several accounts stops midway there when one of them fails, and is
    // then in no binary log.
    let by_account =
        (server.kind() == Kind::Mariadb).then(|| field.script("by-account", &field.by_account()));
    let single = (server.kind() == Kind::Postgres && choice::slow())
        .then(|| field.script("single", &field.single()));
    let mut gives = Sides::default();
    let mut takes = Sides::default();
    for round in 0..choice::rounds() {
        field.restore(&approved);
        gives.ours.push(cost_with(server, &mut field.sweep()));
        assert_eq!(field.held(), leases, "all are given");
        field.make_due();
        takes.ours.push(cost_with(server, &mut field.sweep()));
        assert_eq!(field.held(), 0, "all are taken");
        gives
            .merged
            .push(cost_with(server, &mut field.client(&merged.0)));
        takes
            .merged
            .push(cost_with(server, &mut field.client(&merged.1)));
        if let Some((give, take)) = &by_account {
            gives
                .by_account
                .push(cost_with(server, &mut field.client(give)));
            takes
                .by_account
                .push(cost_with(server, &mut field.client(take)));
        }
        // Slow, and far from the goal: once is enough to be sure, thrice to be fair.
        if let Some((give, take)) = single.as_ref().filter(|_| round < 3) {
            gives
                .single
                .push(cost_with(server, &mut field.client(give)));
            takes
                .single
                .push(cost_with(server, &mut field.client(take)));
        }
    }
    let largest = tables == 100;
    let engine = server.kind().word();
    let mut rows = Vec::new();
    for (verb, sides, most) in [("take", takes, 2.0), ("give", gives, 2.5)] {
        let what = format!("{verb} {leases}, {}, {engine}", each.words());
        if !sides.single.is_empty() {
            rows.push(Row {
                what: what.clone(),
                against: "psql, one a line".into(),
                ours: sides.ours[..sides.single.len()].to_vec(),
                theirs: sides.single,
                goal: if largest && verb == "take" {
                    Goal::Faster(8.0)
                } else {
                    Goal::None
                },
            });
        }
        if !sides.by_account.is_empty() {
            rows.push(Row {
                what: what.clone(),
                against: "client, by account".into(),
                ours: sides.ours.clone(),
                theirs: sides.by_account,
                goal: Goal::None,
            });
        }
        rows.push(Row {
            what,
            against: "client, merged".into(),
            ours: sides.ours,
            theirs: sides.merged,
            goal: if largest {
                Goal::AtMost(most)
            } else {
                Goal::None
            },
        });
    }
    rows
}

#[derive(Default)]
struct Sides {
    ours: Vec<Cost>,
    merged: Vec<Cost>,
    by_account: Vec<Cost>,
    single: Vec<Cost>,
}

/// A shop with wide tables, and what is asked for there.
pub struct Field<'s> {
    shop: Shop<'s>,
    tables: usize,
}

impl<'s> Field<'s> {
    pub fn new(server: &'s Server, tables: usize) -> Self {
        let shop = Shop::bare(server, POLICY);
        let columns: Vec<String> = names().map(|name| format!("{name} int")).collect();
        for table in 1..=tables {
            let table = shop.table(&format!("t{table}"));
            shop.dba(&format!("CREATE TABLE {table} ({})", columns.join(", ")));
        }
        shop.jit.init();
        shop.set_up();
        for person in shop.people() {
            shop.jit(&person, &["list"]).ok();
        }
        shop.sweep().ok();
        Self { shop, tables }
    }

    pub fn sweep(&self) -> Command {
        let mut command = self.shop.jit.command(&cron(), &["sweep"]);
        if let Some(flags) = std::env::var_os("BENCH_FLAGS") {
            command.args(flags.to_string_lossy().split(' '));
        }
        command
    }

    /// A command of somebody there.
    pub fn command(&self, person: &Person, words: &[&str]) -> Command {
        self.shop.jit.command(person, words)
    }

    /// What ends all access at once.
    pub fn kill_switch(&self) -> Command {
        let words = ["revoke", "--everything", "--reason", "over", "--yes"];
        self.shop.jit.command(&root(), &words)
    }

    /// Everybody's submissions, in their mailboxes as they would put them there.
    pub fn ask(&self, each: Each) {
        let all: Vec<TableColumns> = (1..=self.tables)
            .map(|table| TableColumns {
                table: TableName::new(self.shop.schema(), format!("t{table}")),
                columns: names().map(ColumnName::from).collect(),
            })
            .collect();
        let asks: Vec<Vec<TableColumns>> = match each {
            Each::Many => all
                .chunks(1000 / COLUMNS)
                .map(<[TableColumns]>::to_vec)
                .collect(),
            Each::One => all
                .iter()
                .flat_map(|table| {
                    table.columns.iter().map(|column| {
                        vec![TableColumns {
                            table: table.table.clone(),
                            columns: vec![column.clone()],
                        }]
                    })
                })
                .collect(),
        };
        for person in self.shop.people() {
            let mailbox = self
                .shop
                .jit
                .path("var/lib/jit/inbox")
                .join(person.uid.to_string());
            make(&mailbox, &person);
            for (number, tables) in asks.iter().enumerate() {
                let submission = Submission {
                    v: 1,
                    nonce: format!("{number:032}"),
                    act: Act::Request(AskAct {
                        target: "shop".into(),
                        tables: tables.clone(),
                        ttl: Ttl::from_secs(3600),
                        reason: "a large incident".into(),
                        purpose: None,
                        ticket: None,
                        extends: None,
                    }),
                };
                let bytes = serde_json::to_vec(&submission).expect("plain data");
                drop_in(&mailbox, &person, &format!("{number:06}"), &bytes);
            }
        }
    }

    /// From submitted to approved and not further: a sweep while the audit file cannot be written judges and gives
    /// nothing, and one that cannot log in to the target then writes the lines that are owed.
    pub fn approve(&self) {
        let audit = self.shop.jit.path("var/log/jit");
        let mode = fs::metadata(&audit)
            .expect("the audit folder")
            .permissions();
        fs::set_permissions(&audit, fs::Permissions::from_mode(0o777)).expect("root may");
        // A sweep drains for 20 s at most.
        while self.waiting() {
            self.shop.sweep().exit(7);
        }
        fs::set_permissions(&audit, mode).expect("root may");
        let secret = self.shop.jit.path("secrets/shop");
        fs::write(&secret, "not it").expect("root may");
        self.shop.sweep().exit(5);
        fs::write(&secret, PASSWORD).expect("root may");
    }

    /// Whether a submission lies in a mailbox.
    fn waiting(&self) -> bool {
        let inbox = self.shop.jit.path("var/lib/jit/inbox");
        self.shop.people().iter().any(|person| {
            let mailbox = fs::read_dir(inbox.join(person.uid.to_string())).expect("made above");
            mailbox
                .flatten()
                .any(|entry| !entry.file_name().to_string_lossy().contains(".json"))
        })
    }

    /// A copy of ledger, inbox and audit file.
    pub fn keep(&self, name: &str) -> PathBuf {
        let kept = self.shop.jit.path(name);
        must(
            Command::new("cp")
                .arg("-a")
                .arg(self.shop.jit.path("var"))
                .arg(&kept),
        );
        kept
    }

    pub fn restore(&self, kept: &Path) {
        let place = self.shop.jit.path("var");
        fs::remove_dir_all(&place).expect("our own folder");
        must(Command::new("cp").arg("-a").arg(kept).arg(&place));
        // What the copy left to be written is not to be written on the measured one's time.
        must(&mut Command::new("sync"));
    }

    pub fn ledger(&self) -> PathBuf {
        self.shop.jit.ledger()
    }

    /// All leases are over, as if their hour had gone by.
    pub fn make_due(&self) {
        assert_eq!(expire(&self.shop.jit.ledger()), self.tables * COLUMNS * 5);
    }

    /// Column privileges of the people that are in the catalog.
    pub fn held(&self) -> usize {
        let shop = &self.shop;
        let sql = match shop.server.kind() {
            Kind::Postgres => format!(
                "SELECT count(*) FROM pg_attribute a, aclexplode(a.attacl) x, pg_roles r
                 WHERE r.oid = x.grantee AND r.rolname LIKE 'jit%\\_{}' AND r.rolname NOT LIKE 'jit\\_grantor%'",
                shop.suffix
            ),
            Kind::Mysql | Kind::Mariadb => format!(
                "SELECT count(*) FROM mysql.columns_priv WHERE Db = '{}' AND User <> '{}'",
                shop.database,
                shop.login("jitadmin")
            ),
        };
        let count = shop.dba(&sql).remove(0).remove(0);
        count
            .and_then(|count| count.parse().ok())
            .expect("a number")
    }

    fn accounts(&self) -> Vec<String> {
        let people = self.shop.people();
        people
            .iter()
            .map(|person| self.shop.account(&person.name))
            .collect()
    }

    /// GRANT and REVOKE by hand: a statement a table, for all columns and accounts.
    fn merged(&self) -> (String, String) {
        let (mut gives, mut takes) = self.whole_tables(&[self.accounts().join(", ")]);
        if self.shop.server.kind() == Kind::Postgres {
            (gives, takes) = (
                format!("BEGIN;\n{gives}COMMIT;\n"),
                format!("BEGIN;\n{takes}COMMIT;\n"),
            );
        }
        (gives, takes)
    }

    /// A statement a table and account, for all columns.
    fn by_account(&self) -> (String, String) {
        self.whole_tables(&self.accounts())
    }

    /// A statement a table for each of these.
    fn whole_tables(&self, of: &[String]) -> (String, String) {
        let (mut gives, mut takes) = (String::new(), String::new());
        let columns = names().collect::<Vec<_>>().join(", ");
        for table in 1..=self.tables {
            let table = self.shop.table(&format!("t{table}"));
            for accounts in of {
                gives += &format!("GRANT SELECT ({columns}) ON {table} TO {accounts};\n");
                takes += &format!("REVOKE SELECT ({columns}) ON {table} FROM {accounts};\n");
            }
        }
        (gives, takes)
    }

    /// One privilege a line.
    fn single(&self) -> (String, String) {
        let (mut gives, mut takes) = (String::new(), String::new());
        for table in 1..=self.tables {
            let table = self.shop.table(&format!("t{table}"));
            for column in names() {
                for account in self.accounts() {
                    gives += &format!("GRANT SELECT ({column}) ON {table} TO {account};\n");
                    takes += &format!("REVOKE SELECT ({column}) ON {table} FROM {account};\n");
                }
            }
        }
        (gives, takes)
    }

    /// Both as files for the engine's client; on Postgres done as the role that jit's own are done as.
    fn script(&self, name: &str, (gives, takes): &(String, String)) -> (PathBuf, PathBuf) {
        let head = match self.shop.server.kind() {
            Kind::Postgres => format!("SET ROLE jit_grantor_{};\n", self.shop.suffix),
            Kind::Mysql | Kind::Mariadb => String::new(),
        };
        let file = |verb: &str, text: &str| {
            let path = self.shop.jit.path(format!("{name}.{verb}.sql"));
            fs::write(&path, format!("{head}{text}")).expect("our own folder");
            path
        };
        (file("give", gives), file("take", takes))
    }

    /// The engine's client with that file, logged in as jit logs in.
    fn client(&self, script: &Path) -> Command {
        let server = self.shop.server;
        let (host, port) = (server.host(), server.port().to_string());
        let user = self.shop.login("jitadmin");
        match server.kind() {
            Kind::Postgres => {
                let mut command = root().command("psql");
                command
                    .args(["-X", "-q", "-v", "ON_ERROR_STOP=1"])
                    .args([
                        "-h",
                        host,
                        "-p",
                        &port,
                        "-U",
                        &user,
                        "-d",
                        &self.shop.database,
                    ])
                    .arg("-f")
                    .arg(script)
                    .env("PGPASSWORD", PASSWORD);
                command
            }
            Kind::Mysql | Kind::Mariadb => {
                let mut command = root().command("mariadb");
                command
                    .args(["--no-defaults", "--ssl", "--batch"])
                    .args(["-h", host, "-P", &port, "-u", &user])
                    .arg("-e")
                    .arg(format!("source {}", script.display()))
                    .env("MYSQL_PWD", PASSWORD);
                command
            }
        }
    }
}

fn names() -> impl Iterator<Item = String> {
    (1..=COLUMNS).map(|n| format!("c{n}"))
}

/// Ends all live leases of a ledger a second ago; how many.
pub fn expire(ledger: &Path) -> usize {
    let ledger = rusqlite::Connection::open(ledger).expect("the ledger");
    let just_now = jit::workflow::clock::now().at.minus(Ttl::from_secs(1));
    let changed = ledger
        .execute(
            "UPDATE leases SET expires_at = ?1 WHERE live IS NOT NULL",
            [just_now.millis()],
        )
        .expect("an earlier end is lawful");
    ledger
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("nobody else is there");
    must(&mut Command::new("sync"));
    changed
}

/// A mailbox as its owner's first command makes it; an operator's is made by the first one that needs it.
fn make(mailbox: &Path, person: &Person) {
    if mailbox.exists() {
        return;
    }
    let group = uzers::get_group_by_name(OPERATORS).expect("made by the setup");
    fs::create_dir(mailbox).expect("root may");
    chown(mailbox, Some(person.uid), Some(group.gid())).expect("root may");
    fs::set_permissions(mailbox, fs::Permissions::from_mode(0o2770)).expect("root may");
}

/// A submission as its owner drops it.
pub fn drop_in(mailbox: &Path, person: &Person, name: &str, bytes: &[u8]) {
    let path = mailbox.join(name);
    fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("our own file");
    let group = uzers::get_group_by_name(OPERATORS).expect("made by the setup");
    chown(&path, Some(person.uid), Some(group.gid())).expect("root may");
}
