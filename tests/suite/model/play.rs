//! Plays a sequence on a real server with the real program, and looks after each step whether a world is left that
//! explains what is seen.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jit::access::RequestId;
use jit::stores::Ledger;
use jit::workflow::view;
use serde_json::{Value, json};

use crate::support::forge::submission;
use crate::support::invariant::{self, Cell, audit_is_whole, readable_by};
use crate::support::jit::{Output, run};
use crate::support::people::{Person, alice, bob, cron, dave, root};
use crate::support::server::{Kind, SUPERUSER_PASSWORD, Server};
use crate::support::shop::{PASSWORD, Shop};
use crate::support::torture;

use super::step::{ACCOUNTS, COLUMNS, Dba, Step, TABLES};
use super::sweep::Worlds;
use super::world::{Act, Request, State, World};

torture::figures!(sequences, steps, sweeps, kills, deaths);

const POLICY: &str = r"
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: {columns}
    allow:
      - {who: [jitalice, jitbob], purposes: [support], max: 2h, max_total: 1000h, approval: auto}
      - who: [jitalice, jitbob]
        max: 8h
        max_total: 1000h
        approval: {all: [{by: [group:dba], count: 1}], within: 30m}
";

/// One shop, and what must be true of it.
pub struct Play<'s> {
    shop: Shop<'s>,
    worlds: Worlds,
    ids: Vec<RequestId>,
    /// Whether the last sweep that was to be killed was.
    pub killed: bool,
    /// When the last statement of ours was sent.
    ours_at: Instant,
}

/// Plays all steps.
///
/// # Errors
/// What law is broken, and after which step.
pub fn play(server: &Server, steps: &[Step]) -> Result<(), String> {
    FIGURES.sequences.one_more();
    let mut play = Play::new(server);
    play.look()
        .map_err(|why| format!("before the first step: {why}"))?;
    play.all(steps)?;
    play.end()
}

impl<'s> Play<'s> {
    /// Plays these steps, and looks after each.
    ///
    /// # Errors
    /// As [`play`].
    pub fn all(&mut self, steps: &[Step]) -> Result<(), String> {
        for (nth, step) in steps.iter().enumerate() {
            self.step(step)
                .and_then(|()| self.look())
                .map_err(|why| format!("step {}: {step:?}\n{why}", nth + 1))?;
            FIGURES.steps.one_more();
        }
        Ok(())
    }

    /// Plays these steps, and looks only behind the last.
    ///
    /// # Errors
    /// As [`play`].
    pub fn quietly(&mut self, steps: &[Step]) -> Result<(), String> {
        for (nth, step) in steps.iter().enumerate() {
            self.step(step)
                .map_err(|why| format!("step {}: {step:?}\n{why}", nth + 1))?;
            FIGURES.steps.one_more();
        }
        self.look()
    }

    /// A sweep that nothing disturbs; the places that it came to, in order.
    pub fn noted_sweep(&mut self) -> Vec<String> {
        use std::os::unix::fs::PermissionsExt;
        let notes = tempfile::NamedTempFile::new().expect("a file");
        let anybody = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(notes.path(), anybody).expect("our own file");
        let mut command = self.sweep_command();
        command.env(
            "JIT_FAILPOINT",
            format!("any=note:{}", notes.path().display()),
        );
        run(&mut command, "").ok();
        self.after_a_fault();
        let noted = std::fs::read_to_string(notes.path()).expect("our own file");
        noted.lines().map(str::to_owned).collect()
    }

    /// One more sweep, with policies that can be read; then the whole audit trail.
    ///
    /// # Errors
    /// As [`play`].
    pub fn end(&mut self) -> Result<(), String> {
        self.step(&Step::Mend)?;
        self.step(&Step::Sweep)
            .and_then(|()| self.look())
            .map_err(|why| format!("the last sweep\n{why}"))?;
        audit_is_whole(&self.shop, &invariant::ledger(&self.shop));
        Ok(())
    }

    /// A shop of its own.
    pub fn new(server: &'s Server) -> Self {
        let shop = Shop::bare(server, &policy(true));
        shop.dba(&format!("DROP TABLE {}", shop.table("orders")));
        for column in ["name", "ssn"] {
            let table = shop.table("customers");
            shop.dba(&format!("ALTER TABLE {table} DROP COLUMN {column}"));
        }
        shop.jit.init();
        shop.set_up();
        for person in [alice(), bob(), dave()] {
            shop.jit(&person, &["list"]).ok();
        }
        shop.sweep().ok();
        let world = World::new(server.kind() == Kind::Postgres);
        Self {
            shop,
            worlds: Worlds::from([world]),
            ids: Vec::new(),
            killed: false,
            ours_at: Instant::now(),
        }
    }

