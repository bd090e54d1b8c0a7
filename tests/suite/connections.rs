//! Getting in: the same words in the URL mean the same on every engine, proven against servers with TLS on. Whoever
//! is refused learns what was seen and which setting to change, and no password ever reaches whoever has not proven
//! who it is.

mod authentication;
mod hosts;
mod passwords;
mod secrets;
mod tls;

use jit::access::Grantee;
use jit::engines::password::PasswordSource;
use jit::engines::{Address, Engine, EngineError, Finding, Needs};

use crate::support::server::{Kind, Server};
use crate::support::{Login, wait};

/// The URL of a server by another of its names, with a query.
fn url(server: &Server, login: &Login, host: &str, query: &str) -> String {
    format!(
        "{}://{}@{host}:{}/{}?{query}",
        server.kind().scheme(),
        login.user,
        server.port(),
        login.database
    )
}

fn address(server: &Server, login: &Login, host: &str, query: &str) -> Address {
    let url = url(server, login, host, query);
    let mut address = Address::parse(&url).unwrap_or_else(|why| panic!("{url}: {why}"));
    if !login.password.is_empty() {
        address.password = PasswordSource::Command(vec!["echo".into(), login.password.clone()]);
    }
    address
}

fn connect(address: &Address) -> Result<Box<dyn Engine>, EngineError> {
    wait(jit::engines::connect(address))
}

/// Logs in to 127.0.0.1.
fn enter(server: &Server, login: &Login, query: &str) -> Result<(), EngineError> {
    enter_at(server, login, "127.0.0.1", query)
}

fn enter_at(server: &Server, login: &Login, host: &str, query: &str) -> Result<(), EngineError> {
    connect(&address(server, login, host, query)).map(drop)
}

/// It must not be trusted, and each of these words is in what is said about it.
#[track_caller]
fn untrusted(result: Result<(), EngineError>, words: &[&str]) {
    match result {
        Err(EngineError::Untrusted { why, .. }) => {
            for word in words {
                assert!(why.contains(word), "{word:?} is not in: {why}");
            }
        }
        other => panic!("{words:?}: {other:?}"),
    }
}

/// The server lets nobody in by that, and each of these words is in what is said about it.
#[track_caller]
fn denied(result: Result<(), EngineError>, words: &[&str]) {
    match result {
        Err(EngineError::Denied { why, .. }) => {
            for word in words {
                assert!(why.contains(word), "{word:?} is not in: {why}");
            }
        }
        other => panic!("{words:?}: {other:?}"),
    }
}

/// What `doctor` says of the connection.
fn findings(address: &Address) -> Vec<Finding> {
    let needs = Needs {
        login: Grantee(address.user.clone().into()),
        ..Needs::default()
    };
    let found = wait(async {
        let mut engine = jit::engines::connect(address).await?;
        engine.check(&needs).await
    });
    found
        .unwrap_or_else(|error| panic!("{error}"))
        .into_iter()
        .filter(|finding| matches!(finding.what.as_str(), "TLS" | "certificate"))
        .collect()
}

/// An account like [`Server::account`]'s, in the database `postgres` there.
fn account(server: &Server, name: &str) -> Login {
    let database = match server.kind() {
        Kind::Postgres => "postgres",
        Kind::Mysql | Kind::Mariadb => "",
    };
    server.account(name, database)
}
