//! Locks on a table. On 13 to 17 a REVOKE takes none and passes them by. From 18 on it waits for whoever has the table
//! for himself, and whoever has it so to keep a column is sent away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::support::client::Session;
use crate::support::{on_each_postgres, on_postgres_18};

on_each_postgres!(
    a_lock_of_the_grantees_does_not_stop_a_revoke,
    a_lock_of_the_owners_is_passed_by_or_told_and_never_ended,
    a_locked_table_fails_a_grant_and_only_that,
    many_locked_tables_cost_bounded_time,
);

on_postgres_18!(
    a_lock_of_one_who_can_act_for_the_grantee_is_the_grantees,
    a_grantee_who_became_the_owner_is_the_grantee,
    a_bystanders_lock_is_left_at_first_and_ended_where_it_presses,
    a_superusers_lock_is_never_ended,
    a_grantee_who_reads_while_the_owner_waits_is_ended,
    a_bystander_who_waits_in_the_queue_is_ended_and_a_reader_is_not,
    sessions_that_come_back_get_no_turn_before_us,
    a_session_that_we_may_not_end_is_told_with_what_ends_it,
    one_connection_is_enough,
    a_prepared_transaction_is_told_with_what_ends_it,
    each_table_has_its_own_owner_and_grantee,
);

const READ: &str = "SELECT email FROM app.customers";
const LOCK: &str = "BEGIN; LOCK TABLE app.customers IN ACCESS EXCLUSIVE MODE";

/// A session that has the table for itself, after a superuser gave it what that takes; and its number.
fn holder(shop: &Shop<'_>, login: &Login) -> (Session, u64) {
    let may = format!("GRANT UPDATE ON app.customers TO {}", login.user);
    shop.run(&may);
    let mut session = shop.server.session(login).expect("a session");
    session.sql(LOCK).expect("who may UPDATE may lock");
    let pid = session.id();
    (session, pid)
}

/// Whether REVOKE waits for the table there.
fn waits(server: &Server) -> bool {
    server.major() >= 18
}

fn pressing(of: &[Privilege]) -> Vec<RevokeStep> {
    let mut steps = steps(of);
    for step in &mut steps {
        step.urgency = Urgency::Pressing;
    }
    steps
}

/// What a report says of a session: whether it was ended.
fn met(report: &Report, pid: u64) -> Option<bool> {
    report
        .in_the_way
        .iter()
        .find(|met| met.id == pid)
        .map(|met| met.ended)
}