    /// Any world: for what all of them agree about.
    fn world(&self) -> &World {
        self.worlds.first().expect("look() leaves one")
    }

    fn change(&mut self, change: impl Fn(&mut World)) {
        self.worlds = std::mem::take(&mut self.worlds)
            .into_iter()
            .map(|mut world| {
                change(&mut world);
                world
            })
            .collect();
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Ask {
                who,
                columns,
                minutes,
                auto,
            } => {
                let columns: Vec<&'static str> = (0..2)
                    .filter(|bit| columns & (1 << bit) != 0)
                    .map(|bit| COLUMNS[bit])
                    .collect();
                self.ask(*who, columns, *minutes, *auto, None);
            }
            Step::Extend { request, minutes } => {
                if let Some(nth) = self.nth(*request) {
                    let of = self.world().requests[nth].clone();
                    self.ask(of.who, of.columns, *minutes, true, Some(nth));
                }
            }
            Step::Approve { request } => {
                if let Some(nth) = self.nth(*request) {
                    let ledger = invariant::ledger(&self.shop);
                    let known = ledger.request(&self.ids[nth]).expect("readable");
                    if let Some(known) = known {
                        let act = json!({
                            "do": "approve", "id": known.id, "digest": view::digest(&known)
                        });
                        self.hand_in(&dave(), act, Act::Approve(nth));
                    }
                }
            }
            Step::Deny { request } => self.act(*request, "deny", &dave(), Act::Deny),
            Step::Cancel { request } => self.own(*request, "cancel", Act::Cancel),
            Step::Return { request } => self.own(*request, "return", Act::Return),
            Step::Revoke { request } => {
                if let Some(nth) = self.nth(*request) {
                    let act = json!({"do": "revoke", "ids": [self.ids[nth]], "reason": "a test"});
                    self.hand_in(&dave(), act, Act::Revoke(nth));
                }
            }
            Step::Stop { scope } => {
                let selector = match scope {
                    0 => json!({"target": "shop"}),
                    1 => json!({"requester": ACCOUNTS[0]}),
                    _ => json!({"column": {
                        "table": self.shop.table(TABLES[0]), "columns": [COLUMNS[0]]
                    }}),
                };
                let act = json!({"do": "revoke_all", "selector": selector, "reason": "a test"});
                self.hand_in(&dave(), act, Act::Stop(*scope));
            }
            Step::Resume => {
                let act = json!({"do": "resume", "holds": [], "reason": "a test"});
                self.hand_in(&dave(), act, Act::Resume);
            }
            Step::Settle { request, keep } => {
                if let Some(nth) = self.nth(*request) {
                    let act = json!({
                        "do": "settle", "id": self.ids[nth], "keep": keep, "reason": "a test"
                    });
                    self.hand_in(&dave(), act, Act::Settle(nth, *keep));
                }
            }
            Step::Wait { minutes } => {
                let minutes = u64::from(*minutes);
                self.change(|world| world.now += minutes);
            }
            Step::Policy { phone } => {
                let phone = *phone;
                self.change(|world| world.phone = phone);
                self.write_policy();
            }
            Step::Break => {
                self.change(|world| world.broken = true);
                self.write_policy();
            }
            Step::Mend => {
                self.change(|world| world.broken = false);
                self.write_policy();
            }
            Step::Sweep => self.sweep()?,
            Step::TwoSweeps => {
                let mut other = spawn(&mut self.sweep_command());
                let _ = run(&mut self.sweep_command(), "");
                let _ = other.wait();
                FIGURES.sweeps.one_more();
                FIGURES.sweeps.one_more();
                self.after_a_fault();
                self.sweep()?;
            }
            Step::KilledAt { place, nth, then } => {
                let mut command = self.sweep_command();
                command.env("JIT_FAILPOINT", format!("{place}=kill:{nth}"));
                self.killed = run(&mut command, "").code == 137;
                if self.killed {
                    FIGURES.kills.one_more();
                }
                self.after_a_fault();
                self.then(then.as_ref());
                self.sweep()?;
            }
            Step::KilledAfter { millis, then } => {
                let mut child = spawn(&mut self.sweep_command());
                std::thread::sleep(Duration::from_millis(u64::from(*millis)));
                let _ = child.kill();
                let status = child.wait().expect("our own child");
                if status.code().is_none() {
                    FIGURES.kills.one_more();
                }
                self.after_a_fault();
                self.then(then.as_ref());
                self.sweep()?;
            }
            Step::ServerDies { millis } => {
                let mut child = spawn(&mut self.sweep_command());
                std::thread::sleep(Duration::from_millis(u64::from(*millis)));
                self.shop.server.kill_9();
                let _ = child.wait();
                self.shop.server.start();
                FIGURES.deaths.one_more();
                self.after_a_fault();
                self.sweep()?;
            }
            Step::Dba(dba) => self.then(Some(dba)),
        }
        Ok(())
    }

    fn nth(&self, request: usize) -> Option<usize> {
        (!self.ids.is_empty()).then(|| self.ids.len() - 1 - request % self.ids.len())
    }

    fn ask(
        &mut self,
        who: usize,
        columns: Vec<&'static str>,
        minutes: impl Into<u64>,
        auto: bool,
        extends: Option<usize>,
    ) {
        let minutes = minutes.into();
        let mut act = self.shop.ask_act(&columns, &format!("{minutes}m"));
        if !auto {
            act.as_object_mut().expect("an object").remove("purpose");
        }
        if let Some(other) = extends {
            act["extends"] = json!(self.ids[other]);
        }
        let request = Request {
            who,
            columns,
            minutes,
            auto,
            extends,
            state: State::Handed,
            lapses_at: 0,
            expires_at: 0,
            keys: Vec::new(),
            leases: std::collections::BTreeMap::new(),
            fails: false,
        };
        let nth = self.ids.len();
        self.change(|world| world.requests.push(request.clone()));
        let person = if who == 0 { alice() } else { bob() };
        let bytes = self.hand_in(&person, act, Act::Ask(nth));
        self.ids.push(RequestId::of_submission(person.uid, &bytes));
    }

    fn own(&mut self, request: usize, word: &str, act: fn(usize) -> Act) {
        if let Some(nth) = self.nth(request) {
            let person = if self.world().requests[nth].who == 0 {
                alice()
            } else {
                bob()
            };
            let body = json!({"do": word, "id": self.ids[nth]});
            self.hand_in(&person, body, act(nth));
        }
    }

    fn act(&mut self, request: usize, word: &str, person: &Person, act: fn(usize) -> Act) {
        if let Some(nth) = self.nth(request) {
            let body = json!({"do": word, "id": self.ids[nth], "reason": "a test"});
            self.hand_in(person, body, act(nth));
        }
    }

    /// Into the person's mailbox, as the command would do it.
    fn hand_in(&mut self, person: &Person, body: Value, act: Act) -> Vec<u8> {
        let bytes = submission(body);
        let name = format!("{:013}-a.json", crate::support::unique());
        self.shop.drop_into(person, &name, &bytes);
        let who = ["jitalice", "jitbob", "jitdave"]
            .into_iter()
            .find(|name| *name == person.name)
            .expect("one of them");
        self.change(|world| world.inbox.push((who, act.clone())));
        bytes
    }

    fn write_policy(&self) {
        let world = self.world();
        let text = if world.broken {
            "version: 1\npolicies: [".to_owned()
        } else {
            policy(world.phone).replace("{schema}", &self.shop.schema())
        };
        std::fs::write(self.shop.jit.path("etc/policies/shop.yaml"), text).expect("root may");
    }

    fn offset(&self) -> String {
        format!("+{}m", self.world().now)
    }

    fn sweep_command(&self) -> Command {
        self.shop
            .jit
            .command_at(&self.offset(), &cron(), &["sweep"])
    }

    /// A sweep that nothing disturbs.
    fn sweep(&mut self) -> Result<(), String> {
        let output: Output = run(&mut self.sweep_command(), "");
        FIGURES.sweeps.one_more();
        self.ours_at = Instant::now();
        self.worlds = self.worlds.iter().flat_map(World::swept).collect();
        let fine = output.code == 0
            || (output.code == 6 && self.worlds.iter().any(World::disputes))
            || self.world().broken;
        if fine {
            Ok(())
        } else {
            Err(format!("the sweep: {output}"))
        }
    }

    fn after_a_fault(&mut self) {
        self.ours_at = Instant::now();
        self.worlds = self.worlds.iter().flat_map(World::killed).collect();
    }

    /// What a DBA does, if it can be done.
    fn then(&mut self, dba: Option<&Dba>) {
        let Some(dba) = dba else { return };
        if !self.world().can(dba) {
            return;
        }
        self.run_dba(dba);
        self.change(|world| world.dba(dba));
        if matches!(dba, Dba::SetUp) {
            let grantable = self.grantable();
            self.change(|world| world.grantable = grantable.clone());
        }
    }

    fn run_dba(&mut self, dba: &Dba) {
        let postgres = self.shop.server.kind() == Kind::Postgres;
        let table = |nth: usize| self.shop.table(TABLES[nth]);
        let account = |nth: usize| self.shop.account(ACCOUNTS[nth]);
        let rename = |table: &str, from: &str, to: &str| {
            format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}")
        };
        let what = |column: &Option<usize>| match column {
            Some(column) => format!("SELECT ({})", COLUMNS[*column]),
            None => "SELECT".to_owned(),
        };
        let as_us = |sql: String| {
            format!(
                "BEGIN; SET LOCAL ROLE jit_grantor_{}; {sql}; COMMIT",
                self.shop.suffix
            )
        };
        if !postgres && matches!(dba, Dba::Grant { .. } | Dba::Take { .. }) {
            // MySQL's catalog knows whose grant a row is by the second in which it was made.
            let wait = Duration::from_millis(1100).saturating_sub(self.ours_at.elapsed());
            std::thread::sleep(wait);
        }
        let statements = match dba {
            Dba::Grant {
                who,
                table: t,
                column,
            } => vec![format!(
                "GRANT {} ON {} TO {}",
                what(column),
                table(*t),
                account(*who)
            )],
            Dba::Take {
                who,
                table: t,
                column,
            } => {
                let sql = format!(
                    "REVOKE {} ON {} FROM {}",
                    what(column),
                    table(*t),
                    account(*who)
                );
                match self.shop.server.sql(&sql) {
                    // there was nothing to take: on MySQL and MariaDB an error
                    Err(refused) if ["1147", "1141"].contains(&refused.code.as_str()) => return,
                    _ if !postgres => return,
                    _ => vec![sql],
                }
            }
            Dba::TakeOurs { who, column } => vec![as_us(format!(
                "REVOKE SELECT ({}) ON {} FROM {}",
                COLUMNS[*column],
                table(0),
                account(*who)
            ))],
            Dba::GiveAsUs { who, column } => vec![as_us(format!(
                "GRANT SELECT ({}) ON {} TO {}",
                COLUMNS[*column],
                table(0),
                account(*who)
            ))],
            Dba::RenameColumn { table: t, from, to } => {
                vec![rename(&table(*t), COLUMNS[*from], COLUMNS[*to])]
            }
            Dba::SwapColumns { table: t } => vec![
                rename(&table(*t), COLUMNS[0], "betwixt"),
                rename(&table(*t), COLUMNS[1], COLUMNS[0]),
                rename(&table(*t), "betwixt", COLUMNS[1]),
            ],
            Dba::AddColumn { table: t, column } => vec![format!(
                "ALTER TABLE {} ADD COLUMN {} varchar(80)",
                table(*t),
                COLUMNS[*column]
            )],
            Dba::DropColumn { table: t, column } => vec![format!(
                "ALTER TABLE {} DROP COLUMN {}",
                table(*t),
                COLUMNS[*column]
            )],
            Dba::RenameTable { from, to } => {
                let to = if postgres {
                    TABLES[*to].to_owned()
                } else {
                    table(*to)
                };
                vec![format!("ALTER TABLE {} RENAME TO {to}", table(*from))]
            }
            Dba::SwapTables if postgres => vec![
                format!("ALTER TABLE {} RENAME TO betwixt", table(0)),
                format!("ALTER TABLE {} RENAME TO {}", table(1), TABLES[0]),
                format!(
                    "ALTER TABLE {} RENAME TO {}",
                    self.shop.table("betwixt"),
                    TABLES[1]
                ),
            ],
            Dba::SwapTables => vec![format!(
                "RENAME TABLE {0} TO {2}, {1} TO {0}, {2} TO {1}",
                table(0),
                table(1),
                self.shop.table("betwixt")
            )],
            Dba::CreateTable { table: t } => vec![format!(
                "CREATE TABLE {} (id int PRIMARY KEY, email varchar(80), phone varchar(40))",
                table(*t)
            )],
            Dba::DropTable { table: t } => vec![format!("DROP TABLE {}", table(*t))],
            Dba::DropAccount { who } if postgres => {
                let mut statements: Vec<String> = self
                    .given_to(&account(*who))
                    .into_iter()
                    .map(|(table, column)| {
                        as_us(format!(
                            "REVOKE SELECT ({column}) ON {} FROM {}",
                            self.shop.table(&table),
                            account(*who)
                        ))
                    })
                    .collect();
                statements.push(format!("DROP OWNED BY {}", account(*who)));
                statements.push(format!("DROP ROLE {}", account(*who)));
                statements
            }
            Dba::DropAccount { who } => vec![format!("DROP USER {}", account(*who))],
            Dba::CreateAccount { who } => vec![if postgres {
                format!("CREATE ROLE {} LOGIN PASSWORD '{PASSWORD}'", account(*who))
            } else {
                format!("CREATE USER {} IDENTIFIED BY '{PASSWORD}'", account(*who))
            }],
            Dba::SwapAccounts => {
                let aside = format!("betwixt_{}", self.shop.suffix);
                vec![
                    format!("ALTER ROLE {} RENAME TO {aside}", account(0)),
                    format!("ALTER ROLE {} RENAME TO {}", account(1), account(0)),
                    format!("ALTER ROLE {aside} RENAME TO {}", account(1)),
                ]
            }
            Dba::SetUp => {
                let server = self.shop.server;
                let url = server.url(server.superuser(), &self.shop.database);
                let arguments = ["setup", "shop", "--apply", "--as-url", &url];
                let mut command = self
                    .shop
                    .jit
                    .command_at(&self.offset(), &root(), &arguments);
                command.env("PGPASSWORD", SUPERUSER_PASSWORD);
                // Where a lease depends on what is not needed any more, it says so and fails.
                let _ = run(&mut command, "");
                Vec::new()
            }
        };
        for sql in statements {
            self.shop.dba(&sql);
        }
    }

    /// What our grantor has given an account (Postgres).
    fn given_to(&self, account: &str) -> Vec<(String, String)> {
        self.pairs(&format!(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, \
             aclexplode(a.attacl) x WHERE NOT a.attisdropped AND x.grantee = '{account}'::regrole \
             AND x.grantor = 'jit_grantor_{}'::regrole",
            self.shop.suffix
        ))
    }

    /// What our grantor may give (Postgres), by identity.
    fn grantable(&self) -> BTreeSet<(String, String)> {
        let pairs = self.pairs(&format!(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, \
             aclexplode(a.attacl) x WHERE NOT a.attisdropped AND x.is_grantable \
             AND x.grantee = 'jit_grantor_{}'::regrole",
            self.shop.suffix
        ));
        let world = self.world();
        pairs
            .into_iter()
            .filter_map(|(table, column)| {
                let table = world.tables.get(&table)?;
                Some((table.id.clone(), table.columns.get(&column)?.clone()))
            })
            .collect()
    }

    fn pairs(&self, sql: &str) -> Vec<(String, String)> {
        self.shop
            .dba(sql)
            .into_iter()
            .map(|row| {
                (
                    row[0].clone().expect("a name"),
                    row[1].clone().expect("a name"),
                )
            })
            .collect()
    }

    /// Rules out every world that what is seen contradicts.
    fn look(&mut self) -> Result<(), String> {
        let accounts: Vec<&str> = self.world().accounts.keys().map(String::as_str).collect();
        let seen = readable_by(&self.shop, &accounts);
        let ledger = invariant::ledger(&self.shop);
        let states: Vec<String> = self
            .ids
            .iter()
            .map(|id| {
                let request = ledger.request(id).expect("readable");
                request.map_or_else(String::new, |request| request.state.word().to_owned())
            })
            .collect();
        let left: Worlds = self
            .worlds
            .iter()
            .filter(|world| world.readable() == seen && world.states() == states)
            .cloned()
            .collect();
        if left.is_empty() {
            return Err(self.contradiction(&seen, &states, &ledger));
        }
        self.worlds = left;
        Ok(())
    }

    fn contradiction(
        &self,
        seen: &BTreeSet<Cell>,
        states: &[String],
        ledger: &dyn Ledger,
    ) -> String {
        let mut text = format!("no world of {} explains this:\n", self.worlds.len());
        text.push_str(&format!("  seen: {states:?} and {seen:?}\n"));
        for world in self.worlds.iter().take(4) {
            let can = world.readable();
            text.push_str(&format!("  model: {:?}", world.states()));
            for cell in can.difference(seen) {
                text.push_str(&format!(", {cell:?} must be readable"));
            }
            for cell in seen.difference(&can) {
                text.push_str(&format!(", {cell:?} must not be readable"));
            }
            text.push('\n');
        }
        for id in &self.ids {
            if let Ok(Some(request)) = ledger.request(id) {
                text.push_str(&format!(
                    "  {id}: {} {:?} {:?}\n",
                    request.state, request.ended, request.outcome
                ));
            }
        }
        text
    }
}

fn policy(phone: bool) -> String {
    POLICY.replace(
        "{columns}",
        if phone { "[email, phone]" } else { "[email]" },
    )
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is there")
}
