//! Law 9: nothing that an outsider holds can stop a revoke: no lock in the database, no file, no flood, no other
//! target.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::client::Session;
use crate::support::host::Host;
use crate::support::jit::Output;
use crate::support::people::{Person, alice, bob, cron, mallory};
use crate::support::server::{Kind, Server};
use crate::support::shop::{POLICY, Shop};
use crate::support::{
    mariadb, mysql, on_each_postgres, on_every_server, on_mysql_and_mariadb, on_postgres, postgres,
};

/// No revoke behind somebody's lock takes longer than this: it has gone through, or it has been given up for now.
const BOUND: Duration = Duration::from_secs(45);

/// Runs a sweep and says how long it took.
fn timed(shop: &Shop<'_>) -> (Output, Duration) {
    let begun = Instant::now();
    let output = shop.sweep();
    (output, begun.elapsed())
}

/// The revoke goes through although the session goes on holding what it holds.
#[track_caller]
fn goes_through(shop: &Shop<'_>, id: &str) {
    shop.jit(&alice(), &["return", id]).ok();
    let (output, took) = timed(shop);
    assert!(took < BOUND, "{took:?}: {output}");
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(shop.state(id), "ended");
    assert!(!shop.has_row("jitalice", "customers", "email"));
}

on_each_postgres!(
    every_advisory_lock_that_a_login_can_take,
    a_table_locked_in_every_mode_by_a_login_that_may_write_it,
    an_open_transaction_with_a_prepared_statement_is_reported,
    an_open_transaction_with_a_prepared_statement_is_ended_where_the_policy_says_so,
);

fn every_advisory_lock_that_a_login_can_take(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let mut session = server
        .session(&shop.as_account("jitmallory"))
        .expect("a login");
    session
        .sql(
            "SELECT count(pg_advisory_lock(n)) FROM generate_series(-2000, 2000) n; \
             SELECT count(pg_advisory_lock(hashtext(w))) FROM unnest(ARRAY['jit', 'jit_grantor', 'sweep', 'target', 'ledger', 'grant', 'revoke']) w; \
             SELECT count(pg_advisory_lock(oid::int, 0)) FROM pg_class; \
             BEGIN; LOCK TABLE pg_catalog.pg_class, pg_catalog.pg_attribute, pg_catalog.pg_namespace IN ACCESS SHARE MODE",
        )
        .expect("anybody may");
    goes_through(&shop, &id);
    assert!(!shop.reads("jitalice", "email"));
    // And a grant is not stopped either.
    let again = shop.lease(&alice(), "email", "1h");
    assert_eq!(shop.state(&again), "active");
    drop(session);
}

fn a_table_locked_in_every_mode_by_a_login_that_may_write_it(server: &Server) {
    for mode in [
        "ACCESS EXCLUSIVE",
        "EXCLUSIVE",
        "SHARE ROW EXCLUSIVE",
        "ROW EXCLUSIVE",
    ] {
        let shop = Shop::on(server);
        let id = shop.lease(&alice(), "email", "1h");
        let table = shop.table("customers");
        shop.dba(&format!(
            "GRANT UPDATE ON {table} TO {}",
            shop.account("jitalice")
        ));
        let mut session = server
            .session(&shop.as_account("jitalice"))
            .expect("a login");
        session
            .sql(&format!("BEGIN; LOCK TABLE {table} IN {mode} MODE"))
            .expect("who may UPDATE may lock");
        goes_through(&shop, &id);
        // On 18 REVOKE waits for the strongest of them, and whoever has it is ended.
        let ended = mode == "ACCESS EXCLUSIVE" && server.major() >= 18;
        assert_eq!(session.sql("ROLLBACK").is_err(), ended, "{mode}");
        assert!(!shop.reads("jitalice", "email"));
    }
}

/// A transaction of alice's that has planned a SELECT under her lease.
fn prepared(shop: &Shop<'_>) -> Session {
    let mut session = shop
        .server
        .session(&shop.as_account("jitalice"))
        .expect("a login");
    session
        .sql(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; PREPARE p AS SELECT email FROM {}; EXECUTE p; \
             DECLARE c CURSOR FOR SELECT email FROM {}; FETCH 1 FROM c",
            shop.table("customers"),
            shop.table("customers")
        ))
        .expect("she may read");
    session
}

