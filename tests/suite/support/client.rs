//! Logging in as somebody and running SQL: how a law proves who can really read. Nothing of `jit` is used here.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

use super::server::{Kind, Server};

/// Rows as text, as the server writes it; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// No statement of a test waits longer for its answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server (or the way to it) said instead of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The SQLSTATE on Postgres (`42501`), the error's number on MySQL and MariaDB (`1143`); `io` where no server
    /// answered, `timeout` where it took longer than a minute.
    pub code: String,
    pub text: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl Refused {
    fn new(code: impl Into<String>, text: impl ToString) -> Self {
        Self {
            code: code.into(),
            text: text.to_string(),
        }
    }
}

impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::new(said.code().code(), said.message()),
            None => Self::new("io", error),
        }
    }
}

impl From<mysql_async::Error> for Refused {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(said) => Self::new(said.code.to_string(), said.message),
            other => Self::new("io", other),
        }
    }
}

/// An account and where it logs in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
    /// Empty for none on MySQL and MariaDB; Postgres always needs one.
    pub database: String,
}

impl Login {
    pub fn new(user: &str, password: &str, database: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            database: database.to_owned(),
        }
    }

    /// The same account in another database.
    pub fn at(&self, database: &str) -> Self {
        Self::new(&self.user, &self.password, database)
    }
}

enum Connection {
    Postgres(tokio_postgres::Client),
    Mysql(mysql_async::Conn),
}

/// A connection that stays open: for laws about transactions, locks and prepared statements. May be moved to another
/// thread. Dropping it says goodbye to the server.
pub struct Session {
    runtime: Runtime,
    connection: Option<Connection>,
}

impl Session {
    /// # Errors
    /// What the server, or the network, says to this login.
    pub fn open(server: &Server, login: &Login) -> Result<Self, Refused> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let connecting = async {
            match server.kind() {
                Kind::Postgres => postgres(server, login).await,
                Kind::Mysql | Kind::Mariadb => mysql(server, login).await,
            }
        };
        let connection = runtime
            .block_on(async { timeout(PATIENCE, connecting).await })
            .unwrap_or_else(|_| Err(Refused::new("timeout", "no answer to the login")))?;
        Ok(Self {
            runtime,
            connection: Some(connection),
        })
    }

    /// Runs one or several statements and gives the rows of the last one that has any.
    ///
    /// # Errors
    /// The first that the server says; `io` on a lost connection.
    pub fn sql(&mut self, text: &str) -> Result<Rows, Refused> {
        self.sql_within(PATIENCE, text)
    }

    /// The same, with `timeout` for an error when it takes longer. The session is of no use after that: its
    /// statement may still be running.
    ///
    /// # Errors
    /// As [`Session::sql`].
    pub fn sql_within(&mut self, patience: Duration, text: &str) -> Result<Rows, Refused> {
        let connection = self.connection.as_mut().expect("taken only by drop");
        let asking = async {
            match connection {
                Connection::Postgres(client) => ask_postgres(client, text).await,
                Connection::Mysql(conn) => ask_mysql(conn, text).await,
            }
        };
        self.runtime
            .block_on(async { timeout(patience, asking).await })
            .unwrap_or_else(|_| Err(Refused::new("timeout", format!("no answer to {text}"))))
    }

    /// The server's number for this session: backend pid or connection id.
    pub fn id(&mut self) -> u64 {
        let ask = match self.connection {
            Some(Connection::Postgres(_)) => "SELECT pg_backend_pid()",
            _ => "SELECT CONNECTION_ID()",
        };
        let rows = self.sql(ask).expect("any session may ask that");
        rows[0][0]
            .as_deref()
            .and_then(|id| id.parse().ok())
            .expect("a number")
    }

    /// Breaks the connection without a goodbye, as a client that was killed does.
    pub fn break_off(mut self) {
        match self.connection.take() {
            Some(Connection::Mysql(conn)) => std::mem::forget(conn),
            other => drop(other),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(Connection::Mysql(conn)) = self.connection.take() {
            let _ = self
                .runtime
                .block_on(async { timeout(Duration::from_secs(2), conn.disconnect()).await });
        }
    }
}

async fn postgres(server: &Server, login: &Login) -> Result<Connection, Refused> {
    let (client, connection) = tokio_postgres::Config::new()
        .host(server.host())
        .port(server.port())
        .user(&login.user)
        .password(&login.password)
        .dbname(&login.database)
        .connect(tokio_postgres::NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(Connection::Postgres(client))
}

async fn mysql(server: &Server, login: &Login) -> Result<Connection, Refused> {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname(server.host())
        .tcp_port(server.port())
        .user(Some(&login.user))
        .pass(Some(&login.password))
        .db_name(Some(&login.database).filter(|name| !name.is_empty()))
        .prefer_socket(false);
    Ok(Connection::Mysql(mysql_async::Conn::new(options).await?))
}

async fn ask_postgres(client: &tokio_postgres::Client, text: &str) -> Result<Rows, Refused> {
    let mut last = Rows::new();
    let mut rows = Rows::new();
    for message in client.simple_query(text).await? {
        match message {
            SimpleQueryMessage::RowDescription(_) => rows = Rows::new(),
            SimpleQueryMessage::Row(row) => rows.push(
                (0..row.len())
                    .map(|column| row.get(column).map(str::to_owned))
                    .collect(),
            ),
            SimpleQueryMessage::CommandComplete(_) if !rows.is_empty() => {
                last = std::mem::take(&mut rows);
            }
            _ => {}
        }
    }
    Ok(last)
}

async fn ask_mysql(conn: &mut mysql_async::Conn, text: &str) -> Result<Rows, Refused> {
    let mut last = Rows::new();
    let mut result = conn.query_iter(text).await?;
    loop {
        let rows: Vec<mysql_async::Row> = result.collect().await?;
        if !rows.is_empty() {
            last = rows.into_iter().map(as_text).collect();
        }
        if result.is_empty() {
            // Says what a later statement was refused with.
            result.drop_result().await?;
            return Ok(last);
        }
    }
}

fn as_text(row: mysql_async::Row) -> Vec<Option<String>> {
    row.unwrap()
        .into_iter()
        .map(|value| match value {
            mysql_async::Value::NULL => None,
            mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            other => Some(other.as_sql(true)),
        })
        .collect()
}
