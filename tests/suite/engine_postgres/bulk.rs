//! Many leases at once: merged, and still exact.

use std::time::{Duration, Instant};

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    hundreds_of_distinct_sets_are_given_exactly,
    ten_thousand_leases_come_and_go_in_seconds,
    one_bad_table_costs_only_itself,
);

fn table(number: usize) -> TableName {
    TableName::new("app", format!("t{number}"))
}

/// So many tables with so many columns each.
fn many(server: &Server, tables: usize, width: usize) -> Shop<'_> {
    let names: Vec<String> = (0..width).map(|n| format!("c{n}")).collect();
    let sql: String = (0..tables)
        .map(|t| format!("CREATE TABLE app.t{t} ({} int);", names.join(" int, ")))
        .collect();
    let needs = (0..tables)
        .map(|t| (table(t), names.iter().map(|name| column(name)).collect()))
        .collect();
    Shop::with(server, &sql, needs)
}

/// What the catalog shows of our grantor: table, column, grantee.
fn shown(shop: &Shop) -> HashSet<(String, String, String)> {
    let rows = shop.run(&format!(
        "SELECT c.relname, a.attname, x.grantee::regrole FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid,
         aclexplode(a.attacl) x WHERE x.grantor = '{}'::regrole",
        shop.grantor
    ));
    rows.into_iter()
        .map(|row| {
            let mut row = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || row.next().unwrap_or_default();
            (next(), next(), next())
        })
        .collect()
}

fn wanted(of: &[Privilege]) -> HashSet<(String, String, String)> {
    of.iter()
        .map(|privilege| {
            (
                privilege
                    .named
                    .table()
                    .map(|t| t.table.to_string())
                    .unwrap_or_default(),
                privilege
                    .named
                    .column()
                    .map(|c| c.0.to_string())
                    .unwrap_or_default(),
                privilege.named.grantee.to_string(),
            )
        })
        .collect()
}

fn hundreds_of_distinct_sets_are_given_exactly(server: &Server) {
    let mut shop = many(server, 6, 8);
    let accounts: Vec<Login> = (0..6)
        .map(|_| server.account("many", &shop.database))
        .collect();
    // Of every table each account gets another set of columns: the bits of a running number.
    let mut asks = Vec::new();
    let mut bits = 1_usize;
    for t in 0..6 {
        for login in &accounts {
            bits = (bits * 37 + 11) % 255 + 1;
            for part in [bits & 0x0f, bits & 0xf0] {
                let names: Vec<String> = (0..8)
                    .filter(|bit| part >> bit & 1 == 1)
                    .map(|bit| format!("c{bit}"))
                    .collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                if !names.is_empty() {
                    asks.push(shop.ask(login, columns(&table(t), &names)));
                }
            }
        }
    }
    let surveys = shop.survey(&asks);
    let orders: Vec<GrantOrder> = surveys.iter().map(|s| order(&s.privileges)).collect();
    let reports = shop.grant(&orders);
    assert_eq!(errors(&reports), [""; 0]);
    let batch = reports[0].batch.clone();
    assert!(batch.is_some() && reports.iter().all(|report| report.batch == batch));
    let all: Vec<Privilege> = surveys.into_iter().flat_map(|s| s.privileges).collect();
    assert_eq!(shown(&shop), wanted(&all));

    let (gone, left) = all.split_at(all.len() / 3);
    shop.taken(gone);
    assert_eq!(shown(&shop), wanted(left));
    shop.taken(left);
    assert_eq!(shown(&shop), HashSet::default());
}