/// It failed for somebody's lock, and says these words.
fn told(report: &Report, words: &[&str]) {
    let error = error(report);
    assert!(
        matches!(error, EngineError::Refused { code, .. } if code == "55P03"),
        "{error:?}"
    );
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

fn lives(session: &mut Session) -> bool {
    session.sql("SELECT 1").is_ok()
}

fn a_lock_of_the_grantees_does_not_stop_a_revoke(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    let (mut session, pid) = holder(&shop, &alice);
    let began = Instant::now();
    let reports = shop.revoke(&given);
    let took = began.elapsed();
    assert_eq!(errors(&reports), [""; 0]);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(shop.strays(&[]), []);
    // Ended only where it had to be, and then it is said.
    match waits(server) {
        true => {
            assert_eq!(met(&reports[0], pid), Some(true), "{reports:?}");
            let why = &reports[0].in_the_way[0].why;
            assert!(why.contains("a lock on app.customers"), "{why}");
            assert!(!lives(&mut session));
        }
        false => {
            assert_eq!(reports[0].in_the_way, []);
            assert!(lives(&mut session));
            session.sql("ROLLBACK").expect("rollback");
        }
    }
    assert_eq!(shop.reads(&alice, READ), Err("42501".into()));
}

fn a_lock_of_the_owners_is_passed_by_or_told_and_never_ended(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    // A deployer is a member of the owner, and its lock the owner's.
    let deployer = server.account("deployer", &shop.database);
    shop.run(&format!("GRANT {} TO {}", shop.owner.user, deployer.user));
    for login in [shop.owner.clone(), deployer] {
        let mut session = server.session(&login).expect("a session");
        session.sql(LOCK).expect("the owner may");
        let pid = session.id();
        let began = Instant::now();
        let reports = shop.revoke_steps(&pressing(&given));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert!(lives(&mut session), "never ended");
        if waits(server) {
            told(
                &reports[0],
                &[
                    &format!(
                        "session {pid} of {} with a lock on app.customers: never ended",
                        login.user
                    ),
                    &format!("SELECT pg_terminate_backend({pid})"),
                ],
            );
            assert_eq!(met(&reports[0], pid), Some(false));
            session.sql("ROLLBACK").expect("rollback");
            shop.taken(&given);
        } else {
            assert_eq!(errors(&reports), [""; 0]);
            session.sql("ROLLBACK").expect("rollback");
        }
        assert_eq!(shop.reads(&alice, READ), Err("42501".into()));
        let again = shop.grant(&[order(&given)]);
        assert_eq!(errors(&again), [""; 0]);
    }
}

fn a_locked_table_fails_a_grant_and_only_that(server: &Server) {
    let mut shop = Shop::open(server);
    shop.as_owner(&format!(
        "CREATE TABLE app.other (a int); GRANT SELECT (a) ON app.other TO {} WITH GRANT OPTION",
        shop.grantor
    ));
    let alice = shop.alice.clone();
    let locked = shop.resolve(&alice, columns(&customers(), &["email"]));
    let free = shop.resolve(&alice, columns(&TableName::new("app", "other"), &["a"]));
    let mut holder = server.session(&shop.owner).expect("a session");
    holder
        .sql("BEGIN; LOCK TABLE app.customers IN ACCESS EXCLUSIVE MODE")
        .expect("the owner may");
    let reports = shop.grant(&[order(&locked), order(&free)]);
    assert!(
        matches!(error(&reports[0]), EngineError::Refused { code, .. } if code == "55P03"),
        "{reports:?}"
    );
    assert!(reports[1].error.is_none(), "{reports:?}");
    let told = error(&reports[0]).to_string();
    let who = format!(
        "session {} of {} with a lock on app.customers",
        holder.id(),
        shop.owner.user
    );
    assert!(told.contains(&who), "{told}");
    drop(holder);
    assert_eq!(shop.strays(&[]), free);
}

fn many_locked_tables_cost_bounded_time(server: &Server) {
    let sql: String = (0..10)
        .map(|t| format!("CREATE TABLE app.l{t} (a int);"))
        .collect();
    let tables: Vec<TableName> = (0..10)
        .map(|t| TableName::new("app", format!("l{t}")))
        .collect();
    let needs = tables
        .iter()
        .map(|table| (table.clone(), vec![column("a")]))
        .collect();
    let mut shop = Shop::with(server, &sql, needs);
    let alice = shop.alice.clone();
    let given: Vec<Privilege> = tables
        .iter()
        .flat_map(|table| shop.given_to(&alice, columns(table, &["a"])))
        .collect();
    let mut holder = server.session(&shop.owner).expect("a session");
    // All but the last: it does not have to wait for the others.
    let all: Vec<String> = tables[..9].iter().map(ToString::to_string).collect();
    holder
        .sql(&format!("BEGIN; LOCK TABLE {}", all.join(", ")))
        .expect("the owner may");
    let began = Instant::now();
    let reports = shop.revoke(&given);
    let took = began.elapsed();
    if waits(server) {
        // Three full waits, and brief ones for the rest.
        assert!(took < Duration::from_secs(25), "{took:?}");
        for report in &reports[..9] {
            told(report, &["with a lock on app.l"]);
        }
        assert!(reports[9].error.is_none(), "{reports:?}");
        assert_eq!(shop.strays(&[]), given[..9]);
        holder.sql("ROLLBACK").expect("rollback");
        shop.taken(&given);
    } else {
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert_eq!(errors(&reports), [""; 0]);
    }
    assert_eq!(shop.strays(&[]), []);
}

fn a_lock_of_one_who_can_act_for_the_grantee_is_the_grantees(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let bob = server.account("bob", &shop.database);
    shop.run(&format!(
        "GRANT {0} TO {1} WITH INHERIT FALSE, SET TRUE; GRANT UPDATE ON app.customers TO {0}",
        shop.alice.user, bob.user
    ));
    let mut session = server.session(&bob).expect("a session");
    session
        .sql(&format!("SET ROLE {}; {LOCK}", shop.alice.user))
        .expect("who may UPDATE may lock");
    let pid = session.id();
    let reports = shop.revoke(&given);
    assert_eq!(errors(&reports), [""; 0]);
    assert_eq!(met(&reports[0], pid), Some(true), "{reports:?}");
    assert!(!lives(&mut session));
}

fn a_grantee_who_became_the_owner_is_the_grantee(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let alice = shop.alice.clone();
    shop.run(&format!("GRANT {} TO {}", shop.owner.user, alice.user));
    let mut session = server.session(&alice).expect("a session");
    session
        .sql(&format!("SET ROLE {}; {LOCK}", shop.owner.user))
        .expect("the owner may");
    let pid = session.id();
    let reports = shop.revoke(&given);
    assert_eq!(errors(&reports), [""; 0]);
    assert_eq!(met(&reports[0], pid), Some(true), "{reports:?}");
}

fn a_bystanders_lock_is_left_at_first_and_ended_where_it_presses(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    let mallory = server.account("mallory", &shop.database);
    let (mut session, pid) = holder(&shop, &mallory);
    let reports = shop.revoke(&given);
    told(
        &reports[0],
        &[&format!(
            "session {pid} of {} with a lock on app.customers: left to finish",
            mallory.user
        )],
    );
    assert_eq!(met(&reports[0], pid), Some(false));
    assert!(lives(&mut session));
    let reports = shop.revoke_steps(&pressing(&given));
    assert_eq!(errors(&reports), [""; 0]);
    assert_eq!(met(&reports[0], pid), Some(true), "{reports:?}");
    assert!(!lives(&mut session));
    assert_eq!(shop.reads(&alice, READ), Err("42501".into()));
}

fn a_superusers_lock_is_never_ended(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let login = server.superuser_login().at(&shop.database);
    let mut session = server.session(&login).expect("a session");
    session.sql(LOCK).expect("it may");
    let reports = shop.revoke_steps(&pressing(&given));
    told(&reports[0], &["never ended, for it is a superuser's"]);
    assert!(lives(&mut session));
    session.sql("ROLLBACK").expect("rollback");
    shop.taken(&given);
}

/// Runs in the background; `true` at the end if the server took it.
fn waiting(server: &Server, login: &Login, sql: &str) -> (u64, std::thread::JoinHandle<bool>) {
    let mut session = server.session(login).expect("a session");
    let pid = session.id();
    let sql = sql.to_owned();
    let done = std::thread::spawn(move || session.sql(&sql).is_ok());
    let deadline = Instant::now() + Duration::from_secs(20);
    let waits =
        format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'");
    while server.sql(&waits).expect("root may").is_empty() {
        assert!(Instant::now() < deadline, "it does not wait");
        std::thread::sleep(Duration::from_millis(10));
    }
    (pid, done)
}

/// The owner's DDL stands in the queue behind a reader's open transaction, and we behind it.
fn a_grantee_who_reads_while_the_owner_waits_is_ended(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    let mut reader = server.session(&alice).expect("a session");
    reader.sql(&format!("BEGIN; {READ}")).expect("she may");
    let pid = reader.id();
    let (owner, altered) = waiting(
        server,
        &shop.owner,
        "ALTER TABLE app.customers ADD COLUMN more int",
    );
    let reports = shop.revoke(&given);
    assert_eq!(errors(&reports), [""; 0]);
    assert_eq!(met(&reports[0], pid), Some(true), "{reports:?}");
    assert!(!lives(&mut reader));
    assert!(altered.join().expect("a thread"), "the owner's was done");
    assert!(reports[0].in_the_way.iter().all(|met| met.id != owner));
    assert_eq!(shop.reads(&alice, READ), Err("42501".into()));
}

fn a_bystander_who_waits_in_the_queue_is_ended_and_a_reader_is_not(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let bob = server.account("bob", &shop.database);
    let mallory = server.account("mallory", &shop.database);
    shop.as_owner(&format!(
        "GRANT SELECT (id) ON app.customers TO {}; GRANT UPDATE ON app.customers TO {}",
        bob.user, mallory.user
    ));
    let mut reader = server.session(&bob).expect("a session");
    reader
        .sql("BEGIN; SELECT id FROM app.customers")
        .expect("he may");
    let (pid, locked) = waiting(server, &mallory, LOCK);
    let reports = shop.revoke(&given);
    told(
        &reports[0],
        &[&format!(
            "session {pid} of {} with a wait for a lock on app.customers: left to finish",
            mallory.user
        )],
    );
    let reports = shop.revoke_steps(&pressing(&given));
    assert_eq!(errors(&reports), [""; 0]);
    assert!(!locked.join().expect("a thread"), "she was ended");
    let ended: Vec<u64> = reports[0].in_the_way.iter().map(|met| met.id).collect();
    assert_eq!(ended, [pid]);
    assert!(lives(&mut reader));
}

/// Whoever is ended comes back and locks again, at once and from many sessions.
fn sessions_that_come_back_get_no_turn_before_us(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    shop.run(&format!("GRANT UPDATE ON app.customers TO {}", alice.user));
    let stop = Arc::new(AtomicBool::new(false));
    let locked = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let (stop, locked, alice) = (stop.clone(), locked.clone(), alice.clone());
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut session) = server.session(&alice) else {
                        continue;
                    };
                    if session.sql(LOCK).is_ok() {
                        locked.fetch_add(1, Ordering::Relaxed);
                        let _ = session.sql("SELECT pg_sleep(600)");
                    }
                }
            });
        }
        while locked.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let reports = shop.revoke(&given);
        let left = shop.strays(&[]);
        stop.store(true, Ordering::Relaxed);
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
            alice.user
        );
        for _ in 0..10 {
            shop.run(&end);
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(errors(&reports), [""; 0]);
        assert_eq!(left, []);
        assert!(
            reports[0].in_the_way.iter().any(|met| met.ended),
            "{reports:?}"
        );
    });
}

