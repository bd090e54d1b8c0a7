//! What others may do to hinder us: event triggers, grant options, lost connections. Locks: see `locks`.

use std::time::{Duration, Instant};

use jit::access::TablePattern;

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    an_event_trigger_that_grants_again_is_noticed,
    an_event_trigger_that_refuses_is_told_and_the_rest_goes,
    a_grantable_row_with_dependents_is_left_and_told,
    an_uncommitted_change_of_the_same_column_is_waited_for_briefly,
    a_revoke_that_our_grantor_may_not_do_any_more_is_no_success,
    a_lost_connection_is_made_anew,
    a_connection_lost_in_the_middle_is_made_good,
    another_server_under_the_same_address_is_refused,
);

fn an_event_trigger_that_grants_again_is_noticed(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    shop.run(&format!(
        "CREATE FUNCTION public.again() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF tg_tag = 'REVOKE' THEN EXECUTE 'GRANT SELECT (email) ON app.customers TO {}'; END IF; END $$;
         CREATE EVENT TRIGGER again ON ddl_command_end EXECUTE FUNCTION public.again()",
        shop.alice.user
    ));
    let reports = shop.revoke(&given);
    assert!(
        matches!(error(&reports[0]), EngineError::Changed { .. }),
        "{reports:?}"
    );
    assert!(shop.standings(&given).iter().all(is_held));
    shop.run("DROP EVENT TRIGGER again");
    shop.taken(&given);
    assert_eq!(shop.strays(&[]), []);
}

fn an_event_trigger_that_refuses_is_told_and_the_rest_goes(server: &Server) {
    let mut shop = Shop::open(server);
    shop.as_owner(&format!(
        "CREATE TABLE app.other (a int); GRANT SELECT (a) ON app.other TO {} WITH GRANT OPTION",
        shop.grantor
    ));
    let alice = shop.alice.clone();
    let mut given = shop.given(&["email"]);
    let other = TableName::new("app", "other");
    given.extend(shop.given_to(&alice, columns(&other, &["a"])));
    // A trigger sees the statement's text only.
    shop.run(
        "CREATE FUNCTION public.never() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF tg_tag = 'REVOKE' AND current_query() LIKE '%customers%' THEN RAISE 'not today'; END IF; END $$;
         CREATE EVENT TRIGGER never ON ddl_command_start EXECUTE FUNCTION public.never()",
    );
    let reports = shop.revoke(&given);
    assert!(
        error(&reports[0]).to_string().contains("not today"),
        "{reports:?}"
    );
    assert!(reports[1].error.is_none(), "{reports:?}");
    assert_eq!(shop.strays(&[]), given[..1]);
    shop.run("DROP EVENT TRIGGER never");
}

fn a_grantable_row_with_dependents_is_left_and_told(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let given = shop.given(&["email", "phone"]);
    let bob = server.account("bob", &shop.database);
    shop.run(&format!(
        "SET ROLE {}; GRANT SELECT (email) ON app.customers TO {} WITH GRANT OPTION",
        shop.grantor, alice.user
    ));
    server
        .login_and_select(
            &alice,
            &format!("GRANT SELECT (email) ON app.customers TO {}", bob.user),
        )
        .expect("alice may now");
    match &shop.standings(&given)[0] {
        Standing::Held { grantable, .. } => assert!(grantable),
        other => panic!("{other:?}"),
    }
    // A grant over it is refused: it would bless what somebody else has made of our row.
    let again = shop.grant(&[order(&given)]);
    assert!(matches!(error(&again[0]), EngineError::Changed { .. }));

    let reports = shop.revoke(&given);
    assert!(
        matches!(error(&reports[0]), EngineError::Refused { code, .. } if code == "2BP01"),
        "{reports:?}"
    );
    // The other column of the same step went all the same, and bob was not touched.
    assert_eq!(
        shop.reads(&alice, "SELECT phone FROM app.customers"),
        Err("42501".into())
    );
    let read = "SELECT email FROM app.customers";
    assert_eq!(shop.reads(&alice, read), Ok(2));
    assert_eq!(shop.reads(&bob, read), Ok(2));
}

fn an_uncommitted_change_of_the_same_column_is_waited_for_briefly(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let bob = server.account("bob", &shop.database);
    let mut holder = server.session(&shop.owner).expect("a session");
    let their = format!(
        "BEGIN; GRANT SELECT (email) ON app.customers TO {}",
        bob.user
    );
    holder.sql(&their).expect("the owner may");
    let began = Instant::now();
    let reports = shop.revoke(&given);
    assert!(
        matches!(error(&reports[0]), EngineError::Refused { code, .. } if code == "55P03"),
        "{reports:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    // Committed under our hands: the first try fails with "tuple concurrently updated", the next goes.
    let commits = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        holder.sql("COMMIT").expect("commit");
    });
    shop.taken(&given);
    commits.join().expect("a commit");
    assert_eq!(shop.strays(&[]), []);
    assert_eq!(shop.reads(&bob, "SELECT email FROM app.customers"), Ok(2));
}

fn a_revoke_that_our_grantor_may_not_do_any_more_is_no_success(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    // The row stays, and the grantor loses its membership for our login: the server answers 42501 to SET ROLE.
    shop.run(&format!("REVOKE {} FROM {}", shop.grantor, shop.jit.user));
    let reports = shop.revoke(&given);
    assert!(
        matches!(error(&reports[0]), EngineError::NotSetUp { .. }),
        "{reports:?}"
    );
    assert!(shop.standings(&given).iter().all(is_held));
}

fn a_lost_connection_is_made_anew(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
        shop.jit.user
    );
    shop.run(&end);
    assert!(shop.standings(&given).iter().all(is_held));
    shop.run(&end);
    shop.taken(&given);
    assert_eq!(shop.strays(&[]), []);
}

fn a_connection_lost_in_the_middle_is_made_good(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let user = shop.jit.user.clone();
    // Ended by somebody as soon as it waits for the owner's uncommitted change.
    let bob = server.account("bob", &shop.database);
    let mut holder = server.session(&shop.owner).expect("a session");
    let their = format!(
        "BEGIN; GRANT SELECT (email) ON app.customers TO {}",
        bob.user
    );
    holder.sql(&their).expect("the owner may");
    let login = server.superuser_login();
    let mut root = server.session(&login).expect("a session");
    let killer = std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let ended = root
                .sql(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE usename = '{user}' AND wait_event_type = 'Lock'"
                ))
                .expect("root may");
            if !ended.is_empty() {
                holder.sql("ROLLBACK").expect("rollback");
                return;
            }
            assert!(Instant::now() < deadline, "it never waited");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    shop.taken(&given);
    killer.join().expect("a kill");
    assert_eq!(shop.strays(&[]), []);
}

/// The database is dropped and made again under the same name: other OIDs, so not the one that we know.
fn another_server_under_the_same_address_is_refused(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    server
        .sql(&format!("DROP DATABASE {0} WITH (FORCE)", shop.database))
        .expect("dropped");
    server
        .sql(&format!("CREATE DATABASE {0}", shop.database))
        .expect("made");
    let result = shop
        .runtime
        .block_on(shop.engine.privileges(&given, &HashSet::default()));
    assert!(
        matches!(result, Err(EngineError::Changed { .. })),
        "{result:?}"
    );
    let reports = shop.revoke(&given);
    assert!(matches!(error(&reports[0]), EngineError::Changed { .. }));
    // Not even what names no identity is asked of a stranger.
    let catalog = shop
        .runtime
        .block_on(shop.engine.catalog(&[TablePattern::any()]));
    assert!(matches!(catalog, Err(EngineError::Changed { .. })));
}
