//! Law 9: who takes all that a server has for everybody (connections, prepared statements, locks) keeps nobody's column
//! open by that.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::client::Session;
use crate::support::jit::run;
use crate::support::network::Network;
use crate::support::people::{alice, cron, root};
use crate::support::process::must;
use crate::support::proxy::Proxy;
use crate::support::server::{Kind, Server};
use crate::support::shop::Shop;
use crate::support::{
    on_each_postgres, on_every_server_and_postgres_18, on_mysql_and_mariadb, on_postgres,
};

on_every_server_and_postgres_18!(
    a_login_that_holds_every_connection_stops_no_revoke,
    where_none_is_kept_for_jit_that_is_loud_and_doctor_says_the_cure,
);

on_mysql_and_mariadb!(a_login_that_has_prepared_all_that_can_be_prepared_stops_nothing);

on_each_postgres!(where_the_server_has_no_lock_left_that_is_loud_and_the_revoke_comes_after_it);

on_postgres!(who_takes_every_port_of_the_host_stops_no_revoke);

/// A server that only few can use at once. `kept`: where the server can, some of it only by who has the right to.
fn small(server: &Server, kept: bool) -> Server {
    let mut options = match server.kind() {
        Kind::Postgres => vec!["max_connections=12", "superuser_reserved_connections=2"],
        Kind::Mysql | Kind::Mariadb => vec!["--max-connections=10"],
    };
    if kept && server.major() >= 16 && server.kind() == Kind::Postgres {
        options.push("reserved_connections=2");
    }
    server.another(&options)
}

/// Every connection that alice gets.
fn all(shop: &Shop<'_>) -> Vec<Session> {
    let login = shop.as_account("jitalice");
    let mut sessions = Vec::new();
    loop {
        match shop.server.session(&login) {
            Ok(session) => sessions.push(session),
            Err(refused) => {
                // Too many, of all or of hers.
                assert!(
                    ["53300", "1040"].contains(&refused.code.as_str()),
                    "{refused}"
                );
                return sessions;
            }
        }
        assert!(sessions.len() < 50, "they never end");
    }
}

fn a_login_that_holds_every_connection_stops_no_revoke(server: &Server) {
    let own = small(server, true);
    let shop = Shop::on(&own);
    if own.kind() == Kind::Postgres && own.major() < 16 {
        for name in ["alice", "bob", "carol", "dave", "mallory"] {
            let account = shop.account(&format!("jit{name}"));
            shop.dba(&format!("ALTER ROLE {account} CONNECTION LIMIT 5"));
        }
    }
    let doctor = shop.jit(&cron(), &["doctor"]).ok();
    let line = line_about_connections(&doctor.out);
    assert!(
        line.contains("for us") || line.contains("no account"),
        "{line}"
    );
    let id = shop.lease(&alice(), "email", "1h");
    let mut sessions = all(&shop);
    let reads = format!("SELECT email FROM {}", shop.table("customers"));
    for session in &mut sessions {
        session.sql(&reads).expect("she may");
    }
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    for session in &mut sessions {
        assert!(session.sql(&reads).is_err(), "she reads on");
    }
}

fn where_none_is_kept_for_jit_that_is_loud_and_doctor_says_the_cure(server: &Server) {
    let own = small(server, false);
    let shop = Shop::on(&own);
    let (right, cure) = match own.kind() {
        Kind::Postgres if own.major() >= 16 => (None, "reserved_connections"),
        Kind::Postgres => (None, "CONNECTION LIMIT"),
        Kind::Mysql => (Some("CONNECTION_ADMIN"), "GRANT CONNECTION_ADMIN"),
        Kind::Mariadb => (Some("CONNECTION ADMIN"), "GRANT CONNECTION ADMIN"),
    };
    if let Some(right) = right {
        let jit = shop.account("jitadmin");
        shop.dba(&format!("REVOKE {right} ON *.* FROM {jit}"));
    }
    let doctor = shop.jit(&cron(), &["doctor"]).ok();
    let line = line_about_connections(&doctor.out);
    assert!(line.contains(cure), "{line}");
    let id = shop.lease(&alice(), "email", "1h");
    let sessions = all(&shop);
    shop.jit(&alice(), &["return", &id]).ok();
    let kept_out = shop.sweep();
    assert_eq!(kept_out.code, 6, "overdue: {kept_out}");
    assert!(kept_out.err.contains("jit doctor"), "{kept_out}");
    drop(sessions);
    // The server notices a little later.
    std::thread::sleep(Duration::from_millis(500));
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
}

/// With what follows it, in one line.
fn line_about_connections(doctor: &str) -> String {
    let words: Vec<&str> = doctor.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "connections");
    let at = at.unwrap_or_else(|| panic!("nothing of connections: {doctor}"));
    words[at..]
        .iter()
        .take(60)
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

