//! Sessions that go on reading, and our own that a crash left behind.

use std::time::{Duration, Instant};

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    a_session_that_goes_on_reading_is_reported,
    a_session_that_goes_on_reading_is_ended_where_we_may,
    a_session_that_cannot_read_on_is_not_reported,
    a_session_of_a_role_that_acts_for_the_grantee_is_reported,
    our_own_session_in_the_middle_of_a_request_is_ended,
    the_servers_clock_is_ours,
);

fn sessions(shop: &mut Shop, of: &[Privilege], end: bool) -> Vec<jit::engines::Session> {
    shop.runtime
        .block_on(shop.engine.sessions(of, end))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A session of alice that has read with a prepared statement in an open transaction.
fn reader(shop: &Shop) -> crate::support::Session {
    let mut reader = shop.server.session(&shop.alice).expect("a session");
    reader
        .sql("BEGIN; PREPARE p AS SELECT email FROM app.customers; EXECUTE p")
        .expect("alice has a lease");
    reader
}

fn a_session_that_goes_on_reading_is_reported(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let mut reader = reader(&shop);
    shop.taken(&given);
    assert_eq!(
        reader.sql("EXECUTE p").map(|rows| rows.len()),
        Ok(2),
        "this is why it is reported (facts-postgres, finding 2)"
    );
    let found = sessions(&mut shop, &given, false);
    let [session] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(session.id, reader.id());
    assert_eq!(session.account, shop.alice.user);
    assert!(session.why.contains("app.customers"), "{session:?}");
    assert!(!session.ended);
    // Without pg_signal_backend it cannot be ended, and that is said.
    shop.run(&format!("REVOKE pg_signal_backend FROM {}", shop.jit.user));
    let found = sessions(&mut shop, &given, true);
    assert!(
        !found[0].ended && found[0].why.contains("may not end it"),
        "{found:?}"
    );
}

fn a_session_that_goes_on_reading_is_ended_where_we_may(server: &Server) {
    let mut shop = Shop::open(server);
    // The login inherits nothing on 15 and before, and becomes it for the moment.
    shop.run(&format!("GRANT pg_signal_backend TO {}", shop.jit.user));
    let given = shop.given(&["email"]);
    let mut reader = reader(&shop);
    shop.taken(&given);
    let found = sessions(&mut shop, &given, true);
    assert!(found.len() == 1 && found[0].ended, "{found:?}");
    assert!(reader.sql("EXECUTE p").is_err());
    assert_eq!(sessions(&mut shop, &given, true), []);
}

fn a_session_that_cannot_read_on_is_not_reported(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let mut idle = server.session(&shop.alice).expect("a session");
    shop.as_owner("CREATE TABLE app.other AS SELECT 1 AS a; GRANT SELECT ON app.other TO PUBLIC");
    for sql in [
        "PREPARE p AS SELECT email FROM app.customers",
        "EXECUTE p",
        "BEGIN",
        "SELECT a FROM app.other",
    ] {
        idle.sql(sql).expect("alice has a lease");
    }
    shop.taken(&given);
    assert_eq!(sessions(&mut shop, &given, false), []);
    assert_eq!(
        idle.sql("EXECUTE p").map_err(|refused| refused.code),
        Err("42501".into())
    );
}

fn a_session_of_a_role_that_acts_for_the_grantee_is_reported(server: &Server) {
    let mut shop = Shop::open(server);
    let given = shop.given(&["email"]);
    let carol = server.account("carol", &shop.database);
    shop.run(&format!("GRANT {} TO {}", shop.alice.user, carol.user));
    let mut session = server.session(&carol).expect("a session");
    session
        .sql("BEGIN; PREPARE p AS SELECT email FROM app.customers; EXECUTE p")
        .expect("carol inherits it");
    shop.taken(&given);
    let found = sessions(&mut shop, &given, false);
    assert!(
        found.len() == 1 && found[0].account == carol.user,
        "{found:?}"
    );
}

fn our_own_session_in_the_middle_of_a_request_is_ended(server: &Server) {
    let mut shop = Shop::open(server);
    let (ours, other) = (request(), request());
    let mut stuck = server.session(&shop.jit).expect("a session");
    stuck
        .sql(&format!(
            "/* jit {ours} */ BEGIN; SET LOCAL application_name = 'jit:{ours}'; SET LOCAL ROLE {}; /* jit {ours} */
             GRANT SELECT (email) ON app.customers TO {}",
            shop.grantor, shop.alice.user
        ))
        .expect("our grantor may");
    let mut idle = server.session(&shop.jit).expect("a session");
    idle.sql(&format!("/* jit {ours} */ SELECT 1"))
        .expect("a query");
    let end = |shop: &mut Shop, of: &[RequestId]| {
        shop.runtime
            .block_on(shop.engine.end_own(of))
            .unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(end(&mut shop, &[]), 0);
    assert_eq!(end(&mut shop, &[other]), 0);
    assert_eq!(end(&mut shop, &[request(), ours]), 1);
    assert!(stuck.sql("COMMIT").is_err());
    idle.sql("SELECT 1").expect("what is done is left alone");
    assert_eq!(shop.strays(&[]), []);

    // One that serves too many requests to name them all counts for each.
    let mut batch = server.session(&shop.jit).expect("a session");
    batch
        .sql("BEGIN; SET LOCAL application_name = 'jit:batch'")
        .expect("a session");
    assert_eq!(end(&mut shop, &[request()]), 1);
    assert!(batch.sql("SELECT 1").is_err());
}

fn the_servers_clock_is_ours(server: &Server) {
    let mut shop = Shop::open(server);
    let began = Instant::now();
    let skew = shop
        .runtime
        .block_on(shop.engine.clock_skew())
        .unwrap_or_else(|error| panic!("{error}"));
    let bound = began.elapsed() + Duration::from_millis(5);
    assert!(skew.unsigned_abs() as u128 <= bound.as_millis(), "{skew}");
}
