//! Statements that wait: somebody's locks, and our own statements whose operator is dead (facts-mysql, finding 3).

use super::*;
use crate::support::{Session, on_mysql, on_mysql_and_mariadb};
use std::time::{Duration, Instant};

on_mysql_and_mariadb!(
    a_waiting_grant_is_ended_by_its_request,
    a_revoke_ends_what_still_waits_on_its_table,
    a_lock_on_the_table_costs_a_bounded_wait_and_only_that_table,
    a_global_read_lock_costs_a_bounded_wait,
    a_grant_behind_a_lock_fails_whole_and_is_not_carried_out_later,
);

on_mysql!(without_us_a_dead_clients_grant_would_be_carried_out);

/// A GRANT of our engine that waits behind `LOCK TABLES … WRITE`, its operator dead. Gives the lock's holder back.
fn zombie<'s>(shop: &Shop<'s>, privileges: &[Privilege], id: &RequestId) -> Session {
    let mut holder = shop.server.session(&shop.server.superuser_login()).unwrap();
    holder.sql(&shop.filled("LOCK TABLES {c} WRITE")).unwrap();
    let dying = runtime();
    let mut engine = dying
        .block_on(jit::engines::connect(&address(shop.server, &shop.jit)))
        .unwrap();
    let orders = [GrantOrder {
        request: id.clone(),
        privileges: privileges.to_vec(),
    }];
    let granted = dying.block_on(async {
        tokio::time::timeout(Duration::from_millis(500), engine.grant(&orders)).await
    });
    assert!(granted.is_err(), "it waits");
    // Outside of its runtime nobody says goodbye.
    drop(engine);
    drop(dying);
    holder
}

fn waiting(shop: &Shop<'_>, id: &RequestId) -> usize {
    shop.root(&format!(
        "SELECT 1 FROM information_schema.processlist WHERE INFO LIKE '/* jit {id} %'"
    ))
    .len()
}

fn without_us_a_dead_clients_grant_would_be_carried_out(server: &Server) {
    let mut shop = Shop::open(server);
    let asked = shop.resolve(&["email"]);
    let mut holder = zombie(&shop, &asked, &request());
    holder.sql("UNLOCK TABLES").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(shop.can_read("email"), "this is what the laws here are for");
}

fn a_waiting_grant_is_ended_by_its_request(server: &Server) {
    let mut shop = Shop::open(server);
    let asked = shop.resolve(&["email"]);
    let (ours, other) = (request(), request());
    let mut holder = zombie(&shop, &asked, &ours);
    let ended = shop
        .runtime
        .block_on(shop.engine.end_own(std::slice::from_ref(&other)))
        .unwrap();
    assert_eq!(ended, 0);
    let waited = waiting(&shop, &ours);
    let begun = Instant::now();
    let ended = shop
        .runtime
        .block_on(shop.engine.end_own(std::slice::from_ref(&ours)))
        .unwrap();
    assert_eq!(ended, waited);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "it did not just wait for the lock's time to be over"
    );
    assert_eq!(waiting(&shop, &ours), 0);
    // MariaDB notices by itself that the client is gone.
    assert!(shop.is_mariadb() || waited == 1);
    holder.sql("UNLOCK TABLES").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!shop.can_read("email"));
    assert_eq!(shop.rows_left(), 0);
}

fn a_revoke_ends_what_still_waits_on_its_table(server: &Server) {
    let mut shop = Shop::open(server);
    let leased = shop.lease(&["email"]);
    let steps = shop.steps(&leased);
    let ours = request();
    let mut holder = zombie(&shop, &leased, &ours);
    let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
    assert_eq!(waiting(&shop, &ours), 0);
    holder.sql("UNLOCK TABLES").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    if reports[0].error.is_some() {
        shop.revoke(&leased);
    }
    assert!(!shop.can_read("email"));
    assert_eq!(shop.rows_left(), 0);
}

fn a_lock_on_the_table_costs_a_bounded_wait_and_only_that_table(server: &Server) {
    let mut shop = Shop::open(server);
    shop.root("CREATE TABLE {db}.d (id INT PRIMARY KEY, x INT); GRANT SELECT ON {db}.d TO {jit} WITH GRANT OPTION");
    let mut ask = shop.ask(&["email"]);
    ask.tables.push(TableColumns {
        table: shop.table_named("d"),
        columns: vec!["x".into()],
    });
    let asked = shop.resolve_ask(&ask);
    let leased = shop.grant(&asked);
    let steps = shop.steps(&leased);
    let mut holder = server.session(&server.superuser_login()).unwrap();
    holder.sql(&shop.filled("LOCK TABLES {c} WRITE")).unwrap();
    let begun = Instant::now();
    let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
    println!(
        "behind LOCK TABLES … WRITE after {:?}: {:?}",
        begun.elapsed(),
        reports[0].error
    );
    let reads = shop.filled("SELECT x FROM {db}.d");
    assert_eq!(
        server
            .login_and_select(&shop.alice, &reads)
            .unwrap_err()
            .code,
        "1142",
        "the other table's is gone"
    );
    holder.sql("UNLOCK TABLES").unwrap();
    shop.revoke(&leased);
    assert!(!shop.can_read("email"));
}

fn a_global_read_lock_costs_a_bounded_wait(server: &Server) {
    // It stops everybody: on a server of its own.
    let server = server.another(&[]);
    let mut shop = Shop::open(&server);
    let tables: Vec<String> = (0..5).map(|n| format!("t{n}")).collect();
    let mut ask = shop.ask(&["email"]);
    for table in &tables {
        shop.root(&format!(
            "CREATE TABLE {{db}}.{table} (id INT PRIMARY KEY, x INT); \
             GRANT SELECT ON {{db}}.{table} TO {{jit}} WITH GRANT OPTION"
        ));
        ask.tables.push(TableColumns {
            table: shop.table_named(table),
            columns: vec!["x".into()],
        });
    }
    let asked = shop.resolve_ask(&ask);
    let leased = shop.grant(&asked);
    let steps = shop.steps(&leased);
    let mut holder = server.session(&server.superuser_login()).unwrap();
    holder.sql("FLUSH TABLES WITH READ LOCK").unwrap();
    let begun = Instant::now();
    let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
    let took = begun.elapsed();
    println!(
        "behind FLUSH TABLES WITH READ LOCK after {took:?}: {:?}",
        reports[0].error
    );
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert!(reports.iter().all(|report| report.error.is_some()));
    holder.sql("UNLOCK TABLES").unwrap();
    shop.revoke(&leased);
    assert_eq!(shop.rows_left(), 0);
}

fn a_grant_behind_a_lock_fails_whole_and_is_not_carried_out_later(server: &Server) {
    let mut shop = Shop::open(server);
    let asked = shop.resolve(&["email"]);
    let mut holder = server.session(&server.superuser_login()).unwrap();
    holder.sql(&shop.filled("LOCK TABLES {c} WRITE")).unwrap();
    let begun = Instant::now();
    let reports = shop.grant_orders(&[GrantOrder {
        request: request(),
        privileges: asked.clone(),
    }]);
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    println!("{:?}: {:?}", begun.elapsed(), reports[0].error);
    holder.sql("UNLOCK TABLES").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(shop.can_read("email"), reports[0].error.is_none());
    shop.revoke(&asked);
}
