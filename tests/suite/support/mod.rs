//! Throwaway servers, real Unix people and whole installations of `jit` for the tests.
//!
//! A law that a server must keep is a plain function over a [`Server`]; one of the macros below makes a test of it for
//! each server that it names:
//!
//! ```ignore
//! on_mysql_and_mariadb!(a_revoke_takes_every_spelling);
//! fn a_revoke_takes_every_spelling(server: &Server) { … }
//! ```
//!
//! The tests are then called `…::a_revoke_takes_every_spelling::on_mysql` and `…::on_mariadb`. By these names
//! `make test SERVERS=…` leaves out the servers that it was not given; a server that is asked for and missing is a
//! failure, never a skip.
#![allow(dead_code, unused_imports, unused_macros)] // not every state of the suite uses every helper

pub mod certificates;
pub mod client;
pub mod crowd;
pub mod forge;
pub mod host;
pub mod invariant;
pub mod jit;
pub mod mariadb;
pub mod mount;
pub mod mysql;
pub mod network;
pub mod people;
pub mod postgres;
pub mod power;
pub mod process;
pub mod proxy;
pub mod rust;
pub mod server;
pub mod shop;
pub mod terminal;
pub mod torture;

pub use client::{Login, Refused, Rows, Session};
pub use server::{Kind, Server};

/// Makes `law::on_postgres` of each function over a [`Server`].
macro_rules! on_postgres {
    ($($law:ident),+ $(,)?) => { $(
        mod $law {
            #[test]
            fn on_postgres() { super::$law($crate::support::postgres::shared()); }
        }
    )+ };
}

/// Makes `law::on_postgres_18` of each function over a [`Server`]: for what is so only there.
macro_rules! on_postgres_18 {
    ($($law:ident),+ $(,)?) => { $(
        mod $law {
            #[test]
            fn on_postgres_18() { super::$law($crate::support::postgres::shared_18()); }
        }
    )+ };
}

/// Makes `law::on_postgres` and `law::on_postgres_18` of each function over a [`Server`].
macro_rules! on_each_postgres {
    ($($law:ident),+ $(,)?) => { $(
        mod $law {
            #[test]
            fn on_postgres() { super::$law($crate::support::postgres::shared()); }
            #[test]
            fn on_postgres_18() { super::$law($crate::support::postgres::shared_18()); }
        }
    )+ };
}

/// Makes `law::on_mysql` of each function over a [`Server`].
macro_rules! on_mysql {
    ($($law:ident),+ $(,)?) => { $(
        mod $law {
            #[test]
            fn on_mysql() { super::$law($crate::support::mysql::shared()); }
        }
    )+ };
}

/// Makes `law::on_mariadb` of each function over a [`Server`]. For its binary log, see `mariadb::shared_with_log`.
macro_rules! on_mariadb {
    ($($law:ident),+ $(,)?) => { $(
        mod $law {
            #[test]
            fn on_mariadb() { super::$law($crate::support::mariadb::shared()); }
        }
    )+ };
}

/// Makes `law::on_mysql`, `law::on_mariadb` and `law::on_mariadb_with_log` of each function over a [`Server`].
macro_rules! on_mysql_and_mariadb {
    ($($law:ident),+ $(,)?) => { $(
        mod $law {
            #[test]
            fn on_mysql() { super::$law($crate::support::mysql::shared()); }
            #[test]
            fn on_mariadb() { super::$law($crate::support::mariadb::shared()); }
            #[test]
            fn on_mariadb_with_log() { super::$law($crate::support::mariadb::shared_with_log()); }
        }
    )+ };
}

/// Makes `law::on_postgres`, `law::on_mysql` and `law::on_mariadb` of each function over a [`Server`].
macro_rules! on_every_server {
    ($($law:ident),+ $(,)?) => { $(
        mod $law {
            #[test]
            fn on_postgres() { super::$law($crate::support::postgres::shared()); }
            #[test]
            fn on_mysql() { super::$law($crate::support::mysql::shared()); }
            #[test]
            fn on_mariadb() { super::$law($crate::support::mariadb::shared()); }
        }
    )+ };
}

/// The same, and `law::on_postgres_18`.
macro_rules! on_every_server_and_postgres_18 {
    ($($law:ident),+ $(,)?) => { $(
        mod $law {
            #[test]
            fn on_postgres() { super::$law($crate::support::postgres::shared()); }
            #[test]
            fn on_postgres_18() { super::$law($crate::support::postgres::shared_18()); }
            #[test]
            fn on_mysql() { super::$law($crate::support::mysql::shared()); }
            #[test]
            fn on_mariadb() { super::$law($crate::support::mariadb::shared()); }
        }
    )+ };
}

pub(crate) use {
    on_each_postgres, on_every_server, on_every_server_and_postgres_18, on_mariadb, on_mysql,
    on_mysql_and_mariadb, on_postgres, on_postgres_18,
};

/// Runs a future to its end on a runtime of its own: for laws over the engines, whose methods are async.
pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// A number that no other call in this program has got.
pub fn unique() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Copies a program that is to be run. Not by ourselves: a child of another test would inherit the file while it is open
/// for writing, and then it cannot be run ("Text file busy").
#[track_caller]
pub fn copy_program(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp").arg(from).arg(to).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "cannot copy {}",
        from.display()
    );
}