fn a_session_that_we_may_not_end_is_told_with_what_ends_it(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    shop.run(&format!("REVOKE pg_signal_backend FROM {}", shop.jit.user));
    let (mut session, pid) = holder(&shop, &alice);
    let began = Instant::now();
    let reports = shop.revoke(&given);
    assert!(began.elapsed() < Duration::from_secs(10));
    told(
        &reports[0],
        &[
            &format!(
                "session {pid} of {} with a lock on app.customers",
                alice.user
            ),
            "we may not end it (permission denied",
            &format!("SELECT pg_terminate_backend({pid})"),
        ],
    );
    assert_eq!(met(&reports[0], pid), Some(false));
    assert!(lives(&mut session));
    // What it says to run helps.
    shop.run(&format!("SELECT pg_terminate_backend({pid})"));
    shop.taken(&given);
}

/// Where no second connection is to be had to look from, the first one does it after its wait.
fn one_connection_is_enough(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    shop.run(&format!("ALTER ROLE {} CONNECTION LIMIT 1", shop.jit.user));
    let (mut session, pid) = holder(&shop, &alice);
    let reports = shop.revoke(&given);
    assert_eq!(errors(&reports), [""; 0]);
    assert_eq!(met(&reports[0], pid), Some(true), "{reports:?}");
    assert!(!lives(&mut session));
    assert_eq!(shop.strays(&[]), []);
}

