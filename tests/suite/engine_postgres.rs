//! The Postgres engine on a real server, through the trait, each law proven by logging in and reading.

mod bulk;
mod check;
mod connection;
mod drift;
mod hindrance;
mod locks;
mod names;
mod round_trip;
mod sessions;
mod setup;
mod survey;

use foldhash::HashSet;
use std::collections::BTreeMap;

use jit::access::arrival::{Ask, Survey};
use jit::access::plan::{RevokeStep, StepObject, Urgency};
use jit::access::privilege::Thing;
use jit::access::{
    ColumnName, Grantee, LedgerId, Privilege, RequestId, Standing, TableColumns, TableName,
};
use jit::engines::password::PasswordSource;
use jit::engines::{Address, Engine, EngineError, GrantOrder, Needs, Report};
use tokio::runtime::Runtime;

use crate::support::server::{ACCOUNT_PASSWORD, Server};
use crate::support::{Login, unique};

/// A database with a schema `app` and a table `app.customers` of an owner of its own, the account that jit uses and
/// a grantor role of this database alone (made by jit's own setup), and somebody who asks.
struct Shop<'s> {
    server: &'s Server,
    database: String,
    owner: Login,
    jit: Login,
    alice: Login,
    grantor: String,
    ledger: LedgerId,
    runtime: Runtime,
    engine: Box<dyn Engine>,
}

