//! A small shop: a database with customers, people with accounts, policies, and a jit that manages it, set up as a
//! DBA would.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::Login;
use super::jit::{Install, Output, run};
use super::people::{Person, alice, bob, carol, cron, dave, mallory, root};
use super::server::{Kind, SUPERUSER_PASSWORD, Server};

/// The password of every account that a shop makes.
pub const PASSWORD: &str = "open sesame";

pub struct Shop<'s> {
    pub server: &'s Server,
    pub jit: Install,
    /// The database; on MySQL and MariaDB also what tables are qualified with.
    pub database: String,
    /// Behind every account's name, so that shops share a server.
    pub suffix: String,
}

/// What the policies of a shop say unless a test brings others. `{table}` is the full name of `customers`.
pub const POLICY: &str = r"
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email, phone]
    class: pii
    allow:
      - {who: [jitalice, jitbob, jitmallory, jitcarol, jitdave], purposes: [support], max: 2h, approval: auto}
      - who: [jitalice, jitbob, jitmallory, jitcarol, jitdave]
        max: 8h
        approval: {all: [{by: [group:dba], count: 1}]}
  - name: secrets
    target: shop
    table: '{schema}.customers'
    columns: [ssn]
    class: secret
    allow:
      - who: [jitalice, jitbob]
        max: 1h
        approval: {all: [{by: [group:dba], count: 2}]}
";

impl<'s> Shop<'s> {
    /// A shop that is set up and has been swept once.
    pub fn on(server: &'s Server) -> Self {
        Self::with_policy(server, POLICY)
    }

    /// Like [`Shop::on`], with policies of one's own; `{schema}` in them is where the tables are.
    pub fn with_policy(server: &'s Server, policy: &str) -> Self {
        let shop = Self::bare(server, policy);
        shop.jit.init();
        shop.set_up();
        for person in shop.people() {
            shop.jit(&person, &["list"]).ok();
        }
        shop.sweep().ok();
        shop
    }

    /// Database, accounts, settings and policies; no ledger, and the target is not set up.
    pub fn bare(server: &'s Server, policy: &str) -> Self {
        let database = server.database("shop");
        let suffix = database.trim_start_matches("shop_").to_owned();
        let shop = Self {
            server,
            jit: Install::new(),
            database,
            suffix,
        };
        shop.make_tables();
        for person in [
            "jitalice",
            "jitbob",
            "jitcarol",
            "jitdave",
            "jitmallory",
            "jitadmin",
        ] {
            shop.make_account(person);
        }
        let settings = shop.settings_text();
        let policy = policy.replace("{schema}", &shop.schema());
        let jit = Install::new()
            .secret("shop", PASSWORD)
            .settings(&settings)
            .policy("shop.yaml", &policy);
        Self { jit, ..shop }
    }

    /// The settings behind the lines that say where everything is.
    pub fn settings_text(&self) -> String {
        let grantor = match self.server.kind() {
            Kind::Postgres => format!("    grantor: jit_grantor_{}\n", self.suffix),
            Kind::Mysql | Kind::Mariadb => String::new(),
        };
        let host = match self.server.kind() {
            Kind::Postgres => "",
            Kind::Mysql | Kind::Mariadb => "@%",
        };
        format!(
            "targets:\n  shop:\n    url: {url}\n    password: {{file: '{{dir}}/secrets/shop'}}\n    \
             grantee: '{{user}}_{suffix}{host}'\n{grantor}\
             groups:\n  dba: [jitcarol, jitdave]\nadmins: [group:dba]\n",
            url = self.server.url(&self.login("jitadmin"), &self.database),
            suffix = self.suffix,
        )
    }

    /// Where the tables are: `public`, or the database itself.
    pub fn schema(&self) -> String {
        match self.server.kind() {
            Kind::Postgres => "public".to_owned(),
            Kind::Mysql | Kind::Mariadb => self.database.clone(),
        }
    }

    /// `schema.table`, as jit and SQL read it.
    pub fn table(&self, table: &str) -> String {
        format!("{}.{table}", self.schema())
    }

    /// An account's user name.
    pub fn login(&self, name: &str) -> String {
        format!("{name}_{}", self.suffix)
    }

    /// An account as SQL names it behind TO and FROM.
    pub fn account(&self, name: &str) -> String {
        match self.server.kind() {
            Kind::Postgres => self.login(name),
            Kind::Mysql | Kind::Mariadb => format!("'{}'@'%'", self.login(name)),
        }
    }

    fn make_tables(&self) {
        for sql in [
            "CREATE TABLE {s}.customers (id int PRIMARY KEY, name varchar(80), email varchar(80), phone varchar(40), ssn varchar(20))",
            "INSERT INTO {s}.customers VALUES (1, 'Ada', 'ada@example.org', '555-1', '078-05-1120'), (2, 'Bo', 'bo@example.org', '555-2', '219-09-9999')",
            "CREATE TABLE {s}.orders (id int PRIMARY KEY, customer_id int, note varchar(80))",
        ] {
            self.dba(&sql.replace("{s}", &self.schema()));
        }
    }

    /// An account that may do nothing yet, with [`PASSWORD`].
    pub fn make_account(&self, name: &str) {
        match self.server.kind() {
            Kind::Postgres => {
                self.dba(&format!(
                    "CREATE ROLE {} LOGIN NOINHERIT PASSWORD '{PASSWORD}'",
                    self.login(name)
                ));
                self.dba(&format!("ALTER ROLE {} INHERIT", self.login(name)));
            }
            Kind::Mysql | Kind::Mariadb => {
                self.dba(&format!(
                    "CREATE USER {} IDENTIFIED BY '{PASSWORD}'",
                    self.account(name)
                ));
            }
        }
    }