fn a_prepared_transaction_is_told_with_what_ends_it(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email"]);
    let (mut session, _) = holder(&shop, &alice);
    session
        .sql("PREPARE TRANSACTION 'kept'")
        .expect("anybody may, where the server allows any");
    drop(session);
    let reports = shop.revoke_steps(&pressing(&given));
    told(
        &reports[0],
        &[&format!(
            "prepared transaction \"kept\" of {0} with a lock on app.customers: {0} or a superuser runs ROLLBACK PREPARED",
            alice.user
        )],
    );
    shop.run("ROLLBACK PREPARED 'kept'");
    shop.taken(&given);
}

/// One REVOKE for two tables: who owns one is a bystander at the other, and so is a grantee.
fn each_table_has_its_own_owner_and_grantee(server: &Server) {
    let mut shop = Shop::open(server);
    let bob = server.account("bob", &shop.database);
    let other = TableName::new("app", "other");
    shop.run(&format!(
        "CREATE TABLE app.other (a int); ALTER TABLE app.other OWNER TO {0};
         GRANT SELECT (a) ON app.other TO {1} WITH GRANT OPTION; GRANT UPDATE ON app.customers TO {0}",
        bob.user, shop.grantor
    ));
    let carol = server.account("carol", &shop.database);
    let mut given = shop.given(&["email"]);
    given.extend(shop.given_to(&carol, columns(&other, &["a"])));
    let (mut at_customers, _) = holder(&shop, &bob);
    let reports = shop.revoke(&given);
    told(&reports[0], &["left to finish"]);
    assert!(reports[1].error.is_none(), "{reports:?}");
    assert_eq!(reports[1].in_the_way, []);
    // carol is the grantee of the other table only.
    at_customers.sql("ROLLBACK").expect("rollback");
    let (mut session, _) = holder(&shop, &carol);
    let reports = shop.revoke(&given);
    told(&reports[0], &["left to finish"]);
    assert!(lives(&mut session));
    session.sql("ROLLBACK").expect("rollback");
    shop.taken(&given);
}