fn one_bad_table_costs_only_itself(server: &Server) {
    let mut shop = many(server, 12, 2);
    let alice = shop.alice.clone();
    let asks: Vec<Ask> = (0..12)
        .map(|t| shop.ask(&alice, columns(&table(t), &["c0", "c1"])))
        .collect();
    let orders: Vec<GrantOrder> = shop
        .survey(&asks)
        .iter()
        .map(|survey| order(&survey.privileges))
        .collect();
    shop.as_owner("ALTER TABLE app.t3 RENAME TO gone; ALTER TABLE app.t7 RENAME COLUMN c1 TO c9");
    let reports = shop.grant(&orders);
    for (place, report) in reports.iter().enumerate() {
        match place {
            3 | 7 => assert!(
                matches!(error(report), EngineError::Changed { .. }),
                "{report:?}"
            ),
            _ => assert!(report.error.is_none(), "{report:?}"),
        }
    }
    assert_eq!(shown(&shop).len(), 20);
}

/// Also a measurement: see its output with `--nocapture`.
fn ten_thousand_leases_come_and_go_in_seconds(server: &Server) {
    let mut shop = many(server, 100, 20);
    let accounts: Vec<Login> = (0..5)
        .map(|_| server.account("bulk", &shop.database))
        .collect();
    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // One request a table and account: five hundred requests of twenty leases each.
    let asks: Vec<Ask> = (0..100)
        .flat_map(|t| {
            accounts
                .iter()
                .map(move |login| (t, login))
                .collect::<Vec<_>>()
        })
        .map(|(t, login)| shop.ask(login, columns(&table(t), &names)))
        .collect();
    let time = |what: &str, began: Instant| {
        let took = began.elapsed();
        println!("10,000 leases: {what} {} ms", took.as_millis());
        assert!(took < Duration::from_secs(30), "{what} took {took:?}");
    };
    let began = Instant::now();
    let surveys = shop.survey(&asks);
    time("survey", began);
    let orders: Vec<GrantOrder> = surveys.iter().map(|s| order(&s.privileges)).collect();
    let all: Vec<Privilege> = surveys.into_iter().flat_map(|s| s.privileges).collect();
    assert_eq!(all.len(), 10_000);

    let began = Instant::now();
    let reports = shop.grant(&orders);
    time("grant", began);
    assert_eq!(errors(&reports), [""; 0]);
    let began = Instant::now();
    assert!(shop.standings(&all).iter().all(is_held));
    time("privileges", began);
    let began = Instant::now();
    assert_eq!(shop.strays(&all), []);
    time("strays", began);

    // The plan would merge the accounts of a table.
    let merged: Vec<RevokeStep> = (0..100)
        .map(|t| RevokeStep {
            on: StepObject::Columns {
                table: table(t),
                columns: names.iter().map(|name| column(name)).collect(),
            },
            grantees: accounts
                .iter()
                .map(|a| Grantee(a.user.clone().into()))
                .collect(),
            privileges: all
                .iter()
                .filter(|privilege| privilege.named.table() == Some(&table(t)))
                .cloned()
                .collect(),
            urgency: jit::access::plan::Urgency::Usual,
        })
        .collect();
    let began = Instant::now();
    let reports = shop.revoke_steps(&merged);
    time("revoke", began);
    assert_eq!(errors(&reports), [""; 0]);
    assert!(!shop.standings(&all).iter().any(is_held));
    let began = Instant::now();
    assert_eq!(shop.still_reads(&all), [""; 0]);
    time("still_reads", began);

    // The same by one file of merged statements, as psql would send it, for comparison.
    let accounts: Vec<&str> = accounts.iter().map(|a| a.user.as_str()).collect();
    for (verb, to) in [("GRANT", "TO"), ("REVOKE", "FROM")] {
        let statements: String = (0..100)
            .map(|t| {
                format!(
                    "{verb} SELECT ({}) ON app.t{t} {to} {};",
                    names.join(", "),
                    accounts.join(", ")
                )
            })
            .collect();
        let mut session = server.session(&shop.owner).expect("a session");
        let began = Instant::now();
        for statement in format!("BEGIN;{statements}COMMIT").split(';') {
            session.sql(statement).expect("the owner may");
        }
        time(&format!("{verb} by merged statements one by one"), began);
    }
}
