//! Getting in, staying in, and noticing that it is somebody else.

use super::*;
use crate::support::on_mysql_and_mariadb;
use jit::engines::address::{Endpoint, TlsMode};
use std::time::{Duration, Instant};

on_mysql_and_mariadb!(
    a_wrong_password_is_denied_and_not_repeated,
    a_read_only_server_is_passed_over,
    a_silent_server_costs_the_connect_timeout,
    a_lost_connection_is_made_anew,
    another_server_under_the_same_address_is_not_touched,
    grant_makes_no_account_in_our_session,
    a_socket_will_do,
    a_bad_default_of_the_server_does_not_bend_our_session,
    an_answer_that_never_comes_is_looked_up,
    an_expired_password_is_denied,
    we_say_goodbye,
);

fn connect(address: &Address) -> Result<Box<dyn Engine>, EngineError> {
    runtime().block_on(jit::engines::connect(address))
}

fn a_wrong_password_is_denied_and_not_repeated(server: &Server) {
    let mut login = server.account("jit", "");
    login.password = "hunter2-wrong".into();
    let Err(error) = connect(&address(server, &login)) else {
        panic!("let in");
    };
    assert!(matches!(error, EngineError::Denied { .. }), "{error}");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains(&login.user), "{text}");
    }
    let mut nowhere = address(server, &login);
    nowhere.password = PasswordSource::Command(vec!["false".into()]);
    let Err(error) = connect(&nowhere) else {
        panic!("let in");
    };
    assert!(matches!(error, EngineError::NoPassword { .. }), "{error}");
}

fn a_read_only_server_is_passed_over(server: &Server) {
    let replica = server.another(&["--read-only=ON"]);
    let login = server.account("jit", "");
    let create = format!(
        "CREATE USER '{}'@'%' IDENTIFIED BY '{}'",
        login.user, login.password
    );
    replica.run("", &create);
    let mut both = address(&replica, &login);
    let Err(error) = connect(&both) else {
        panic!("taken");
    };
    assert!(
        error.is_unreachable() && error.to_string().contains("read-only"),
        "{error}"
    );
    both.endpoints.push(Endpoint::Tcp {
        host: server.host().into(),
        port: server.port(),
    });
    let engine = connect(&both).expect("the second can be written to");
    assert!(
        engine
            .server()
            .address
            .ends_with(&format!(":{}", server.port()))
    );
}

fn a_silent_server_costs_the_connect_timeout(server: &Server) {
    let server = server.another(&[]);
    let login = server.account("jit", "");
    let mut address = address(&server, &login);
    address.connect_timeout = Duration::from_secs(1);
    server.freeze();
    let begun = Instant::now();
    let Err(error) = connect(&address) else {
        panic!("let in");
    };
    server.thaw();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
}

fn a_lost_connection_is_made_anew(server: &Server) {
    let server = server.another(&[]);
    let mut shop = Shop::open(&server);
    let leased = shop.lease(&["email"]);
    server.restart();
    assert!(matches!(shop.standing(&leased[0]), Standing::Held { .. }));
    server.restart();
    shop.revoke(&leased);
    assert!(!shop.can_read("email"));
    let asked = shop.resolve(&["note"]);
    server.kill_9();
    let reports = shop.grant_orders(&[GrantOrder {
        request: request(),
        privileges: asked.clone(),
    }]);
    let error = reports[0].error.as_ref().expect("nobody there");
    assert!(error.is_unreachable(), "{error}");
    server.start();
    shop.grant(&asked);
    assert!(shop.can_read("note"));
}

/// The first endpoint dies, and behind the second another server has the same names.
fn another_server_under_the_same_address_is_not_touched(server: &Server) {
    let (first, second) = (server.another(&[]), server.another(&[]));
    if server.kind() == Kind::Mysql {
        // Both were copied from one template, and MySQL's name of itself with them.
        second.stop();
        std::fs::remove_file(second.data().join("auto.cnf")).unwrap();
        second.start();
    }
    let mut shop = Shop::open(&first);
    let mut both = address(&first, &shop.jit);
    both.endpoints.push(Endpoint::Tcp {
        host: second.host().into(),
        port: second.port(),
    });
    shop.engine = shop.runtime.block_on(jit::engines::connect(&both)).unwrap();
    let leased = shop.lease(&["email"]);
    let steps = shop.steps(&leased);
    for login in [&shop.jit, &shop.alice] {
        let user = &login.user;
        second.run(
            "",
            &format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{ACCOUNT_PASSWORD}'"),
        );
    }
    second.run(
        "",
        &shop.filled(
            "CREATE DATABASE {db}; CREATE TABLE {c} (id INT, email INT); GRANT SELECT (email) ON {c} TO {alice};
             GRANT ALL ON *.* TO {jit} WITH GRANT OPTION",
        ),
    );
    first.stop();
    let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
    assert!(
        matches!(reports[0].error, Some(EngineError::Changed { .. })),
        "{:?}",
        reports[0].error
    );
    let there = shop.filled("SELECT email FROM {c}");
    assert!(
        second.login_and_select(&shop.alice, &there).is_ok(),
        "not touched"
    );
    first.start();
    shop.revoke(&leased);
    assert!(!shop.can_read("email"));
}

