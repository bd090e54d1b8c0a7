//! Every way in of a current server, and none for a password in the clear.

use super::*;
use crate::support::certificates::Certificates;
use crate::support::people::Person;
use crate::support::{mariadb, mysql, on_mariadb, on_mysql, on_postgres};

on_postgres!(
    postgres_lets_in_by_each_of_its_ways,
    a_password_in_the_clear_goes_through_verified_tls_alone_on_postgres,
    channel_binding_is_had_where_it_is_asked_for,
);
on_mysql!(mysql_lets_in_by_each_of_its_ways);
on_mariadb!(
    mariadb_lets_in_by_each_of_its_ways,
    a_signature_is_right_whatever_the_server_sends_to_be_signed,
);

/// A name of this machine that is not loopback to anybody who reads it, and leads there all the same.
const BEYOND: &str = "0.0.0.0";

mod whoever_asks_for_the_password_itself_gets_none {
    #[test]
    fn on_mysql() {
        super::asks_for_the_password(crate::support::Kind::Mysql);
    }
    #[test]
    fn on_mariadb() {
        super::asks_for_the_password(crate::support::Kind::Mariadb);
    }
}

fn with_rules(certificates: &Certificates, rules: &str) -> Server {
    let path = certificates.path("hba");
    let base = "local all postgres scram-sha-256\nhost all postgres 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(&path, format!("{base}{rules}")).expect("own folder");
    let hba = format!("hba_file={}", path.display());
    certificates.server(Kind::Postgres, "good", &[&hba])
}

fn made(hosts: &[&str]) -> (Certificates, String) {
    let certificates = Certificates::new();
    certificates.signed("good", hosts);
    let ca = certificates.path("ca.crt").display().to_string();
    (
        certificates,
        format!("sslmode=verify-full&sslrootcert={ca}"),
    )
}