/// The address of a login, with its password from a command.
fn address(server: &Server, login: &Login, grantor: &str) -> Address {
    let mut address = Address::parse(&server.url("nobody", "nowhere")).expect("a url");
    address.user = login.user.clone();
    address.database = Some(login.database.clone());
    address.password = PasswordSource::Command(vec!["echo".into(), login.password.clone()]);
    address.grantor = grantor.to_owned();
    address
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn connect(runtime: &Runtime, address: &Address) -> Box<dyn Engine> {
    runtime
        .block_on(jit::engines::connect(address))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn request() -> RequestId {
    RequestId::of_submission(0, &unique().to_be_bytes())
}

fn column(text: &str) -> ColumnName {
    ColumnName(text.into())
}

fn columns(table: &TableName, names: &[&str]) -> TableColumns {
    TableColumns {
        table: table.clone(),
        columns: names.iter().map(|name| column(name)).collect(),
    }
}

fn customers() -> TableName {
    TableName::new("app", "customers")
}

/// Needs of the usual table.
fn usual_needs() -> Vec<(TableName, Vec<ColumnName>)> {
    vec![(customers(), vec![column("email"), column("phone")])]
}

const USUAL_TABLE: &str = "CREATE TABLE app.customers (id int PRIMARY KEY, email text, phone text, secret text);
    INSERT INTO app.customers VALUES (1, 'a@example.org', '+41', 'x'), (2, 'b@example.org', '+49', 'y');";

impl<'s> Shop<'s> {
    fn open(server: &'s Server) -> Self {
        Self::with(server, USUAL_TABLE, usual_needs())
    }

    /// `sql` is run by the owner; PUBLIC may use the schema `app`.
    fn with(server: &'s Server, sql: &str, tables: Vec<(TableName, Vec<ColumnName>)>) -> Self {
        let database = server.database("shop");
        let owner = server.account("owner", &database);
        let alice = server.account("alice", &database);
        let n = unique();
        let jit = Login::new(&format!("jit_admin_{n}"), ACCOUNT_PASSWORD, &database);
        let grantor = format!("jit_grantor_{n}");
        server.run(
            &database,
            &format!(
                "CREATE SCHEMA app AUTHORIZATION {0}; GRANT USAGE ON SCHEMA app TO PUBLIC;
                 GRANT CREATE ON DATABASE {database} TO {0}; SET ROLE {0}; {sql}",
                owner.user
            ),
        );
        let runtime = runtime();
        let ledger = LedgerId(format!("{n:032x}"));
        let needs = Needs {
            tables,
            usage: Vec::new(),
            end_sessions: false,
            login: Grantee(jit.user.clone().into()),
            ledger: Some(ledger.clone()),
        };
        set_up(server, &database, &grantor, &needs);
        server.run(
            &database,
            &format!("ALTER ROLE {} PASSWORD '{ACCOUNT_PASSWORD}'", jit.user),
        );
        let engine = connect(&runtime, &address(server, &jit, &grantor));
        Self {
            server,
            database,
            owner,
            jit,
            alice,
            grantor,
            ledger,
            runtime,
            engine,
        }
    }

    fn needs(&self, tables: Vec<(TableName, Vec<ColumnName>)>) -> Needs {
        Needs {
            tables,
            usage: Vec::new(),
            end_sessions: false,
            login: Grantee(self.jit.user.clone().into()),
            ledger: Some(self.ledger.clone()),
        }
    }

    /// Runs SQL as the superuser in this database.
    fn run(&self, sql: &str) -> crate::support::Rows {
        self.server.run(&self.database, sql)
    }

    /// Runs SQL as the owner of the tables.
    fn as_owner(&self, sql: &str) {
        self.server
            .login_and_select(&self.owner, sql)
            .unwrap_or_else(|refused| panic!("{sql}\n{refused}"));
    }

    /// What the server says when somebody reads: the rows, or the SQLSTATE.
    fn reads(&self, login: &Login, sql: &str) -> Result<usize, String> {
        self.server
            .login_and_select(login, sql)
            .map(|rows| rows.len())
            .map_err(|refused| refused.code)
    }

    fn ask(&self, login: &Login, of: TableColumns) -> Ask {
        Ask {
            grantee: Grantee(login.user.clone().into()),
            tables: vec![of],
            along: Vec::new(),
            ours: HashSet::default().into(),
        }
    }

    fn survey(&mut self, asks: &[Ask]) -> Vec<Survey> {
        self.runtime
            .block_on(self.engine.survey(asks))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The privileges of a survey without problems.
    fn resolve(&mut self, login: &Login, of: TableColumns) -> Vec<Privilege> {
        let ask = self.ask(login, of);
        let survey = self.survey(&[ask]).remove(0);
        assert_eq!(survey.problems, []);
        survey.privileges
    }

    fn grant(&mut self, orders: &[GrantOrder]) -> Vec<Report> {
        self.runtime.block_on(self.engine.grant(orders))
    }

    /// Grants to alice, and gives back what was granted.
    fn given(&mut self, names: &[&str]) -> Vec<Privilege> {
        let alice = self.alice.clone();
        self.given_to(&alice, columns(&customers(), names))
    }

    fn given_to(&mut self, login: &Login, of: TableColumns) -> Vec<Privilege> {
        let privileges = self.resolve(login, of);
        let reports = self.grant(&[order(&privileges)]);
        assert_eq!(errors(&reports), Vec::<String>::new());
        privileges
    }

    fn standings(&mut self, of: &[Privilege]) -> Vec<Standing> {
        self.runtime
            .block_on(self.engine.privileges(of, &HashSet::default()))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn revoke_steps(&mut self, steps: &[RevokeStep]) -> Vec<Report> {
        self.runtime.block_on(self.engine.revoke(steps))
    }

    /// Revokes with the names as they were, each table and grantee a step.
    fn revoke(&mut self, of: &[Privilege]) -> Vec<Report> {
        self.revoke_steps(&steps(of))
    }

    /// Revokes, and says so if it did not go.
    fn taken(&mut self, of: &[Privilege]) {
        let reports = self.revoke(of);
        assert_eq!(errors(&reports), Vec::<String>::new());
    }

    fn still_reads(&mut self, of: &[Privilege]) -> Vec<String> {
        self.runtime
            .block_on(self.engine.aftermath(of))
            .and_then(|after| after.still_reads)
            .unwrap_or_else(|error| panic!("{error}"))
            .into_iter()
            .map(|still| still.how)
            .collect()
    }

    fn strays(&mut self, owned: &[Privilege]) -> Vec<Privilege> {
        let owned = owned.iter().map(Privilege::key).collect();
        self.runtime
            .block_on(self.engine.strays(&owned, &[]))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The access lists of a column as the catalog writes them.
    fn attacl(&self, table: &str, column: &str) -> String {
        self.run(&format!(
            "SELECT coalesce(attacl::text, '') FROM pg_attribute
             WHERE attrelid = '{table}'::regclass AND attname = '{column}'"
        ))[0][0]
            .clone()
            .unwrap_or_default()
    }
}

/// Has setup's statements run by the superuser.
fn set_up(server: &Server, database: &str, grantor: &str, needs: &Needs) {
    let runtime = runtime();
    let login = server.superuser_login().at(database);
    let mut root = connect(&runtime, &address(server, &login, grantor));
    let groups = runtime
        .block_on(root.setup(needs, false))
        .unwrap_or_else(|error| panic!("{error}"));
    for group in groups {
        runtime
            .block_on(root.run(&group.statements))
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

fn order(privileges: &[Privilege]) -> GrantOrder {
    GrantOrder {
        request: request(),
        privileges: privileges.to_vec(),
    }
}

fn errors(reports: &[Report]) -> Vec<String> {
    reports
        .iter()
        .filter_map(|report| report.error.as_ref())
        .map(ToString::to_string)
        .collect()
}

fn error(report: &Report) -> &EngineError {
    report.error.as_ref().expect("an error")
}

/// A step for each table and grantee, as the plan would make it.
fn steps(of: &[Privilege]) -> Vec<RevokeStep> {
    let mut steps: BTreeMap<(StepObject, Grantee), Vec<Privilege>> = BTreeMap::new();
    for privilege in of {
        let on = match &privilege.named.thing {
            Thing::Column { table, .. } => StepObject::Columns {
                table: table.clone(),
                columns: Vec::new(),
            },
            Thing::Schema(schema) => StepObject::Schema(schema.clone()),
        };
        steps
            .entry((on, privilege.named.grantee.clone()))
            .or_default()
            .push(privilege.clone());
    }
    steps
        .into_iter()
        .map(|((on, grantee), privileges)| RevokeStep {
            on: match on {
                StepObject::Columns { table, .. } => StepObject::Columns {
                    table,
                    columns: privileges
                        .iter()
                        .filter_map(|privilege| privilege.named.column().cloned())
                        .collect(),
                },
                schema => schema,
            },
            grantees: vec![grantee],
            privileges,
            urgency: Urgency::Usual,
        })
        .collect()
}

fn is_held(standing: &Standing) -> bool {
    matches!(standing, Standing::Held { .. })
}