fn grant_makes_no_account_in_our_session(server: &Server) {
    if server.kind() == Kind::Mariadb {
        server.run("", "SET GLOBAL sql_mode = ''");
    }
    let mut shop = Shop::open(server);
    let nobody = format!("nobody_{}", unique());
    let grant = shop.filled(&format!("GRANT SELECT (email) ON {{c}} TO '{nobody}'@'%'"));
    // It may make users, were it not for our session's mode.
    shop.root("GRANT CREATE USER ON *.* TO {jit}");
    // What one may do everywhere counts from the login on.
    shop.engine = shop
        .runtime
        .block_on(jit::engines::connect(&address(server, &shop.jit)))
        .unwrap();
    let error = shop
        .runtime
        .block_on(shop.engine.run(&[grant]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("1133") || error.contains("1410"), "{error}");
    let made = format!("SELECT 1 FROM mysql.user WHERE User = '{nobody}'");
    assert!(server.run("", &made).is_empty());
}

fn a_socket_will_do(server: &Server) {
    let shop = Shop::open(server);
    let mut address = address(server, &shop.jit);
    address.endpoints = vec![Endpoint::Socket {
        path: server.socket(),
        port: server.port(),
    }];
    let engine = connect(&address).expect("by the socket");
    assert_eq!(engine.server().system, shop.engine.server().system);
    assert_eq!(
        engine.server().address,
        server.socket().display().to_string()
    );
}

fn a_bad_default_of_the_server_does_not_bend_our_session(server: &Server) {
    let server = server.another(&[
        "--autocommit=0",
        "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH",
        "--init-connect=SET NAMES latin1",
        "--default-time-zone=+05:00",
        "--transaction-isolation=REPEATABLE-READ",
    ]);
    server.run("", "SET GLOBAL sql_select_limit = 1");
    let mut shop = Shop::open(&server);
    server.run("", "SET GLOBAL TRANSACTION READ ONLY");
    shop.engine = shop
        .runtime
        .block_on(jit::engines::connect(&address(&server, &shop.jit)))
        .unwrap();
    let leased = shop.lease(&["email", "note"]);
    assert!(shop.can_read("email"));
    shop.root("SET SESSION TRANSACTION READ WRITE; GRANT SELECT (SSN) ON {c} TO {alice}");
    let survey = shop.survey(&shop.ask(&["SSN"]));
    assert_eq!(survey.readable.len(), 1, "a new look sees what is new");
    shop.revoke(&leased);
    assert!(!shop.can_read("email"));
    let skew = shop.runtime.block_on(shop.engine.clock_skew()).unwrap();
    assert!(skew.abs() < 1000);
}

/// Stands between jit and the server, and breaks the connection once: after the statement that begins so was carried
/// out, before its answer gets back.
fn cut_after(server: &Server, verb: &'static str) -> u16 {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = (server.host(), server.port());
    std::thread::spawn(move || {
        let cut_already = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut there = TcpStream::connect(behind).unwrap();
            let (mut back_from, mut back_to) =
                (there.try_clone().unwrap(), client.try_clone().unwrap());
            let silent = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let (mute, cut_already) = (silent.clone(), cut_already.clone());
            std::thread::spawn(move || {
                let mut bytes = [0; 65536];
                while let Ok(read @ 1..) = back_from.read(&mut bytes) {
                    if mute.load(std::sync::atomic::Ordering::SeqCst) {
                        break;
                    }
                    if back_to.write_all(&bytes[..read]).is_err() {
                        break;
                    }
                }
                let _ = back_to.shutdown(Shutdown::Both);
            });
            std::thread::spawn(move || {
                let mut bytes = [0; 65536];
                let mut prepared = false;
                while let Ok(read @ 1..) = client.read(&mut bytes) {
                    if prepared && !cut_already.swap(true, std::sync::atomic::Ordering::SeqCst) {
                        silent.store(true, std::sync::atomic::Ordering::SeqCst);
                    }
                    // It is prepared first and carried out by the next packet.
                    prepared |= bytes[..read]
                        .windows(verb.len())
                        .any(|w| w == verb.as_bytes());
                    if there.write_all(&bytes[..read]).is_err() {
                        break;
                    }
                }
                let _ = there.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

fn an_answer_that_never_comes_is_looked_up(server: &Server) {
    let mut shop = Shop::open(server);
    for verb in ["GRANT SELECT (", "REVOKE "] {
        let asked = shop.resolve(&["email", "note"]);
        let mut through = address(server, &shop.jit);
        through.tls = TlsMode::Disable;
        through.endpoints = vec![Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: cut_after(server, verb),
        }];
        shop.engine = shop
            .runtime
            .block_on(jit::engines::connect(&through))
            .unwrap();
        let leased = shop.grant(&asked);
        assert!(shop.can_read("email") && shop.can_read("note"));
        shop.revoke(&leased);
        assert!(!shop.can_read("email") && !shop.can_read("note"));
        assert_eq!(shop.rows_left(), 0);
    }
}

fn an_expired_password_is_denied(server: &Server) {
    let login = server.account("jit", "");
    server.run(
        "",
        &format!("ALTER USER '{}'@'%' PASSWORD EXPIRE", login.user),
    );
    let Err(error) = connect(&address(server, &login)) else {
        panic!("let in");
    };
    assert!(matches!(error, EngineError::Denied { .. }), "{error}");
}

/// MariaDB warns in its log of clients that just go: one line for each sweep.
fn we_say_goodbye(server: &Server) {
    let server =
        server.another(&["--log-error-verbosity=3"][..usize::from(server.kind() == Kind::Mysql)]);
    let login = server.account("jit", "");
    let mut address = address(&server, &login);
    // By the driver's own connection, and by ours.
    for mode in [TlsMode::Disable, TlsMode::Prefer, TlsMode::Prefer] {
        address.tls = mode;
        runtime().block_on(async {
            let mut engine = jit::engines::connect(&address).await.unwrap();
            engine.clock_skew().await.unwrap();
        });
    }
    std::thread::sleep(Duration::from_millis(300));
    let log = server.log();
    let complaint = log
        .lines()
        .find(|line| line.contains("borted connection") && line.contains(&login.user));
    assert_eq!(complaint, None);
}