fn postgres_lets_in_by_each_of_its_ways(_: &Server) {
    let (certificates, verified) = made(&["127.0.0.1"]);
    let me = Person::myself().name;
    let server = with_rules(
        &certificates,
        "local all by_peer peer map=m\nhost all by_scram 127.0.0.1/32 scram-sha-256\n\
         host all by_md5 127.0.0.1/32 md5\nhost all by_trust 127.0.0.1/32 trust\n\
         hostssl all by_password 127.0.0.1/32 password\nlocal all by_password password\n",
    );
    std::fs::write(
        server.data().join("pg_ident.conf"),
        format!("m {me} by_peer\n"),
    )
    .expect("the servers' files");
    server.run("postgres", "SELECT pg_reload_conf()");
    for (name, encryption) in [
        ("by_scram", "scram-sha-256"),
        ("by_md5", "md5"),
        ("by_password", "scram-sha-256"),
        ("by_trust", "scram-sha-256"),
        ("by_peer", "scram-sha-256"),
    ] {
        server.run(
            "postgres",
            &format!("SET password_encryption = '{encryption}'; CREATE ROLE {name} LOGIN PASSWORD 'sesame-of-{name}'"),
        );
    }
    let login = |name: &str| Login::new(name, &format!("sesame-of-{name}"), "postgres");
    for name in ["by_scram", "by_md5", "by_trust"] {
        for query in ["sslmode=disable", "sslmode=require", &verified] {
            enter(&server, &login(name), query).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    enter(&server, &login("by_password"), &verified).expect("in the clear, inside");
    let socket = server.socket().display().to_string().replace('/', "%2F");
    enter_at(&server, &Login::new("by_peer", "", "postgres"), &socket, "").expect("by who I am");
    enter_at(&server, &login("by_password"), &socket, "").expect("nobody is in between");
    let mut wrong = login("by_scram");
    wrong.password = "no-sesame".into();
    denied(enter(&server, &wrong, ""), &["28P01"]);
    wrong.password.clear();
    let error = enter(&server, &wrong, "").expect_err("without a password");
    assert!(error.to_string().contains("PGPASSWORD"), "{error}");
}

fn a_password_in_the_clear_goes_through_verified_tls_alone_on_postgres(_: &Server) {
    let (certificates, verified) = made(&["127.0.0.1"]);
    let server = with_rules(&certificates, "host all jit 127.0.0.1/32 password\n");
    server.run(
        "postgres",
        "CREATE ROLE jit LOGIN PASSWORD 'sesame-in-clear'",
    );
    let login = Login::new("jit", "sesame-in-clear", "postgres");
    for (query, how) in [
        ("sslmode=disable", "not encrypted"),
        ("sslmode=prefer", "not verified"),
        ("sslmode=require", "not verified"),
    ] {
        untrusted(
            enter(&server, &login, query),
            &["the password itself", how, "sslmode=verify-full"],
        );
    }
    enter(&server, &login, &verified).expect("verified");
    // What the server has got: nothing but the attempts that were ended.
    assert!(!server.log().contains("password authentication failed"));
}

fn channel_binding_is_had_where_it_is_asked_for(_: &Server) {
    let (certificates, _) = made(&["127.0.0.1"]);
    let server = with_rules(
        &certificates,
        "host all bound 127.0.0.1/32 scram-sha-256\nhost all old 127.0.0.1/32 md5\nhost all free 127.0.0.1/32 trust\n",
    );
    server.run(
        "postgres",
        "CREATE ROLE bound LOGIN PASSWORD 'sesame-bound'; CREATE ROLE free LOGIN;
         SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'sesame-old'",
    );
    let login = |name: &str| Login::new(name, &format!("sesame-{name}"), "postgres");
    let asked = "sslmode=require&channel_binding=require";
    enter(&server, &login("bound"), asked).expect("scram inside TLS");
    for name in ["old", "free"] {
        untrusted(
            enter(&server, &login(name), asked),
            &["channel_binding=require"],
        );
        enter(&server, &login(name), "sslmode=require").expect("nobody asked for it");
    }
    let mut root = address(&server, &server.superuser_login(), "127.0.0.1", asked);
    let found = findings(&root);
    assert!(
        found[0].ok && found[0].saw.contains("bound to it"),
        "{found:?}"
    );
    // A server that has no TLS cannot be bound to.
    let plain = crate::support::postgres::shared();
    root = address(plain, &plain.superuser_login(), "127.0.0.1", asked);
    untrusted(connect(&root).map(drop), &["no TLS"]);
}

/// By plugin: how an account is made with it.
fn made_by(server: &Server, clause: &str) -> Login {
    let user = format!("by_{}", crate::support::unique());
    server.run("", &format!("CREATE USER '{user}'@'%' {clause}"));
    Login::new(&user, "sesame-of-plugin", "")
}

fn has_plugin(server: &Server, name: &str) -> bool {
    let rows = server.run(
        "",
        &format!("SELECT 1 FROM information_schema.plugins WHERE plugin_name = '{name}' AND plugin_status = 'ACTIVE'"),
    );
    !rows.is_empty()
}

fn mysql_lets_in_by_each_of_its_ways(_: &Server) {
    let (certificates, verified) = made(&["127.0.0.1"]);
    let server = certificates.server(Kind::Mysql, "good", &["--plugin-load-add=auth_socket.so"]);
    let mut tried = Vec::new();
    for plugin in [
        "caching_sha2_password",
        "mysql_native_password",
        "sha256_password",
    ] {
        if !has_plugin(&server, plugin) {
            continue;
        }
        tried.push(plugin);
        let login = made_by(
            &server,
            &format!("IDENTIFIED WITH {plugin} BY 'sesame-of-plugin'"),
        );
        // First by what the server does not remember, then by what it does.
        for _ in 0..2 {
            for query in [verified.as_str(), "sslmode=require", ""] {
                enter(&server, &login, query).unwrap_or_else(|error| panic!("{plugin}: {error}"));
            }
        }
        let mut wrong = login.clone();
        wrong.password = "no-sesame".into();
        denied(enter(&server, &wrong, &verified), &["1045"]);
    }
    assert!(tried.contains(&"caching_sha2_password"), "{tried:?}");
    // Without TLS, on this machine: by the server's RSA key.
    let login = made_by(&server, "IDENTIFIED BY 'sesame-of-plugin'");
    enter(&server, &login, "sslmode=disable").expect("by its key");
    // The same where the server has none, whatever the URL leaves to it.
    let plain = mysql::fresh(&["--tls-version="]);
    for query in ["", "sslmode=prefer", "sslmode=disable"] {
        let login = account(&plain, "jit");
        for _ in 0..2 {
            enter(&plain, &login, query).unwrap_or_else(|error| panic!("{query:?}: {error}"));
        }
        let mut wrong = account(&plain, "jit");
        wrong.password = "no-sesame".into();
        denied(enter(&plain, &wrong, query), &["1045"]);
    }
    by_who_i_am(&server, "auth_socket");
}

fn mariadb_lets_in_by_each_of_its_ways(server: &Server) {
    let (certificates, verified) = made(&["127.0.0.1"]);
    let version = server.version();
    let mut numbers = version
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let mut plugins = vec!["ed25519"];
    if version >= (11, 6) {
        plugins.push("parsec");
    }
    let folder = mariadb::plugins();
    let folder = format!("--plugin-dir={}", folder.display());
    let mut options = vec![folder];
    options.extend(
        plugins
            .iter()
            .map(|name| format!("--plugin-load-add=auth_{name}.so")),
    );
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = certificates.server(Kind::Mariadb, "good", &options);
    plugins.push("mysql_native_password");
    for plugin in plugins {
        let login = made_by(
            &server,
            &format!("IDENTIFIED VIA {plugin} USING PASSWORD('sesame-of-plugin')"),
        );
        for query in [verified.as_str(), "sslmode=require", "sslmode=disable", ""] {
            enter(&server, &login, query).unwrap_or_else(|error| panic!("{plugin}: {error}"));
        }
        // They never give the password away, so they serve beyond loopback too.
        enter_at(&server, &login, BEYOND, "sslmode=require").expect("a signature only");
        let mut wrong = login.clone();
        wrong.password = "no-sesame".into();
        denied(enter(&server, &wrong, &verified), &["1045"]);
    }
    by_who_i_am(&server, "unix_socket");
}

/// The server sends 32 random bytes to be signed, and the driver takes a zero at their end for the end of a text: one
/// login of 256 would be refused.
fn a_signature_is_right_whatever_the_server_sends_to_be_signed(_: &Server) {
    let certificates = Certificates::new();
    certificates.signed("good", &["127.0.0.1"]);
    let folder = format!("--plugin-dir={}", mariadb::plugins().display());
    let options = [folder.as_str(), "--plugin-load-add=auth_ed25519.so"];
    let server = certificates.server(Kind::Mariadb, "good", &options);
    let login = made_by(
        &server,
        "IDENTIFIED VIA ed25519 USING PASSWORD('sesame-of-plugin')",
    );
    let socket = server.socket().display().to_string().replace('/', "%2F");
    let ways = [
        ("127.0.0.1", "sslmode=disable"),
        ("127.0.0.1", "sslmode=require"),
        (socket.as_str(), ""),
    ];
    for nth in 0..400 {
        for (host, query) in ways {
            enter_at(&server, &login, host, query)
                .unwrap_or_else(|error| panic!("login {nth} at {host} with {query:?}: {error}"));
        }
    }
}

/// The account of the user who runs this, on the socket, without a password.
fn by_who_i_am(server: &Server, plugin: &str) {
    let me = Person::myself().name;
    let via = match server.kind() {
        Kind::Mariadb => "VIA",
        Kind::Mysql | Kind::Postgres => "WITH",
    };
    server.run(
        "",
        &format!("CREATE USER '{me}'@'%' IDENTIFIED {via} {plugin}"),
    );
    // The superuser of the tests may have that name, for other hosts.
    let rows = server.run(
        "",
        &format!("SELECT Host FROM mysql.user WHERE User = '{me}' AND Host <> '%'"),
    );
    let others: Vec<String> = rows
        .into_iter()
        .map(|row| format!("'{me}'@'{}'", row[0].as_deref().unwrap_or_default()))
        .collect();
    if !others.is_empty() {
        server.run("", &format!("DROP USER {}", others.join(", ")));
    }
    let socket = server.socket().display().to_string().replace('/', "%2F");
    let login = Login::new(&me, "", "");
    enter_at(server, &login, &socket, "").expect("by who I am");
    assert!(enter(server, &login, "").is_err(), "only on the socket");
}

/// `caching_sha2_password` asks for the password whenever the server has forgotten it.
fn asks_for_the_password(kind: Kind) {
    let (certificates, verified) = made(&["127.0.0.1", BEYOND]);
    if kind == Kind::Mysql {
        let server = certificates.server(kind, "good", &[]);
        let login = account(&server, "jit");
        for remembered in [false, true] {
            for (query, how) in [
                ("sslmode=disable", "not encrypted"),
                ("sslmode=prefer", "not verified"),
                ("sslmode=require", "not verified"),
            ] {
                untrusted(
                    enter_at(&server, &login, BEYOND, query),
                    &["the password itself", how, "sslmode=verify-full"],
                );
            }
            if !remembered {
                enter_at(&server, &login, BEYOND, &verified).expect("verified");
            }
        }
    }
    // And somebody in between who asks for it outright, whatever the account's plugin is.
    for plugin in ["mysql_clear_password", "sha256_password"] {
        for host in ["127.0.0.1", BEYOND] {
            let (port, heard) = listens(kind, plugin);
            let url = format!("mysql://jit@{host}:{port}/?sslmode=prefer");
            let mut address = Address::parse(&url).expect("a url");
            address.password =
                PasswordSource::Command(vec!["echo".into(), "sesame-to-steal".into()]);
            untrusted(
                connect(&address).map(drop),
                &["the password itself", "not encrypted"],
            );
            let heard = heard.join().expect("the listener");
            let text = String::from_utf8_lossy(&heard);
            assert!(!text.contains("sesame"), "{plugin}: {text:?}");
            assert!(text.contains("jit"), "it was really talked to: {text:?}");
        }
    }
}

/// Whoever asks for a signature under something that no server would send: an error, where the driver would panic.
#[test]
fn what_no_server_wants_signed_is_an_error() {
    for plugin in ["client_ed25519", "parsec"] {
        let (port, heard) = listens(Kind::Mariadb, plugin);
        let url = format!("mysql://jit@127.0.0.1:{port}/?sslmode=prefer");
        let mut address = Address::parse(&url).expect("a url");
        address.password = PasswordSource::Command(vec!["echo".into(), "sesame".into()]);
        match connect(&address).map(drop) {
            Err(EngineError::Unreachable { why, .. }) => {
                assert!(
                    why.contains("does not speak the protocol"),
                    "{plugin}: {why}"
                );
            }
            other => panic!("{plugin}: {other:?}"),
        }
        heard.join().expect("the listener");
    }
}

/// The same for somebody who greets with parsec itself, and gives no challenge that is meant for it.
#[test]
fn parsec_is_not_signed_under_the_greetings_challenge() {
    let (port, heard) = answers(Kind::Mariadb, Some("parsec"), b"\x01P\0eight by".to_vec());
    let url = format!("mysql://jit@127.0.0.1:{port}/?sslmode=prefer");
    let mut address = Address::parse(&url).expect("a url");
    address.password = PasswordSource::Command(vec!["echo".into(), "sesame".into()]);
    match connect(&address).map(drop) {
        Err(EngineError::Unreachable { why, .. }) => {
            assert!(why.contains("does not speak the protocol"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    heard.join().expect("the listener");
}

/// Somebody who greets as a server does, asks for the password by that plugin, and keeps what comes.
fn listens(kind: Kind, plugin: &'static str) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
    let plugin = plugin.as_bytes();
    let ask = [b"\xfe".as_slice(), plugin, b"\0", &[7; 20], b"\0"].concat();
    answers(kind, None, ask)
}

/// Somebody who greets as a server does, perhaps with another plugin, answers that, and keeps what comes.
fn answers(
    kind: Kind,
    plugin: Option<&str>,
    answer: Vec<u8>,
) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    let genuine = match kind {
        Kind::Mysql => mysql::shared(),
        Kind::Mariadb | Kind::Postgres => mariadb::shared(),
    };
    let mut there = TcpStream::connect((genuine.host(), genuine.port())).expect("a server");
    let mut header = [0; 4];
    there.read_exact(&mut header).expect("a header");
    let mut body = vec![0; usize::from(header[0])];
    there.read_exact(&mut body).expect("a greeting");
    // Without the offer of TLS: that is what somebody in between would do.
    let flags = body.iter().position(|byte| *byte == 0).expect("a version") + 1 + 4 + 8 + 1;
    body[flags + 1] &= !0x08;
    if let Some(plugin) = plugin {
        assert_eq!(body.pop(), Some(0), "a plugin's name is its end");
        let before = body
            .iter()
            .rposition(|byte| *byte == 0)
            .expect("a challenge");
        body.truncate(before + 1);
        body.extend(plugin.as_bytes());
        body.push(0);
        header[0] = u8::try_from(body.len()).expect("it is short");
    }
    let greeting = [header.as_slice(), &body].concat();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let heard = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        client.write_all(&greeting).expect("it listens");
        let mut heard = vec![0; 4096];
        let count = client.read(&mut heard).expect("its answer");
        heard.truncate(count);
        let mut header = (answer.len() as u32).to_le_bytes();
        header[3] = 2;
        client
            .write_all(&[header.as_slice(), &answer].concat())
            .expect("it listens");
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        heard.extend(rest);
        heard
    });
    (port, heard)
}
