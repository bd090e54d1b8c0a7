//! The MySQL engine on MySQL and MariaDB, through the trait, each law proven by logging in and reading.

mod bulk;
mod connection;
mod contest;
mod locks;
mod names;
mod round_trip;
mod sessions;
mod setup;
mod spelling;
mod stale;
mod survey;

use std::collections::BTreeMap;

use foldhash::HashSet;
use jit::access::arrival::{Ask, Survey};
use jit::access::plan::{RevokeStep, StepObject};
use jit::access::{
    ColumnName, Grantee, Privilege, PrivilegeKey, RequestId, Standing, TableColumns, TableName,
};
use jit::engines::password::PasswordSource;
use jit::engines::{Address, Engine, EngineError, GrantOrder, Needs, Report};
use tokio::runtime::Runtime;

use crate::support::server::{ACCOUNT_PASSWORD, Kind, Server};
use crate::support::{Login, unique};

/// One database with a table, an account that jit uses (made by its own setup), and somebody who asks.
struct Shop<'s> {
    server: &'s Server,
    database: String,
    jit: Login,
    alice: Login,
    runtime: Runtime,
    engine: Box<dyn Engine>,
}

/// The address of a login, with its password from a command.
fn address(server: &Server, login: &Login) -> Address {
    let mut address = Address::parse(&server.url(&login.user, "")).expect("a url");
    address.password = PasswordSource::Command(vec!["echo".into(), login.password.clone()]);
    address
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Everybody from everywhere: `name@%`.
fn grantee(login: &Login) -> Grantee {
    Grantee(format!("{}@%", login.user).into())
}

fn request() -> RequestId {
    RequestId::of_submission(0, &unique().to_be_bytes())
}

/// Has setup's statements run by the superuser.
fn set_up(server: &Server, needs: &Needs) {
    let runtime = runtime();
    runtime.block_on(async {
        let mut root = jit::engines::connect(&address(server, &server.superuser_login()))
            .await
            .expect("the superuser gets in");
        for group in root.setup(needs, false).await.expect("setup") {
            root.run(&group.statements).await.expect("setup runs");
        }
    });
}

impl<'s> Shop<'s> {
    /// With a database and a table `c` of its own.
    fn open(server: &'s Server) -> Self {
        let database = format!("shop_{}", unique());
        let full = format!("{}.c", quoted(&database));
        server.run(
            "",
            &format!(
                "CREATE DATABASE {db}; CREATE TABLE {full} (id INT PRIMARY KEY, email VARCHAR(100), \
                 SSN VARCHAR(20), note TEXT); INSERT INTO {full} VALUES (1, 'a@b', '123', 'n'); COMMIT",
                db = quoted(&database),
            ),
        );
        let jit = server.account("jit", "");
        let alice = server.account("alice", "");
        let needs = Needs {
            tables: vec![(TableName::new(database.clone(), "c"), Vec::new())],
            login: Grantee(jit.user.clone().into()),
            ..Needs::default()
        };
        set_up(server, &needs);
        let runtime = runtime();
        let engine = runtime
            .block_on(jit::engines::connect(&address(server, &jit)))
            .expect("jit gets in");
        Self {
            server,
            database,
            jit,
            alice,
            runtime,
            engine,
        }
    }

    fn is_mariadb(&self) -> bool {
        self.server.kind() == Kind::Mariadb
    }

    fn table(&self) -> TableName {
        self.table_named("c")
    }

    fn table_named(&self, table: &str) -> TableName {
        TableName::new(self.database.clone(), table)
    }

    /// As the superuser, with `{c}` for the table and `{db}` for the database.
    fn root(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.server.run("", &self.filled(sql))
    }

    fn filled(&self, sql: &str) -> String {
        sql.replace("{c}", &format!("{}.c", quoted(&self.database)))
            .replace("{db}", &quoted(&self.database))
            .replace("{alice}", &format!("'{}'@'%'", self.alice.user))
            .replace("{jit}", &format!("'{}'@'%'", self.jit.user))
    }

    fn ask(&self, columns: &[&str]) -> Ask {
        self.ask_of(&self.table(), columns)
    }

    fn ask_of(&self, table: &TableName, columns: &[&str]) -> Ask {
        Ask {
            grantee: grantee(&self.alice),
            tables: vec![TableColumns {
                table: table.clone(),
                columns: columns.iter().map(|c| ColumnName::from(*c)).collect(),
            }],
            along: Vec::new(),
            ours: HashSet::default().into(),
        }
    }

    fn survey(&mut self, ask: &Ask) -> Survey {
        let mut surveys = self
            .runtime
            .block_on(self.engine.survey(std::slice::from_ref(ask)))
            .expect("a survey");
        surveys.remove(0)
    }

    /// What a request for these columns would lease; nothing may stand against it.
    fn resolve(&mut self, columns: &[&str]) -> Vec<Privilege> {
        let ask = self.ask(columns);
        self.resolve_ask(&ask)
    }

    fn resolve_ask(&mut self, ask: &Ask) -> Vec<Privilege> {
        let survey = self.survey(ask);
        assert_eq!(survey.problems, []);
        assert_eq!(survey.readable, []);
        survey.privileges
    }

    fn grant_orders(&mut self, orders: &[GrantOrder]) -> Vec<Report> {
        self.runtime.block_on(self.engine.grant(orders))
    }

    /// Grants, and gives them back with the stamp that the workflow would record.
    fn grant(&mut self, privileges: &[Privilege]) -> Vec<Privilege> {
        let reports = self.grant_orders(&[GrantOrder {
            request: request(),
            privileges: privileges.to_vec(),
        }]);
        assert!(reports[0].error.is_none(), "{:?}", reports[0].error);
        self.stamped(privileges)
    }

    fn stamped(&mut self, privileges: &[Privilege]) -> Vec<Privilege> {
        self.standings(privileges)
            .into_iter()
            .zip(privileges)
            .map(|(standing, privilege)| match standing {
                Standing::Held { stamp, .. } => Privilege {
                    stamp,
                    ..privilege.clone()
                },
                other => panic!("{privilege:?} is {other:?}"),
            })
            .collect()
    }

    /// Resolve and grant.
    fn lease(&mut self, columns: &[&str]) -> Vec<Privilege> {
        let privileges = self.resolve(columns);
        self.grant(&privileges)
    }

    fn standings(&mut self, of: &[Privilege]) -> Vec<Standing> {
        self.runtime
            .block_on(self.engine.privileges(of, &HashSet::default()))
            .expect("standings")
    }

    fn standing(&mut self, of: &Privilege) -> Standing {
        self.standings(std::slice::from_ref(of)).remove(0)
    }

    fn contested(&mut self, of: &Privilege) -> Option<String> {
        match self.standing(of) {
            Standing::Held { contested, .. } => contested,
            other => panic!("{other:?}"),
        }
    }

    /// Revokes as a plan would, by the names of today.
    fn try_revoke(&mut self, privileges: &[Privilege]) -> Vec<Option<EngineError>> {
        let steps = self.steps(privileges);
        self.runtime
            .block_on(self.engine.revoke(&steps))
            .into_iter()
            .map(|report| report.error)
            .collect()
    }

    fn steps(&mut self, privileges: &[Privilege]) -> Vec<RevokeStep> {
        let mut steps: BTreeMap<(TableName, Grantee), Vec<Privilege>> = BTreeMap::new();
        for (standing, privilege) in self.standings(privileges).into_iter().zip(privileges) {
            if let Standing::Held { named, .. } = standing {
                let table = named.table().expect("a column").clone();
                steps
                    .entry((table, named.grantee.clone()))
                    .or_default()
                    .push(Privilege {
                        named,
                        ..privilege.clone()
                    });
            }
        }
        steps
            .into_iter()
            .map(|((table, grantee), privileges)| RevokeStep {
                on: StepObject::Columns {
                    table,
                    columns: privileges
                        .iter()
                        .filter_map(|p| p.named.column().cloned())
                        .collect(),
                },
                grantees: vec![grantee],
                privileges,
                urgency: jit::access::plan::Urgency::Usual,
            })
            .collect()
    }

    /// Revokes and sees that nothing is left: neither now, nor after FLUSH PRIVILEGES.
    fn revoke(&mut self, privileges: &[Privilege]) {
        let errors = self.try_revoke(privileges);
        assert!(errors.iter().all(Option::is_none), "{errors:?}");
        for privilege in privileges {
            match self.standing(privilege) {
                Standing::Held { .. } => panic!("{privilege:?} is still held"),
                Standing::Absent { .. } | Standing::Gone { .. } => {}
            }
        }
    }

    /// What a fresh login of alice gets.
    fn read(&self, what: &str) -> Result<String, String> {
        self.read_as(&self.alice, what)
    }

    fn read_as(&self, login: &Login, what: &str) -> Result<String, String> {
        self.server
            .login_and_select(login, &self.filled(&format!("SELECT {what} FROM {{c}}")))
            .map(|rows| rows[0][0].clone().unwrap_or_default())
            .map_err(|refused| refused.code)
    }

    fn can_read(&self, column: &str) -> bool {
        match self.read(column) {
            Ok(_) => true,
            Err(code) => {
                assert!(
                    ["1142", "1143", "1146", "1054"].contains(&code.as_str()),
                    "{code}"
                );
                false
            }
        }
    }

    /// Rows in the grant tables about alice and this database.
    fn rows_left(&self) -> usize {
        ["columns_priv", "tables_priv"]
            .iter()
            .map(|table| {
                self.root(&format!(
                    "SELECT 1 FROM mysql.{table} WHERE User = '{}' AND Db = '{}'",
                    self.alice.user, self.database
                ))
                .len()
            })
            .sum()
    }

    fn keys(privileges: &[Privilege]) -> HashSet<PrivilegeKey> {
        privileges.iter().map(Privilege::key).collect()
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Another administrator, who grants by hand.
fn dba(server: &Server) -> Login {
    let login = server.account("dba", "");
    server.run(
        "",
        &format!("GRANT ALL ON *.* TO '{}'@'%' WITH GRANT OPTION", login.user),
    );
    login
}

/// MySQL's timestamps have whole seconds.
fn next_second() {
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

fn account_at(server: &Server, user: &str, host: &str) -> Login {
    server.run(
        "",
        &format!("CREATE USER '{user}'@'{host}' IDENTIFIED BY '{ACCOUNT_PASSWORD}'"),
    );
    Login::new(user, ACCOUNT_PASSWORD, "")
}