    /// Runs SQL as the superuser in the shop's database.
    #[track_caller]
    pub fn dba(&self, sql: &str) -> super::Rows {
        let database = match self.server.kind() {
            Kind::Postgres => self.database.as_str(),
            Kind::Mysql | Kind::Mariadb => "",
        };
        self.server.run(database, sql)
    }

    /// `jit setup shop --apply` by the superuser, then the login's password, which setup never knows.
    pub fn set_up(&self) {
        let url = self.server.url(self.server.superuser(), &self.database);
        self.as_superuser(&["setup", "shop", "--apply", "--as-url", &url])
            .ok();
    }

    /// A command of root's that also has the superuser's password, as a DBA has it in ~/.pgpass and ~/.my.cnf.
    pub fn as_superuser(&self, arguments: &[&str]) -> Output {
        let mut command = self.jit.command(&root(), arguments);
        command.env("PGPASSWORD", SUPERUSER_PASSWORD);
        self.jit.root_options(SUPERUSER_PASSWORD);
        run(&mut command, "")
    }

    /// A sweep by cron.
    pub fn sweep(&self) -> Output {
        self.jit.run(&cron(), &["sweep"])
    }

    /// A sweep that is killed, or held, at a place between two effects.
    pub fn sweep_at(&self, failpoint: &str) -> Command {
        let mut command = self.jit.command(&cron(), &["sweep"]);
        command.env("JIT_FAILPOINT", failpoint);
        command
    }

    /// Runs a command as somebody.
    pub fn jit(&self, person: &Person, arguments: &[&str]) -> Output {
        self.jit.run(person, arguments)
    }

    /// Hands in a request; its id. Further flags go behind.
    #[track_caller]
    pub fn ask(&self, person: &Person, columns: &str, ttl: &str, flags: &[&str]) -> String {
        let columns = format!("{}:{columns}", self.table("customers"));
        let mut arguments = vec![
            "request", "shop", &columns, "--for", ttl, "--reason", "a test",
        ];
        arguments.extend(flags);
        self.jit(person, &arguments)
            .ok()
            .out
            .lines()
            .next()
            .expect("an id")
            .to_owned()
    }

    /// An automatically approved request that has been granted.
    #[track_caller]
    pub fn lease(&self, person: &Person, columns: &str, ttl: &str) -> String {
        let id = self.ask(person, columns, ttl, &["--purpose", "support"]);
        self.sweep().ok();
        assert_eq!(
            self.state(&id),
            "active",
            "{}",
            self.jit(&cron(), &["show", &id])
        );
        id
    }

    /// What an operator sees of a request.
    #[track_caller]
    pub fn show(&self, id: &str) -> Value {
        self.jit(&cron(), &["show", id, "-o", "json"]).ok().json()
    }

    #[track_caller]
    pub fn state(&self, id: &str) -> String {
        self.show(id)["state"].as_str().expect("a state").to_owned()
    }

    /// Logs in as that person's account and reads: the proof of what they can really do.
    pub fn reads(&self, name: &str, column: &str) -> bool {
        self.selects(
            name,
            &format!("SELECT {column} FROM {}", self.table("customers")),
        )
    }

    /// Whether a SELECT works for that account; anything but a refusal by privilege fails the test.
    #[track_caller]
    pub fn selects(&self, name: &str, sql: &str) -> bool {
        match self.server.login_and_select(&self.as_account(name), sql) {
            Ok(_) => true,
            Err(refused) => {
                let code = refused.code.as_str();
                assert!(
                    ["42501", "1142", "1143", "1044", "1370"].contains(&code),
                    "{sql} as {name}: {refused}"
                );
                false
            }
        }
    }

    pub fn as_account(&self, name: &str) -> Login {
        let database = match self.server.kind() {
            Kind::Postgres => self.database.as_str(),
            Kind::Mysql | Kind::Mariadb => "",
        };
        Login::new(&self.login(name), PASSWORD, database)
    }

    /// Whether the catalog has a column privilege of this account on this column, whoever gave it.
    pub fn has_row(&self, name: &str, table: &str, column: &str) -> bool {
        let login = self.login(name);
        let sql = match self.server.kind() {
            Kind::Postgres => format!(
                "SELECT 1 FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = '{}'::regclass AND a.attname = '{column}' AND x.grantee = '{login}'::regrole",
                self.table(table)
            ),
            Kind::Mysql | Kind::Mariadb => format!(
                "SELECT 1 FROM mysql.columns_priv WHERE Db = '{}' AND Table_name = '{table}' AND LOWER(Column_name) = LOWER('{column}') AND User = '{login}'",
                self.database
            ),
        };
        !self.dba(&sql).is_empty()
    }

    /// The events of the audit file with this name.
    pub fn events(&self, name: &str) -> Vec<Value> {
        self.jit
            .events()
            .into_iter()
            .filter(|event| event["event"] == name)
            .collect()
    }

    /// The audit trail must be sound, and complete against the ledger.
    #[track_caller]
    pub fn audit_is_sound(&self) {
        self.jit(&cron(), &["audit", "verify"]).ok();
    }

    /// Sweeps until the request is in this state.
    #[track_caller]
    pub fn sweep_until(&self, id: &str, state: &str) {
        let started = Instant::now();
        loop {
            let output = self.sweep();
            if self.state(id) == state {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{id} does not become {state}: {output}\n{}",
                self.jit(&cron(), &["show", id])
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Everybody of the shop, for laws about all of them.
    pub fn people(&self) -> Vec<Person> {
        vec![alice(), bob(), carol(), dave(), mallory()]
    }
}