fn an_open_transaction_with_a_prepared_statement_is_reported(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let mut session = prepared(&shop);
    let pid = session.id();
    goes_through(&shop, &id);
    let revoked = &shop.events("revoked")[0];
    let sessions = revoked["observed"]["sessions"].as_array().expect("a list");
    assert!(
        sessions
            .iter()
            .any(|s| s["id"] == pid && s["ended"] == false),
        "{revoked:#}"
    );
    assert!(session.sql("FETCH 1 FROM c").is_ok(), "reported, not ended");
}

fn an_open_transaction_with_a_prepared_statement_is_ended_where_the_policy_says_so(
    server: &Server,
) {
    let policy = POLICY.replace("approval: auto}", "approval: auto, sessions: end}");
    assert_ne!(policy, POLICY);
    let shop = Shop::with_policy(server, &policy);
    // What `sessions: end` takes on Postgres.
    let jit = shop.login("jitadmin");
    shop.dba(&format!("GRANT pg_signal_backend TO {jit}"));
    let id = shop.lease(&alice(), "email", "1h");
    let mut session = prepared(&shop);
    let pid = session.id();
    goes_through(&shop, &id);
    let revoked = &shop.events("revoked")[0];
    let sessions = revoked["observed"]["sessions"].as_array().expect("a list");
    assert!(
        sessions
            .iter()
            .any(|s| s["id"] == pid && s["ended"] == true),
        "{revoked:#}"
    );
    assert!(session.sql("FETCH 1 FROM c").is_err(), "ended");
}

on_mysql_and_mariadb!(
    a_table_locked_for_writing,
    every_named_lock_and_an_open_transaction,
    a_global_read_lock_is_loud_and_bounded_and_the_revoke_comes_after_it,
    a_handler_left_open_is_reported,
);

fn a_table_locked_for_writing(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    shop.dba(&format!(
        "GRANT LOCK TABLES, SELECT, INSERT ON {}.* TO {}",
        shop.database,
        shop.account("jitmallory")
    ));
    let mut session = server
        .session(&shop.as_account("jitmallory"))
        .expect("a login");
    session
        .sql(&format!(
            "LOCK TABLES {} WRITE, {} WRITE",
            shop.table("customers"),
            shop.table("orders")
        ))
        .expect("it may");
    goes_through(&shop, &id);
    drop(session);
    assert!(!shop.reads("jitalice", "email"));
    crate::audit_first::every_line_once(&shop);
}

fn every_named_lock_and_an_open_transaction(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let mut session = server
        .session(&shop.as_account("jitalice"))
        .expect("a login");
    for name in [
        "jit",
        "sweep",
        "grant",
        "revoke",
        "shop",
        "ledger",
        &shop.database,
    ] {
        session
            .sql(&format!("SELECT GET_LOCK('{name}', 0)"))
            .expect("anybody may");
    }
    session
        .sql(&format!(
            "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN; SELECT email FROM {}",
            shop.table("customers")
        ))
        .expect("she may read");
    goes_through(&shop, &id);
    drop(session);
    assert!(!shop.reads("jitalice", "email"));
}

fn a_global_read_lock_is_loud_and_bounded_and_the_revoke_comes_after_it(server: &Server) {
    // The whole server stands still, so it is one of the law's own; two others go on.
    let own = server.another(&[]);
    let host = Host::new(&[
        ("still", &own),
        ("postgres", postgres::shared()),
        (
            "other",
            if server.kind() == Kind::Mysql {
                mariadb::shared()
            } else {
                mysql::shared()
            },
        ),
    ]);
    let id = host.ask(&alice(), "still", "email", "1h");
    let one = host.ask(&alice(), "postgres", "email", "1h");
    let two = host.ask(&alice(), "other", "email", "1h");
    host.sweep().ok();
    let shop = host.at("still");
    shop.dba(&format!(
        "GRANT RELOAD ON *.* TO {}",
        shop.account("jitmallory")
    ));
    let mut session = own
        .session(&shop.as_account("jitmallory"))
        .expect("a login");
    session.sql("FLUSH TABLES WITH READ LOCK").expect("it may");
    for lease in [&id, &one, &two] {
        host.jit(&alice(), &["return", lease]).ok();
    }
    let begun = Instant::now();
    let output = host.sweep();
    let took = begun.elapsed();
    let output = output.exit(6).says("OVERDUE").says(&id);
    assert!(took < BOUND * 2, "{took:?}: {output}");
    host.jit(&cron(), &["list", "--overdue"]).ok().says(&id);
    for (lease, target) in [(&one, "postgres"), (&two, "other")] {
        assert_eq!(host.state(lease), "ended", "{target}");
        assert!(!host.reads(target, "jitalice", "email"));
    }
    drop(session);
    host.sweep_until(&id, "ended");
    assert!(!host.reads("still", "jitalice", "email"));
    host.audit_is_sound();
}

