//! Getting in, and only where something can be done.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use jit::engines::address::Endpoint;

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    a_wrong_password_is_denied_and_not_repeated,
    a_password_that_cannot_be_had_is_told,
    nobody_there_is_unreachable_in_bounded_time,
    a_read_only_server_is_refused,
    a_standby_is_refused_and_the_primary_is_taken,
    a_frozen_server_costs_bounded_time,
    the_session_is_ours_and_resolves_names_in_the_catalog_alone,
    a_roles_own_settings_do_not_reach_us,
    the_same_database_has_the_same_identity_by_any_way,
);

fn refusal(address: &Address) -> EngineError {
    match runtime().block_on(jit::engines::connect(address)) {
        Ok(_) => panic!("it let us in"),
        Err(error) => error,
    }
}

fn a_wrong_password_is_denied_and_not_repeated(server: &Server) {
    let login = Login::new("postgres", "hunter2-is-wrong", "postgres");
    let error = refusal(&address(server, &login, "g"));
    assert!(matches!(&error, EngineError::Denied { user, .. } if user == "postgres"));
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2"), "{text}");
    let nobody = Login::new("nobody_at_all", "x", "postgres");
    assert!(matches!(
        refusal(&address(server, &nobody, "g")),
        EngineError::Denied { .. }
    ));
    let nowhere = server.superuser_login().at("no_such_database");
    assert!(matches!(
        refusal(&address(server, &nowhere, "g")),
        EngineError::Denied { .. }
    ));
}

fn a_password_that_cannot_be_had_is_told(server: &Server) {
    let mut address = address(server, &server.superuser_login(), "g");
    for (source, words) in [
        (
            PasswordSource::File("/no/such/file".into()),
            "/no/such/file",
        ),
        (
            PasswordSource::Env("JIT_TEST_NO_SUCH".into()),
            "JIT_TEST_NO_SUCH",
        ),
        (PasswordSource::Command(vec!["false".into()]), "false"),
    ] {
        address.password = source;
        let error = refusal(&address);
        assert!(
            matches!(&error, EngineError::NoPassword { why, .. } if why.contains(words)),
            "{error:?}"
        );
    }
}

fn nobody_there_is_unreachable_in_bounded_time(server: &Server) {
    let mut address = address(server, &server.superuser_login(), "g");
    address.connect_timeout = Duration::from_secs(1);
    // One that accepts and never says a word, and one that is not there.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let at = |port| Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    let good = address.endpoints[0].clone();
    let began = Instant::now();
    address.endpoints = vec![at(port), at(1)];
    let error = refusal(&address);
    assert!(began.elapsed() < Duration::from_secs(4));
    let text = error.to_string();
    assert!(
        matches!(error, EngineError::Unreachable { .. }) && text.contains(&port.to_string()),
        "{text}"
    );
    // And the one that answers is taken wherever it stands.
    address.endpoints = vec![at(port), at(1), good.clone()];
    let engine = connect(&runtime(), &address);
    assert_eq!(engine.server().address, good.to_string());
}

fn a_read_only_server_is_refused(server: &Server) {
    let database = server.database("fixed");
    server
        .sql(&format!(
            "ALTER DATABASE {database} SET default_transaction_read_only = on"
        ))
        .expect("set");
    let error = refusal(&address(
        server,
        &server.superuser_login().at(&database),
        "g",
    ));
    assert!(
        matches!(&error, EngineError::Unreachable { why, .. } if why.contains("read-only")),
        "{error:?}"
    );
}

