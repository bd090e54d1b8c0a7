//! Several hosts, sockets, IPv6, and the limits of waiting.

use std::time::{Duration, Instant};

use super::*;
use crate::support::on_every_server;

on_every_server!(
    an_error_names_what_each_host_said,
    the_host_that_can_be_written_is_taken,
    a_unix_socket_and_an_address_of_ipv6_are_hosts,
    the_urls_limits_are_kept,
);

/// A server of which nothing can be written.
fn read_only(server: &Server) -> Server {
    match server.kind() {
        Kind::Mysql | Kind::Mariadb => server.another(&["--read-only=ON"]),
        Kind::Postgres => {
            let standby = server.another(&[]);
            standby.stop();
            std::fs::write(standby.data().join("standby.signal"), "").expect("a file");
            standby.start();
            standby
        }
    }
}

fn at_hosts(server: &Server, login: &Login, hosts: &[String], query: &str) -> Address {
    let url = format!(
        "{}://{}@{}/{}?{query}",
        server.kind().scheme(),
        login.user,
        hosts.join(","),
        login.database
    );
    let mut address = Address::parse(&url).unwrap_or_else(|why| panic!("{url}: {why}"));
    address.password = PasswordSource::Command(vec!["echo".into(), login.password.clone()]);
    address
}

fn at(server: &Server) -> String {
    format!("{}:{}", server.host(), server.port())
}

fn an_error_names_what_each_host_said(server: &Server) {
    let replica = read_only(server);
    let root = server.superuser_login();
    // The replica's superuser may write; it has an account of its own on a server that is one at all times.
    let login = match server.kind() {
        Kind::Postgres => root.clone(),
        Kind::Mysql | Kind::Mariadb => account(&replica, "jit"),
    };
    let nobody = "127.0.0.1:1".to_owned();
    let address = at_hosts(server, &login, &[at(&replica), nobody.clone()], "");
    let error = connect(&address).err().expect("none can be used");
    let text = error.to_string();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{text}");
    let said = match server.kind() {
        Kind::Postgres => "standby",
        Kind::Mysql | Kind::Mariadb => "read-only",
    };
    for words in [&at(&replica), said, &nobody, "refused", "of 2"] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    // Whoever refuses says more than whoever is silent, and both are named.
    let mut wrong = root.clone();
    wrong.password = "no-sesame".into();
    let address = at_hosts(server, &wrong, &[nobody.clone(), at(server)], "");
    let error = connect(&address).err().expect("none can be used");
    let text = error.to_string();
    assert!(matches!(error, EngineError::Denied { .. }), "{text}");
    assert!(
        text.contains(&nobody) && text.contains(&at(server)),
        "{text}"
    );
    assert!(!text.contains("sesame"), "{text}");
}

fn the_host_that_can_be_written_is_taken(server: &Server) {
    let replica = read_only(server);
    let login = match server.kind() {
        Kind::Postgres => server.superuser_login(),
        Kind::Mysql | Kind::Mariadb => {
            let login = account(&replica, "jit");
            server.run(
                "",
                &format!(
                    "CREATE USER '{}'@'%' IDENTIFIED BY '{}'",
                    login.user, login.password
                ),
            );
            login
        }
    };
    for hosts in [
        ["127.0.0.1:1".to_owned(), at(&replica), at(server)],
        [at(server), at(&replica), "127.0.0.1:1".to_owned()],
    ] {
        let address = at_hosts(server, &login, &hosts, "target_session_attrs=read-write");
        let engine = connect(&address).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(engine.server().address, at(server));
    }
}

fn a_unix_socket_and_an_address_of_ipv6_are_hosts(server: &Server) {
    let server = server.another(&[match server.kind() {
        Kind::Postgres => "listen_addresses=127.0.0.1,::1",
        Kind::Mysql | Kind::Mariadb => "--bind-address=127.0.0.1,::1",
    }]);
    let login = account(&server, "jit");
    enter_at(&server, &login, "[::1]", "").expect("by its address");
    let socket = server.socket().display().to_string();
    // As the host, and by a key of the query; there is no TLS there, whatever is asked for.
    enter_at(
        &server,
        &login,
        &socket.replace('/', "%2F"),
        "sslmode=verify-full",
    )
    .expect("as the host");
    let key = match server.kind() {
        Kind::Postgres => "host",
        Kind::Mysql | Kind::Mariadb => "socket",
    };
    let address = address(&server, &login, "localhost", &format!("{key}={socket}"));
    let engine = connect(&address).expect("by the key");
    assert_eq!(engine.server().address, socket);
    let root = self::address(
        &server,
        &server.superuser_login(),
        &socket.replace('/', "%2F"),
        "",
    );
    let found = findings(&root);
    assert!(
        found[0].ok && found[0].saw.contains("none is needed"),
        "{found:?}"
    );
}

fn the_urls_limits_are_kept(server: &Server) {
    let server = server.another(&[]);
    let login = server.superuser_login();
    let mut address = address(
        &server,
        &login,
        "127.0.0.1",
        "connect_timeout=1&statement_timeout=2s",
    );
    assert_eq!(address.statement_timeout, Duration::from_secs(2));
    server.freeze();
    let begun = Instant::now();
    let error = connect(&address).err().expect("nobody answers");
    let waited = begun.elapsed();
    server.thaw();
    assert!(
        error.to_string().contains("no answer within 1 s"),
        "{error}"
    );
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    // A statement that the server would let run for ever.
    address.connect_timeout = Duration::from_secs(10);
    let sleep = match server.kind() {
        Kind::Postgres => "SELECT pg_sleep(60)",
        Kind::Mysql | Kind::Mariadb => "SELECT SLEEP(60)",
    };
    let begun = Instant::now();
    let ran = wait(async {
        let mut engine = jit::engines::connect(&address).await?;
        engine.run(&[sleep.to_owned()]).await
    });
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(9), "{waited:?}: {ran:?}");
}