fn a_handler_left_open_is_reported(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    let mut session = server
        .session(&shop.as_account("jitalice"))
        .expect("a login");
    // MySQL asks for SELECT on the whole table when it reads; MariaDB lets one column do (facts-mysql).
    let opened = session.sql(&format!("HANDLER {} OPEN AS h", shop.table("customers")));
    let opened = opened
        .and_then(|_| session.sql("HANDLER h READ FIRST"))
        .is_ok();
    assert_eq!(opened, server.kind() == Kind::Mariadb);
    let number = session.id();
    goes_through(&shop, &id);
    if opened {
        let revoked = &shop.events("revoked")[0];
        let sessions = revoked["observed"]["sessions"].as_array().expect("a list");
        assert!(sessions.iter().any(|s| s["id"] == number), "{revoked:#}");
    }
    assert!(!shop.reads("jitalice", "email"));
}

on_every_server!(a_lock_on_every_file_that_others_can_open_stops_nothing);

/// Holds `flock` on files and folders as that person, until it is killed.
struct Flocks(Child);

impl Flocks {
    fn of(person: &Person, paths: &[std::path::PathBuf]) -> Self {
        let mut script = String::new();
        let mut opened = 0;
        for (number, path) in paths.iter().enumerate() {
            let descriptor = number + 10;
            script.push_str(&format!(
                "if exec {descriptor}<'{}'; then flock -n {descriptor} && echo held; fi 2>/dev/null\n",
                path.display()
            ));
            opened += 1;
        }
        script.push_str("echo done; exec sleep 600\n");
        let mut child = person
            .command("bash")
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
            child.stdout.take().expect("a pipe"),
        ));
        let held = lines
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| line != "done")
            .count();
        assert!(held >= 3 && held <= opened, "{held} of {opened} files held");
        Self(child)
    }
}

