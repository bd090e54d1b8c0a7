//! Odd names go through everything unharmed.

use super::*;
use crate::support::on_mysql_and_mariadb;

on_mysql_and_mariadb!(
    odd_names_are_granted_read_and_revoked,
    a_database_with_a_wildcard_in_its_name_means_only_itself,
    the_longest_names_fit,
);

const ODD: [&str; 13] = [
    "MixedCase",
    "with space",
    "back`tick",
    "quo'te",
    "dou\"ble",
    "dot.ted",
    "select",
    "100%",
    "under_score",
    "back\\slash",
    "Straße",
    "名前",
    "semi;colon -- x /* y */",
];

fn odd_names_are_granted_read_and_revoked(server: &Server) {
    for (number, odd) in ODD.iter().enumerate() {
        let database = format!("{odd} {}", unique());
        let user = format!("{} u{}", odd.chars().take(20).collect::<String>(), unique());
        let table = format!("{}.{}", quoted(&database), quoted(odd));
        let literal = user.replace('\\', "\\\\").replace('\'', "''");
        server.run(
            "",
            &format!(
                "CREATE DATABASE {}; CREATE TABLE {table} ({} INT, other INT); INSERT INTO {table} VALUES (7, 8);
                 CREATE USER '{literal}'@'%' IDENTIFIED BY '{ACCOUNT_PASSWORD}'",
                quoted(&database),
                quoted(odd),
            ),
        );
        let mut shop = Shop::open(server);
        server.run(
            "",
            &format!(
                "GRANT SELECT ON {table} TO '{}'@'%' WITH GRANT OPTION",
                shop.jit.user
            ),
        );
        let ask = Ask {
            grantee: Grantee(format!("{user}@%").into()),
            tables: vec![TableColumns {
                table: TableName::new(database.clone(), *odd),
                columns: vec![ColumnName::from(*odd)],
            }],
            along: Vec::new(),
            ours: HashSet::default().into(),
        };
        let asked = shop.resolve_ask(&ask);
        let leased = shop.grant(&asked);
        let person = Login::new(&user, ACCOUNT_PASSWORD, "");
        let read = |what: &str| {
            server
                .login_and_select(&person, &format!("SELECT {what} FROM {table}"))
                .map(|rows| rows[0][0].clone())
        };
        assert_eq!(read(&quoted(odd)).unwrap().as_deref(), Some("7"), "{odd}");
        assert_eq!(read("other").unwrap_err().code, "1143", "{odd}");
        shop.revoke(&leased);
        assert_eq!(
            read(&quoted(odd)).unwrap_err().code,
            "1142",
            "{odd} {number}"
        );
    }
}

/// Column grants are literal, while grants on a whole database are patterns.
fn a_database_with_a_wildcard_in_its_name_means_only_itself(server: &Server) {
    let mut shop = Shop::open(server);
    let pattern = shop.database.replace('_', "%");
    server.run(
        "",
        &format!(
            "CREATE DATABASE {db}; CREATE TABLE {db}.c (id INT, email INT); INSERT INTO {db}.c VALUES (1, 2);
             GRANT SELECT ON {db}.c TO '{jit}'@'%' WITH GRANT OPTION",
            db = quoted(&pattern),
            jit = shop.jit.user
        ),
    );
    let ask = shop.ask_of(&TableName::new(pattern.clone(), "c"), &["email"]);
    let asked = shop.resolve_ask(&ask);
    let leased = shop.grant(&asked);
    assert!(
        !shop.can_read("email"),
        "the database that the pattern fits"
    );
    let there = format!("SELECT email FROM {}.c", quoted(&pattern));
    assert!(server.login_and_select(&shop.alice, &there).is_ok());
    shop.revoke(&leased);
    assert!(server.login_and_select(&shop.alice, &there).is_err());

    // And a grant on the pattern is seen as a way to read the other.
    server.run(
        "",
        &format!(
            "GRANT SELECT ON {}.* TO '{}'@'%'",
            quoted(&pattern),
            shop.alice.user
        ),
    );
    assert!(shop.can_read("email"));
    let readable = shop.survey(&shop.ask(&["email"])).readable;
    assert_eq!(readable.len(), 1, "{readable:?}");
    assert!(readable[0].how.contains("database grant"), "{readable:?}");
}

fn the_longest_names_fit(server: &Server) {
    let mut shop = Shop::open(server);
    let long = "n".repeat(64);
    let table = format!("{{db}}.{long}");
    shop.root(&format!(
        "CREATE TABLE {table} ({long} INT); INSERT INTO {table} VALUES (1); \
         GRANT SELECT ON {table} TO {{jit}} WITH GRANT OPTION"
    ));
    let user = "u".repeat(if shop.is_mariadb() { 80 } else { 32 });
    server.run("", &format!("DROP USER IF EXISTS '{user}'@'%'"));
    let person = account_at(server, &user, "%");
    let mut ask = shop.ask_of(&shop.table_named(&long), &[long.as_str()]);
    ask.grantee = grantee(&person);
    let asked = shop.resolve_ask(&ask);
    let leased = shop.grant(&asked);
    let select = shop.filled(&format!("SELECT {long} FROM {table}"));
    assert!(server.login_and_select(&person, &select).is_ok());
    shop.revoke(&leased);
    assert!(server.login_and_select(&person, &select).is_err());
    server.run("", &format!("DROP USER '{user}'@'%'"));
}