/// One number for the whole server, which every login may use up.
fn a_login_that_has_prepared_all_that_can_be_prepared_stops_nothing(server: &Server) {
    let own = server.another(&["--max-prepared-stmt-count=200"]);
    let shop = Shop::on(&own);
    let id = shop.lease(&alice(), "email", "1h");
    let mut session = own
        .session(&shop.as_account("jitmallory"))
        .expect("a login");
    let mut prepared = 0;
    let refused = loop {
        match session.sql(&format!("PREPARE p{prepared} FROM 'SELECT 1'")) {
            Ok(_) => prepared += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(
        (refused.code.as_str(), prepared),
        ("1461", 200),
        "{refused}"
    );
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
    shop.jit(&cron(), &["doctor"]).ok();
    let again = shop.lease(&alice(), "email", "1h");
    assert_eq!(shop.state(&again), "active");
    drop(session);
}

/// The server's table of locks has room for so many of all sessions together. When it is full nobody can log in any
/// more, not even a superuser, so there is nothing that could be done from within.
fn where_the_server_has_no_lock_left_that_is_loud_and_the_revoke_comes_after_it(server: &Server) {
    let own = server.another(&[
        "max_connections=20",
        "max_locks_per_transaction=10",
        "max_prepared_transactions=0",
    ]);
    let shop = Shop::on(&own);
    let id = shop.lease(&alice(), "email", "1h");
    let mut session = own
        .session(&shop.as_account("jitmallory"))
        .expect("a login");
    for many in [100, 1] {
        let sql = format!(
            "SELECT count(pg_advisory_lock((random() * 1e15)::int8)) FROM generate_series(1, {many})"
        );
        while session.sql(&sql).is_ok() {}
    }
    let root = own.superuser_login().at(&shop.database);
    let refused = own.session(&root).err().expect("nobody gets in");
    assert_eq!(refused.code, "53200", "{refused}");
    shop.jit(&alice(), &["return", &id]).ok();
    shop.sweep().exit(6).says("out of shared memory");
    drop(session);
    std::thread::sleep(Duration::from_millis(500));
    shop.sweep().ok();
    assert_eq!(shop.state(&id), "ended");
    assert!(!shop.reads("jitalice", "email"));
}

/// Takes every port from $1 to $2, and says when it has them; then tries what everybody does.
const HOG: &str = "\
import socket, sys, time
held = []
for port in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
    held.append(socket.socket())
    held[-1].bind(('', port))
try:
    socket.create_connection((sys.argv[3], int(sys.argv[4])), 5)
    print('in', flush=True)
except OSError as error:
    print(error.errno, flush=True)
time.sleep(60)
";
/// Cannot assign requested address.
const NO_PORT: &str = "99";

/// What outgoing connections get a port of, any user of the host can take. First all that the kernel chooses from; then
/// all that are anybody's, where jit has the right that its units give it.
fn who_takes_every_port_of_the_host_stops_no_revoke(server: &Server) {
    for all in [false, true] {
        let shop = Shop::on(server);
        let id = shop.lease(&alice(), "email", "1h");
        let network = Network::new();
        let proxy = Proxy::at(network.listener(), server.host(), server.port());
        shop.reach_at(&proxy.address(), "sslmode=disable");
        for (name, value) in [
            ("ip_local_port_range", "65000 65100"),
            (
                "ip_unprivileged_port_start",
                if all { "65000" } else { "1024" },
            ),
        ] {
            let mut set = Command::new("sh");
            set.args(["-c", &format!("echo {value} > /proc/sys/net/ipv4/{name}")]);
            must(&mut network.inside(&set));
        }
        let (host, port) = proxy
            .address()
            .split_once(':')
            .map(|(h, p)| (h.to_owned(), p.to_owned()))
            .expect("both");
        let mut hog = root().command("python3");
        hog.args([
            "-c",
            HOG,
            "65000",
            if all { "65535" } else { "65100" },
            &host,
            &port,
        ]);
        let mut hog = network
            .inside(&hog)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        let mut said = String::new();
        BufReader::new(hog.stdout.take().expect("piped"))
            .read_line(&mut said)
            .expect("text");
        assert_eq!(said.trim(), NO_PORT, "others get no port");

        shop.jit(&alice(), &["return", &id]).ok();
        let mut sweep = shop.jit.command(&cron(), &["sweep"]);
        if all {
            run(&mut network.inside(&sweep), "")
                .exit(6)
                .says("Cannot assign requested address");
            sweep = shop.jit.command(&cron(), &["sweep"]);
            sweep = with_the_right(&sweep);
        }
        run(&mut network.inside(&sweep), "").ok();
        assert_eq!(shop.state(&id), "ended");
        assert!(!shop.reads("jitalice", "email"));
        let _ = hog.kill();
        let _ = hog.wait();
    }
}

/// As somebody else without CAP_NET_BIND_SERVICE, with it.
fn with_the_right(command: &Command) -> Command {
    assert_eq!(command.get_program(), "setpriv");
    let right = "+net_bind_service";
    let mut with = Command::new("setpriv");
    with.args(["--inh-caps", right, "--ambient-caps", right])
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        with.env(name, value.unwrap_or_default());
    }
    with
}