fn a_standby_is_refused_and_the_primary_is_taken(server: &Server) {
    let primary = server.another(&[]);
    // A standby without a primary to follow is a standby all the same.
    let standby = server.another(&[]);
    standby.stop();
    let signal = standby.data().join("standby.signal");
    std::fs::write(&signal, "").expect("a file");
    standby.start();
    let mut address = address(&standby, &standby.superuser_login(), "g");
    let error = refusal(&address);
    assert!(
        matches!(&error, EngineError::Unreachable { why, .. } if why.contains("standby")),
        "{error:?}"
    );
    address.endpoints.push(Endpoint::Tcp {
        host: primary.host().into(),
        port: primary.port(),
    });
    let engine = connect(&runtime(), &address);
    assert!(
        engine
            .server()
            .address
            .ends_with(&primary.port().to_string()),
        "{}",
        engine.server()
    );
}

fn a_frozen_server_costs_bounded_time(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let mut address = address(server, &shop.jit, &shop.grantor);
    address.statement_timeout = Duration::from_millis(500);
    address.connect_timeout = Duration::from_secs(1);
    let mut engine = connect(&shop.runtime, &address);
    // Its backend alone is stopped, so that the others' tests go on.
    let pid = shop.run(&format!(
        "SELECT pid FROM pg_stat_activity WHERE usename = '{}' ORDER BY backend_start DESC LIMIT 1",
        shop.jit.user
    ))[0][0]
        .clone()
        .expect("a pid");
    let signal = |name: &str| {
        crate::support::process::must(
            std::process::Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]),
        );
    };
    signal("STOP");
    let began = Instant::now();
    let result = shop
        .runtime
        .block_on(engine.privileges(&given, &HashSet::default()));
    let took = began.elapsed();
    signal("CONT");
    assert!(took < Duration::from_secs(10), "{took:?}");
    // The next connection answered.
    assert!(
        result
            .unwrap_or_else(|error| panic!("{error}"))
            .iter()
            .all(is_held)
    );
}

fn the_session_is_ours_and_resolves_names_in_the_catalog_alone(server: &Server) {
    let mut shop = Shop::open(server);
    // Whoever may create in a schema of a usual search_path could stand in front of the catalog's names.
    shop.run(
        "CREATE FUNCTION public.strpos(text, text) RETURNS int LANGUAGE sql AS 'SELECT 1/0';
         CREATE TABLE public.pg_class (a int)",
    );
    shop.given(&["email"]);
    let rows = shop.run(&format!(
        "SELECT application_name FROM pg_stat_activity WHERE usename = '{}'",
        shop.jit.user
    ));
    assert_eq!(rows, [[Some("jit".to_owned())]]);
}

fn a_roles_own_settings_do_not_reach_us(server: &Server) {
    let shop = Shop::open(server);
    shop.run(&format!(
        "CREATE SCHEMA trap; GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE FUNCTION trap.aclexplode(aclitem[]) RETURNS int LANGUAGE sql AS 'SELECT 1/0';
         ALTER ROLE {0} SET search_path = trap, pg_catalog; ALTER ROLE {0} SET role = '{1}';
         ALTER ROLE {0} SET statement_timeout = 1; ALTER ROLE {0} SET standard_conforming_strings = off",
        shop.jit.user, shop.grantor
    ));
    let mut engine = connect(&shop.runtime, &address(server, &shop.jit, &shop.grantor));
    let strays = shop
        .runtime
        .block_on(engine.strays(&HashSet::default(), &[]));
    assert_eq!(strays.unwrap_or_else(|error| panic!("{error}")), []);
}

fn the_same_database_has_the_same_identity_by_any_way(server: &Server) {
    let runtime = runtime();
    let first = server.superuser_login();
    let other = first.at(&server.database("other"));
    let by_tcp = connect(&runtime, &address(server, &first, "g"));
    let mut socket = address(server, &first, "g");
    socket.endpoints = vec![Endpoint::Socket {
        path: server.socket(),
        port: server.port(),
    }];
    let by_socket = connect(&runtime, &socket);
    let elsewhere = connect(&runtime, &address(server, &other, "g"));
    assert!(by_tcp.server().same_database(by_socket.server()));
    assert!(!by_tcp.server().same_database(elsewhere.server()));
}
