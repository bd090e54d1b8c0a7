//! Ten thousand leases: few statements, few looks.

use super::*;
use crate::support::on_mysql_and_mariadb;
use std::time::Instant;

on_mysql_and_mariadb!(
    ten_thousand_leases_are_given_and_taken_in_merged_statements,
    a_table_with_very_many_holders_is_no_slower,
);

const TABLES: usize = 100;
const COLUMNS: usize = 20;
const PEOPLE: usize = 5;

fn ten_thousand_leases_are_given_and_taken_in_merged_statements(server: &Server) {
    let mut shop = Shop::open(server);
    let list =
        |each: &dyn Fn(usize) -> String| (0..COLUMNS).map(each).collect::<Vec<_>>().join(", ");
    let columns: Vec<ColumnName> = (0..COLUMNS)
        .map(|n| ColumnName(format!("c{n}").into()))
        .collect();
    let mut sql = String::new();
    for table in 0..TABLES {
        sql.push_str(&shop.filled(&format!(
            "CREATE TABLE {{db}}.t{table} ({}) ENGINE=MyISAM; GRANT SELECT ON {{db}}.t{table} TO {{jit}} WITH GRANT OPTION;",
            list(&|n| format!("c{n} INT"))
        )));
    }
    server.run("", &sql);
    let people: Vec<Login> = (0..PEOPLE).map(|_| server.account("p", "")).collect();
    let tables: Vec<TableColumns> = (0..TABLES)
        .map(|n| TableColumns {
            table: shop.table_named(&format!("t{n}")),
            columns: columns.clone(),
        })
        .collect();
    let asks: Vec<Ask> = people
        .iter()
        .flat_map(|person| {
            tables.iter().map(|table| Ask {
                grantee: grantee(person),
                tables: vec![table.clone()],
                along: Vec::new(),
                ours: HashSet::default().into(),
            })
        })
        .collect();

    let begun = Instant::now();
    let surveys = shop.runtime.block_on(shop.engine.survey(&asks)).unwrap();
    let surveyed = begun.elapsed();
    let orders: Vec<GrantOrder> = surveys
        .into_iter()
        .map(|survey| {
            assert_eq!(survey.problems, []);
            GrantOrder {
                request: request(),
                privileges: survey.privileges,
            }
        })
        .collect();

    let begun = Instant::now();
    let reports = shop.grant_orders(&orders);
    let granted = begun.elapsed();
    assert!(reports.iter().all(|report| report.error.is_none()));
    let all: Vec<Privilege> = orders
        .into_iter()
        .flat_map(|order| order.privileges)
        .collect();
    assert_eq!(all.len(), TABLES * COLUMNS * PEOPLE);

    let begun = Instant::now();
    let standings = shop.standings(&all);
    let observed = begun.elapsed();
    assert!(
        standings
            .iter()
            .all(|standing| matches!(standing, Standing::Held { .. }))
    );

    // As the plan merges them: everybody who loses the same columns of a table.
    let steps: Vec<RevokeStep> = tables
        .iter()
        .map(|table| RevokeStep {
            on: StepObject::Columns {
                table: table.table.clone(),
                columns: columns.clone(),
            },
            grantees: people.iter().map(grantee).collect(),
            privileges: all
                .iter()
                .filter(|privilege| privilege.named.table() == Some(&table.table))
                .cloned()
                .collect(),
            urgency: jit::access::plan::Urgency::Usual,
        })
        .collect();
    let begun = Instant::now();
    let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
    let revoked = begun.elapsed();
    assert!(reports.iter().all(|report| report.error.is_none()));
    let standings = shop.standings(&all);
    assert!(
        standings
            .iter()
            .all(|standing| matches!(standing, Standing::Absent { .. }))
    );
    println!(
        "{server:?}: 10,000 leases: survey {surveyed:?}, grant {granted:?}, observe {observed:?}, revoke {revoked:?}"
    );

    // The same statements by hand, one after the other on one connection.
    let mut by_hand = server.session(&shop.jit).unwrap();
    let names = list(&|n| format!("`c{n}`"));
    let accounts: Vec<String> = people.iter().map(|p| format!("'{}'@'%'", p.user)).collect();
    let merged = if shop.is_mariadb() {
        accounts.clone()
    } else {
        vec![accounts.join(", ")]
    };
    let mut took = Vec::new();
    for (verb, to) in [("GRANT", "TO"), ("REVOKE", "FROM")] {
        let begun = Instant::now();
        for table in &tables {
            for accounts in &merged {
                by_hand
                    .sql(&shop.filled(&format!(
                        "{verb} SELECT ({names}) ON {{db}}.{} {to} {accounts}",
                        table.table.table
                    )))
                    .unwrap();
            }
        }
        took.push(begun.elapsed());
    }
    println!(
        "{server:?}: by hand: grant {:?}, revoke {:?}",
        took[0], took[1]
    );
}

/// The same number of leases, all on one table: nothing may grow with the square of its holders.
fn a_table_with_very_many_holders_is_no_slower(server: &Server) {
    const HOLDERS: usize = 500;
    let mut shop = Shop::open(server);
    for n in 0..COLUMNS {
        shop.root(&format!("ALTER TABLE {{c}} ADD COLUMN c{n} INT"));
    }
    let tag = unique();
    let people: Vec<String> = (0..HOLDERS).map(|n| format!("h{tag}_{n}")).collect();
    let made: Vec<String> = people.iter().map(|p| format!("'{p}'@'%'")).collect();
    server.run("", &format!("CREATE USER {}", made.join(", ")));
    let names: Vec<String> = (0..COLUMNS).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let asks: Vec<Ask> = people
        .iter()
        .map(|person| Ask {
            grantee: Grantee(format!("{person}@%").into()),
            ..shop.ask(&names)
        })
        .collect();
    let begun = Instant::now();
    let surveys = shop.runtime.block_on(shop.engine.survey(&asks)).unwrap();
    let surveyed = begun.elapsed();
    let orders: Vec<GrantOrder> = surveys
        .into_iter()
        .map(|survey| GrantOrder {
            request: request(),
            privileges: survey.privileges,
        })
        .collect();
    let begun = Instant::now();
    let reports = shop.grant_orders(&orders);
    let granted = begun.elapsed();
    assert!(
        reports.iter().all(|report| report.error.is_none()),
        "{:?}",
        reports[0]
    );
    let all: Vec<Privilege> = orders
        .into_iter()
        .flat_map(|order| order.privileges)
        .collect();
    let begun = Instant::now();
    let all = shop.stamped(&all);
    let observed = begun.elapsed();
    let surveys = shop.runtime.block_on(shop.engine.survey(&asks)).unwrap();
    assert!(
        surveys
            .iter()
            .all(|survey| survey.readable.len() == COLUMNS)
    );
    let begun = Instant::now();
    let steps = shop.steps(&all);
    let reports = shop.runtime.block_on(shop.engine.revoke(&steps));
    let revoked = begun.elapsed();
    assert!(reports.iter().all(|report| report.error.is_none()));
    let standings = shop.standings(&all);
    assert!(
        standings
            .iter()
            .all(|standing| matches!(standing, Standing::Absent { .. }))
    );
    println!(
        "{server:?}: one table, {} leases: survey {surveyed:?}, grant {granted:?}, observe {observed:?}, \
         observe and revoke {revoked:?}",
        all.len()
    );
    server.run("", &format!("DROP USER {}", made.join(", ")));
}
