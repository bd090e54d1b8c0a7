//! Many at once: people who ask and approve by their own commands, sweeps side by side (some of them killed), and DBAs
//! who rename, drop, make again, grant and revoke beside them.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::crowd::Crowd;
use crate::support::invariant::{Before, Cell};
use crate::support::jit::{Output, run};
use crate::support::on_every_server;
use crate::support::people::{Person, cron, root};
use crate::support::server::{Kind, SUPERUSER_PASSWORD, Server};
use crate::support::shop::Shop;
use crate::support::torture::{self, Chance};

on_every_server!(a_crowd_and_its_dbas_leave_nothing_behind);

/// So fast the crowd's clock goes: a minute's lease is over in three seconds.
const SPEED: u64 = 20;

struct Size {
    requesters: usize,
    approvers: usize,
    sweeps: usize,
    time: Duration,
}

const SMALL: Size = Size {
    requesters: 6,
    approvers: 2,
    sweeps: 4,
    time: Duration::from_secs(8),
};
const LARGE: Size = Size {
    requesters: 50,
    approvers: 10,
    sweeps: 8,
    time: Duration::from_secs(60),
};

const POLICY: &str = r"
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email, phone, mobile, ssn]
    allow:
      - {who: [group:crowd], purposes: [support], max: 4h, max_total: 1000h, approval: auto}
      - {who: [group:crowd], max: 4h, max_total: 1000h, approval: {all: [{by: [group:dba], count: 1}]}}
  - name: clients
    target: shop
    table: '{schema}.clients'
    columns: [email, phone]
    allow:
      - {who: [group:crowd], purposes: [support], max: 4h, max_total: 1000h, approval: auto}
      - {who: [group:crowd], max: 4h, max_total: 1000h, approval: {all: [{by: [group:dba], count: 1}]}}
";

torture::figures!(rounds, asked, decided, given_back, sweeps, killed, dba);

fn a_crowd_and_its_dbas_leave_nothing_behind(server: &Server) {
    let size = if torture::is_long() { LARGE } else { SMALL };
    for chance in torture::rounds(1) {
        round(server, &size, &chance);
        FIGURES.rounds.one_more();
    }
    eprintln!(
        "{server:?}: from seed {}; so far {} rounds, {} requests, {} decisions, {} given back, {} sweeps, {} of them \
         killed, {} statements of DBAs",
        torture::seed(),
        FIGURES.rounds,
        FIGURES.asked,
        FIGURES.decided,
        FIGURES.given_back,
        FIGURES.sweeps,
        FIGURES.killed,
        FIGURES.dba,
    );
}

struct Scene<'s> {
    shop: Shop<'s>,
    crowd: Crowd,
    begun: Instant,
    time: Duration,
    /// What DBAs have given to the crowd and to bystanders, and not taken back.
    given: Mutex<BTreeSet<Cell>>,
}

fn round(server: &Server, size: &Size, chance: &Chance) {
    let mut scene = Scene::new(server, size);
    let accounts: Vec<String> = scene.crowd.people.iter().map(|p| p.name.clone()).collect();
    let before = Before::of_accounts(&scene.shop, accounts);
    scene.begun = Instant::now();
    let scene = scene;
    let chance = |nth: usize| Chance::new(torture::seed() ^ chance.round, 1000 + nth as u64);
    std::thread::scope(|threads| {
        let all = &scene;
        for (nth, person) in all.crowd.named("requester").into_iter().enumerate() {
            let mut chance = chance(nth);
            threads.spawn(move || all.until_the_end(|| all.request(&person, &mut chance)));
        }
        for (nth, person) in all.crowd.named("approver").into_iter().enumerate() {
            let mut chance = chance(100 + nth);
            threads.spawn(move || all.until_the_end(|| all.decide(&person, &mut chance)));
        }
        for nth in 0..size.sweeps {
            let mut chance = chance(200 + nth);
            threads.spawn(move || all.until_the_end(|| all.sweep(&mut chance)));
        }
        let mut ddl = chance(300);
        threads.spawn(move || all.until_the_end(|| all.change(&mut ddl)));
        let mut dcl = chance(301);
        threads.spawn(move || all.until_the_end(|| all.give_or_take(&mut dcl)));
    });
    let given = scene.given.lock().expect("no thread died").clone();
    before
        .and_meanwhile(given)
        .nothing_is_left_behind_at(&scene.shop, scene.ahead());
}