impl Drop for Flocks {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_lock_on_every_file_that_others_can_open_stops_nothing(server: &Server) {
    let shop = Shop::on(server);
    let id = shop.lease(&alice(), "email", "1h");
    // An audit file that everybody may read, as some hosts want it.
    for (path, mode) in [
        ("var/log/jit", 0o2775 & !0o002),
        ("var/log/jit/audit.jsonl", 0o664),
    ] {
        let path = shop.jit.path(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
    }
    let mut paths = vec![shop.jit.path("")];
    let mut at = 0;
    while at < paths.len() {
        if let Ok(entries) = fs::read_dir(&paths[at]) {
            paths.extend(entries.flatten().map(|entry| entry.path()));
        }
        at += 1;
    }
    assert!(paths.contains(&shop.jit.audit()) && paths.contains(&shop.jit.ledger()));
    let held = Flocks::of(&mallory(), &paths);
    let more = shop.ask(&bob(), "phone", "1h", &["--purpose", "support"]);
    goes_through(&shop, &id);
    assert_eq!(shop.state(&more), "active");
    assert!(!shop.reads("jitalice", "email") && shop.reads("jitbob", "phone"));
    assert_eq!(shop.events("revoked").len(), 1, "and it is written down");
    drop(held);
    crate::audit_first::every_line_once(&shop);
}

on_postgres!(
    a_flood_of_requests_stops_no_revoke_and_no_return,
    a_flood_of_returns_and_rubbish_stops_no_revoke_and_no_return,
    a_drain_that_takes_too_long_takes_access_back_and_leaves_the_rest,
);

/// As many of one person's submissions as one drain takes (`PER_PERSON` in workflow/drain.rs).
const PER_PERSON: usize = 2000;

/// Puts submissions straight into somebody's mailbox, as that person can.
fn flood(shop: &Shop<'_>, person: &Person, count: usize, text: impl Fn(usize) -> String) {
    for number in 0..count {
        shop.drop_into(
            person,
            &format!("0-flood-{number:06}"),
            text(number).as_bytes(),
        );
    }
}

/// What of a flood is still in that mailbox.
fn flooding(shop: &Shop<'_>, person: &Person) -> usize {
    fs::read_dir(shop.mailbox(person))
        .expect("root may")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("0-flood-"))
        .count()
}

/// A request that no other is the same as.
fn asked(shop: &Shop<'_>, number: usize) -> String {
    format!(
        r#"{{"v":1,"nonce":"{number:032x}","act":{{"do":"request","target":"shop","tables":[{{"table":"{}","columns":["email"]}}],"ttl":"1h","reason":"flood {number}"}}}}"#,
        shop.table("customers")
    )
}

/// A sweep in the background; each submission takes so many milliseconds to drain, whatever machine this is.
fn slow_sweep(shop: &Shop<'_>, each: u32) -> std::thread::JoinHandle<Output> {
    let mut command = shop.sweep_at(&format!("drain-recorded=slow:{each}"));
    std::thread::spawn(move || crate::support::jit::run(&mut command, ""))
}

/// Waits until the account has no privilege on the column.
#[track_caller]
fn gone_within(shop: &Shop<'_>, name: &str, column: &str, bound: Duration) {
    let begun = Instant::now();
    while shop.has_row(name, "customers", column) {
        assert!(begun.elapsed() < bound, "{name} still has {column}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn flooded(server: &Server, text: impl Fn(&Shop<'_>, usize) -> String) {
    let shop = Shop::on(server);
    let due = shop.ask(&alice(), "email", "8s", &["--purpose", "support"]);
    let other = shop.ask(&bob(), "phone", "1h", &["--purpose", "support"]);
    shop.sweep().ok();
    assert!(shop.reads("jitalice", "email") && shop.reads("jitbob", "phone"));
    let all = PER_PERSON * 2;
    flood(&shop, &mallory(), all, |number| text(&shop, number));
    std::thread::sleep(Duration::from_secs(8));
    // What is due goes before the flood is drained.
    let sweep = slow_sweep(&shop, 0);
    gone_within(&shop, "jitalice", "email", BOUND);
    let before = flooding(&shop, &mallory());
    let output = sweep.join().expect("the sweep").ok();
    assert!(before > all - PER_PERSON / 2, "{before} of {all}: {output}");
    let left = flooding(&shop, &mallory());
    assert!(
        left >= all - PER_PERSON && left < all,
        "{left} of {all} are left: {output}"
    );
    // What is given back goes while the flood is drained.
    shop.jit(&bob(), &["return", &other]).ok();
    let sweep = slow_sweep(&shop, 3);
    gone_within(&shop, "jitbob", "phone", BOUND);
    let during = flooding(&shop, &mallory());
    let output = sweep.join().expect("the sweep").ok();
    assert!(
        during > left - PER_PERSON / 2,
        "the return waited for the flood: {during} of {left}: {output}"
    );
    assert_eq!(
        (shop.state(&due), shop.state(&other)),
        ("ended".into(), "ended".into())
    );
}

fn a_flood_of_requests_stops_no_revoke_and_no_return(server: &Server) {
    flooded(server, asked);
}

fn a_flood_of_returns_and_rubbish_stops_no_revoke_and_no_return(server: &Server) {
    flooded(server, |_, number| match number % 2 {
        0 => {
            format!(r#"{{"v":1,"nonce":"{number:032x}","act":{{"do":"return","id":"abcdefgh"}}}}"#)
        }
        _ => format!("rubbish {number}"),
    });
}

/// Where all that was handed in cannot be drained in time, what takes access back has been: also what lay behind
/// its own person's requests. And what became due meanwhile does not wait for the rest.
fn a_drain_that_takes_too_long_takes_access_back_and_leaves_the_rest(server: &Server) {
    let shop = Shop::on(server);
    let other = shop.ask(&bob(), "phone", "1h", &["--purpose", "support"]);
    let due = shop.ask(&alice(), "email", "15s", &["--purpose", "support"]);
    shop.sweep().ok();
    assert!(shop.reads("jitalice", "email") && shop.reads("jitbob", "phone"));
    for person in [bob(), mallory()] {
        let uid = person.uid as usize;
        flood(&shop, &person, 200, |number| {
            asked(&shop, uid * 1000 + number)
        });
    }
    shop.jit(&bob(), &["return", &other]).ok();
    let begun = Instant::now();
    let sweep = slow_sweep(&shop, 150);
    gone_within(&shop, "jitbob", "phone", Duration::from_secs(15));
    let output = sweep.join().expect("the sweep").ok();
    let took = begun.elapsed();
    assert!(took < BOUND, "{took:?}: {output}");
    let left = flooding(&shop, &bob()) + flooding(&shop, &mallory());
    assert!(left > 100, "{left} are left: {output}");
    assert_eq!(
        (shop.state(&due), shop.state(&other)),
        ("ended".into(), "ended".into())
    );
    assert!(!shop.reads("jitalice", "email"));
}
