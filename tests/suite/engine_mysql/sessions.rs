//! Sessions that go on reading (facts-mysql, finding 4).

use super::*;
use crate::support::{on_mariadb, on_mysql, on_mysql_and_mariadb};
use std::time::Duration;

on_mariadb!(an_open_handler_reads_whole_rows_after_the_revoke_until_its_session_is_ended);
on_mysql!(a_running_statement_is_reported_and_an_idle_session_is_not);
on_mysql_and_mariadb!(
    sessions_of_others_are_left_alone,
    without_the_right_to_see_sessions_nothing_is_claimed,
    a_session_that_may_not_be_ended_says_so,
);

fn an_open_handler_reads_whole_rows_after_the_revoke_until_its_session_is_ended(server: &Server) {
    let mut shop = Shop::open(server);
    let caveats = shop.survey(&shop.ask(&["email"])).caveats;
    assert!(
        caveats[0].contains("HANDLER"),
        "it is said before: {caveats:?}"
    );
    let leased = shop.lease(&["email"]);
    let mut alice = server.session(&shop.alice).unwrap();
    alice.sql(&shop.filled("HANDLER {c} OPEN AS h")).unwrap();
    shop.revoke(&leased);
    let rows = alice.sql("HANDLER h READ FIRST").unwrap();
    assert_eq!(
        rows[0][2].as_deref(),
        Some("123"),
        "a column that was never leased"
    );

    let found = shop
        .runtime
        .block_on(shop.engine.sessions(&leased, false))
        .unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].id, alice.id());
    assert!(found[0].why.contains("HANDLER") && !found[0].ended);
    let found = shop
        .runtime
        .block_on(shop.engine.sessions(&leased, true))
        .unwrap();
    assert!(found[0].ended, "{found:?}");
    assert!(alice.sql("HANDLER h READ NEXT").is_err());
    let found = shop
        .runtime
        .block_on(shop.engine.sessions(&leased, false))
        .unwrap();
    assert_eq!(found, []);
}

fn a_running_statement_is_reported_and_an_idle_session_is_not(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    let mut alice = server.session(&shop.alice).unwrap();
    let found = shop
        .runtime
        .block_on(shop.engine.sessions(&leased, false))
        .unwrap();
    assert_eq!(found, [], "the next statement is checked anew");
    let id = alice.id();
    let sleeping = std::thread::spawn(move || alice.sql("SELECT SLEEP(30)"));
    std::thread::sleep(Duration::from_millis(300));
    let found = shop
        .runtime
        .block_on(shop.engine.sessions(&leased, false))
        .unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].why.contains("running a statement"), "{found:?}");
    let found = shop
        .runtime
        .block_on(shop.engine.sessions(&leased, true))
        .unwrap();
    assert!(found[0].ended && found[0].id == id, "{found:?}");
    assert!(sleeping.join().unwrap().is_err());
}

fn sessions_of_others_are_left_alone(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    let bob = server.account("bob", "");
    let mut bob = server.session(&bob).unwrap();
    shop.runtime
        .block_on(shop.engine.sessions(&leased, true))
        .unwrap();
    assert!(bob.sql("SELECT 1").is_ok());
}

fn without_the_right_to_see_sessions_nothing_is_claimed(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    shop.root("REVOKE PROCESS ON *.* FROM {jit}");
    let error = shop
        .runtime
        .block_on(shop.engine.sessions(&leased, false))
        .unwrap_err();
    assert!(matches!(error, EngineError::NotSetUp { .. }), "{error}");
}

fn a_session_that_may_not_be_ended_says_so(server: &Server) {
    let mut shop = Shop::open(server);
    let right = match shop.is_mariadb() {
        true => "CONNECTION ADMIN",
        false => "CONNECTION_ADMIN",
    };
    shop.root(&format!("REVOKE {right} ON *.* FROM {{jit}}"));
    // A session keeps what its account had when it began.
    let address = address(server, &shop.jit);
    let again = jit::engines::connect(&address);
    shop.engine = shop.runtime.block_on(again).unwrap();
    let leased = shop.lease(&["email"]);
    let mut alice = server.session(&shop.alice).unwrap();
    let found = shop
        .runtime
        .block_on(shop.engine.sessions(&leased, true))
        .unwrap();
    assert!(!found[0].ended);
    assert!(found[0].why.contains("could not be ended"), "{found:?}");
    assert!(alice.sql("SELECT 1").is_ok());
}