impl<'s> Scene<'s> {
    fn new(server: &'s Server, size: &Size) -> Self {
        let shop = Shop::bare(server, POLICY);
        let crowd = Crowd::new(
            &shop.jit,
            &[
                ("requester", size.requesters),
                ("approver", size.approvers),
                ("bystander", 2),
            ],
        );
        shop.dba(&clients(&shop));
        for person in &crowd.people {
            shop.make_account(&person.name);
        }
        for (what, name) in [
            ("SELECT (email, name)", "approver1"),
            ("SELECT", "approver2"),
            ("UPDATE (email)", "requester1"),
        ] {
            let (customers, account) = (shop.table("customers"), shop.account(name));
            shop.dba(&format!("GRANT {what} ON {customers} TO {account}"));
        }
        let names = |group: &str| {
            let names: Vec<String> = crowd.named(group).into_iter().map(|p| p.name).collect();
            names.join(", ")
        };
        shop.edit(
            "etc/config.yaml",
            "dba: [jitcarol, jitdave]",
            &format!(
                "dba: [{}]\n  crowd: [{}]",
                names("approver"),
                names("requester")
            ),
        );
        let scene = Self {
            shop,
            crowd,
            begun: Instant::now(),
            time: size.time,
            given: Mutex::default(),
        };
        scene.shop.jit.init();
        scene.set_up().ok();
        for person in &scene.crowd.people {
            scene.as_one(person, &["list"]).ok();
        }
        scene.shop.sweep().ok();
        scene
    }

    fn until_the_end(&self, mut act: impl FnMut()) {
        while self.begun.elapsed() < self.time {
            act();
        }
    }

    /// Seconds by which the crowd's clock is ahead of the machine's.
    fn ahead(&self) -> u64 {
        self.begun.elapsed().as_secs() * (SPEED - 1)
    }

    fn set_up(&self) -> Output {
        let server = self.shop.server;
        let url = server.url(server.superuser(), &self.shop.database);
        let arguments = ["setup", "shop", "--apply", "--as-url", &url];
        let mut command = self.shop.jit.command(&root(), &arguments);
        command.env("PGPASSWORD", SUPERUSER_PASSWORD);
        self.shop.jit.root_options(SUPERUSER_PASSWORD);
        run(&mut self.crowd.sees(&command), "")
    }

    fn as_one(&self, person: &Person, arguments: &[&str]) -> Output {
        in_order(run(
            &mut self.crowd.sees(&self.shop.jit.command(person, arguments)),
            "",
        ))
    }

    /// Asks, or gives back what was given.
    fn request(&self, person: &Person, chance: &mut Chance) {
        if chance.one_in(3) {
            let mine = self.as_one(person, &["list", "--mine", "-q"]);
            let ids: Vec<&str> = mine.out.lines().collect();
            if !ids.is_empty() {
                let word = ["return", "cancel"][chance.below(2)];
                if self
                    .as_one(person, &[word, ids[chance.below(ids.len())]])
                    .code
                    == 0
                {
                    FIGURES.given_back.one_more();
                }
            }
            return;
        }
        let (table, columns) = [
            ("customers", "email"),
            ("customers", "phone"),
            ("customers", "mobile"),
            ("customers", "email,ssn"),
            ("clients", "email"),
            ("clients", "email,phone"),
        ][chance.below(6)];
        let columns = format!("{}:{columns}", self.shop.table(table));
        let ttl = ["1m", "3m", "2h"][chance.below(3)];
        let mut arguments = vec!["request", "shop", &columns, "--for", ttl, "--reason", "x"];
        if !chance.one_in(3) {
            arguments.extend(["--purpose", "support"]);
        }
        if self.as_one(person, &arguments).code == 0 {
            FIGURES.asked.one_more();
        }
    }

