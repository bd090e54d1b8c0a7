//! The tests' own servers: that they are real, that they obey, and that nothing of them is left over.

use crate::support::{Kind, Server, on_every_server, on_mysql_and_mariadb, on_postgres};

on_every_server!(
    a_login_sees_what_it_was_granted_and_no_more,
    a_killed_server_keeps_its_data
);

fn a_login_sees_what_it_was_granted_and_no_more(server: &Server) {
    let database = server.database("shop");
    let alice = match server.kind() {
        Kind::Postgres => server.account("alice", &database),
        _ => server.account("alice", ""),
    };
    server.run(
        &database,
        "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)",
    );
    let t = match server.kind() {
        Kind::Postgres => "t".to_owned(),
        _ => format!("{database}.t"),
    };
    let denied = server.login_and_select(&alice, &format!("SELECT a FROM {t}"));
    let code = denied.expect_err("nothing is granted yet").code;
    assert!(["42501", "1142"].contains(&code.as_str()), "{code}");

    let to = match server.kind() {
        Kind::Postgres => alice.user.clone(),
        _ => format!("{}@'%'", alice.user),
    };
    server.run(&database, &format!("GRANT SELECT (a, b) ON t TO {to}"));
    let rows = server.login_and_select(
        &alice,
        &format!("SELECT 7; SELECT a, b FROM {t} ORDER BY a"),
    );
    assert_eq!(
        rows.expect("granted"),
        [
            [Some("1".to_owned()), Some("x".to_owned())],
            [Some("2".to_owned()), None]
        ]
    );
}

fn a_killed_server_keeps_its_data(server: &Server) {
    let server = server.another(&[]);
    let database = server.database("shop");
    server.run(&database, "CREATE TABLE t (a int)");
    server.run(&database, "INSERT INTO t VALUES (1)");
    let pid = server.pid();
    server.kill_9();
    assert_eq!(server.sql("SELECT 1").expect_err("it is dead").code, "io");
    server.start();
    assert_ne!(server.pid(), pid);
    assert_eq!(
        server.run(&database, "SELECT a FROM t"),
        [[Some("1".to_owned())]]
    );
    server.restart();
    assert_eq!(
        server.run(&database, "SELECT a FROM t"),
        [[Some("1".to_owned())]]
    );
    let folder = server.data();
    drop(server);
    assert!(!folder.exists());
}

on_postgres!(its_sockets_folder_works);
fn its_sockets_folder_works(server: &Server) {
    let socket = server.socket().join(format!(".s.PGSQL.{}", server.port()));
    assert!(std::os::unix::net::UnixStream::connect(socket).is_ok());
}

on_mysql_and_mariadb!(its_socket_works, its_log_is_as_asked);
fn its_socket_works(server: &Server) {
    assert!(std::os::unix::net::UnixStream::connect(server.socket()).is_ok());
}

fn its_log_is_as_asked(server: &Server) {
    let on = server.sql("SELECT @@log_bin").expect("anybody may ask")[0][0].clone();
    let wanted = match server.kind() {
        Kind::Mysql => "1",
        _ if format!("{server:?}").contains("log-bin") => "1",
        _ => "0",
    };
    assert_eq!(on.as_deref(), Some(wanted));
}

/// The samples that the demo and the examples of policies work on load into empty servers.
mod the_samples {
    use super::*;

    fn text(name: &str) -> String {
        let path = format!("{}/demo/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect("a sample")
    }

    on_postgres!(the_shop_loads);
    fn the_shop_loads(server: &Server) {
        let server = server.another(&[]);
        server.run("postgres", "CREATE DATABASE shop");
        server.run("shop", &text("shop.postgres.sql"));
        let count = server.run("shop", "SELECT count(*) FROM public.orders");
        assert_eq!(count, [[Some("240".to_owned())]]);
    }

    on_mysql_and_mariadb!(billing_loads);
    fn billing_loads(server: &Server) {
        let server = server.another(&[]);
        server.run("", &text("billing.mysql.sql"));
        let count = server.run(
            "billing",
            "SELECT count(*) FROM cards WHERE holder = 'A MOREAU'",
        );
        assert_eq!(count, [[Some("1".to_owned())]]);
    }
}