    fn decide(&self, person: &Person, chance: &mut Chance) {
        let waiting = self.as_one(person, &["list", "--awaiting-me", "-q"]);
        for id in waiting.out.lines() {
            let arguments: &[&str] = match chance.below(5) {
                0 => &["deny", id, "--reason", "no", "--yes"],
                1 => &["approve", id, "--for", "1m", "--yes"],
                2 => &["revoke", id, "--reason", "no", "--yes"],
                _ => &["approve", id, "--yes"],
            };
            if self.as_one(person, arguments).code == 0 {
                FIGURES.decided.one_more();
            }
        }
        if waiting.out.is_empty() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// One in four is killed.
    fn sweep(&self, chance: &mut Chance) {
        let ahead = format!("+{}s", self.ahead());
        let inner = self.shop.jit.command_at(&ahead, &cron(), &["sweep"]);
        let mut command = self.crowd.sees(&inner);
        FIGURES.sweeps.one_more();
        if !chance.one_in(4) {
            in_order(run(&mut command, ""));
            return;
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare is there");
        std::thread::sleep(chance.millis(30, 2000));
        let _ = child.kill();
        if child.wait().expect("our own child").code().is_none() {
            FIGURES.killed.one_more();
        }
    }

    /// What a DBA does to the tables.
    fn change(&self, chance: &mut Chance) {
        let customers = self.shop.table("customers");
        let clients = self.shop.table("clients");
        let patrons = match self.shop.server.kind() {
            Kind::Postgres => "patrons".to_owned(),
            Kind::Mysql | Kind::Mariadb => self.shop.table("patrons"),
        };
        let back = match self.shop.server.kind() {
            Kind::Postgres => "clients".to_owned(),
            Kind::Mysql | Kind::Mariadb => clients.clone(),
        };
        let statements = match chance.below(6) {
            0 => vec![
                format!("ALTER TABLE {customers} RENAME COLUMN phone TO mobile"),
                format!("ALTER TABLE {customers} RENAME COLUMN mobile TO phone"),
            ],
            1 => vec![
                format!("ALTER TABLE {customers} DROP COLUMN ssn"),
                format!("ALTER TABLE {customers} ADD COLUMN ssn varchar(30)"),
            ],
            2 => vec![
                format!("ALTER TABLE {clients} RENAME TO {patrons}"),
                format!(
                    "ALTER TABLE {} RENAME TO {back}",
                    self.shop.table("patrons")
                ),
            ],
            3 => vec![format!("DROP TABLE {clients}"), self::clients(&self.shop)],
            4 => vec![match self.shop.server.kind() {
                Kind::Postgres => {
                    format!("ALTER TABLE {customers} ALTER COLUMN email TYPE varchar(90)")
                }
                Kind::Mysql | Kind::Mariadb => {
                    format!("ALTER TABLE {customers} MODIFY email varchar(90)")
                }
            }],
            _ => {
                // Where a lease depends on what is not needed any more, it says so and fails.
                in_order(self.set_up());
                Vec::new()
            }
        };
        for sql in statements {
            self.run(&sql);
            std::thread::sleep(chance.millis(1, 300));
        }
    }

    /// A DBA's statement. Postgres refuses one that meets another at the same row of the catalog (XX000): a DBA types it
    /// again.
    fn run(&self, sql: &str) {
        let login = self.shop.server.superuser_login();
        let login = match self.shop.server.kind() {
            Kind::Postgres => login.at(&self.shop.database),
            Kind::Mysql | Kind::Mariadb => login,
        };
        for _ in 0..100 {
            match self.shop.server.login_and_select(&login, sql) {
                Err(refused) if refused.code == "XX000" => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => {
                    other.unwrap_or_else(|refused| panic!("{sql}\n{refused}"));
                    FIGURES.dba.one_more();
                    return;
                }
            }
        }
        panic!("{sql}: XX000 a hundred times");
    }

    /// What a DBA gives to others beside, and takes back: to whom and on what it cannot be mistaken for a lease, but it
    /// may be in the same row of the catalog.
    fn give_or_take(&self, chance: &mut Chance) {
        let name = match chance.one_in(3) {
            true => format!("bystander{}", 1 + chance.below(2)),
            false => format!(
                "requester{}",
                1 + chance.below(self.crowd.named("requester").len())
            ),
        };
        let (table, column) = match (name.starts_with("bystander"), self.shop.server.kind()) {
            (true, _) => ("customers", ["email", "name"][chance.below(2)]),
            // the catalog says who gave what
            (false, Kind::Postgres) => [
                ("customers", "email"),
                ("customers", "name"),
                ("orders", "note"),
            ][chance.below(3)],
            (false, _) => [("customers", "name"), ("orders", "note")][chance.below(2)],
        };
        let cell = (name.clone(), table.to_owned(), column.to_owned());
        let on = format!("SELECT ({column}) ON {}", self.shop.table(table));
        let account = self.shop.account(&name);
        let mut given = self.given.lock().expect("no thread died");
        let sql = match given.remove(&cell) {
            true => format!("REVOKE {on} FROM {account}"),
            false => {
                given.insert(cell);
                format!("GRANT {on} TO {account}")
            }
        };
        drop(given);
        self.run(&sql);
        std::thread::sleep(chance.millis(1, 200));
    }
}

fn clients(shop: &Shop<'_>) -> String {
    format!(
        "CREATE TABLE {} (id int PRIMARY KEY, email varchar(80), phone varchar(40))",
        shop.table("clients")
    )
}

/// A command may be refused, or come too late; it never dies of it.
#[track_caller]
fn in_order(output: Output) -> Output {
    assert!(
        output.code < 10 && !output.err.contains("panicked"),
        "{output}"
    );
    output
}
