//! Odd names mean themselves.

use super::*;
use crate::support::on_each_postgres;

on_each_postgres!(
    odd_columns_tables_and_schemas_are_leased_by_their_names,
    odd_accounts_are_themselves_and_not_a_keyword,
    nobody_can_name_everybody,
    names_that_cannot_be_are_no_tables,
);

/// For an SQL text of the tests themselves.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

const ODD: [&str; 14] = [
    "Email",
    "e,mail",
    "a.b",
    "with space",
    "quo\"te",
    "sem;icolon--",
    "apos'trophe\\",
    "user",
    "public",
    "select",
    "straße",
    "数据",
    "e\u{301}",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

fn odd_columns_tables_and_schemas_are_leased_by_their_names(server: &Server) {
    let odd_columns: Vec<String> = ODD
        .iter()
        .map(|name| format!("{} int", quoted(name)))
        .collect();
    let body = odd_columns.join(", ");
    let mut sql = format!("CREATE TABLE app.odd ({body}, \"é\" int, email int);");
    let mut needs = vec![(
        TableName::new("app", "odd"),
        ODD.iter().map(|name| column(name)).collect::<Vec<_>>(),
    )];
    for name in ODD {
        sql.push_str(&format!(
            "CREATE TABLE app.{0} (a int); CREATE SCHEMA {1}; GRANT USAGE ON SCHEMA {1} TO PUBLIC;
             CREATE TABLE {1}.{0} (a int);",
            quoted(name),
            // The schema `public` is there already.
            quoted(
                &format!("{}!", &name.chars().take(60).collect::<String>())
                    .chars()
                    .rev()
                    .collect::<String>()
            ),
        ));
        needs.push((TableName::new("app", name), vec![column("a")]));
        let schema: String = format!("{}!", name.chars().take(60).collect::<String>())
            .chars()
            .rev()
            .collect();
        needs.push((TableName::new(schema, name), vec![column("a")]));
    }
    let mut shop = Shop::with(server, &sql, needs.clone());
    let alice = shop.alice.clone();
    for (table, names) in &needs {
        for name in names {
            let of = columns(table, &[name.as_str()]);
            let read = format!(
                "SELECT {} FROM {}.{}",
                quoted(name.as_str()),
                quoted(&table.schema),
                quoted(&table.table)
            );
            let given = shop.given_to(&alice, of);
            assert_eq!(shop.reads(&alice, &read), Ok(0), "{read}");
            // Nothing else: one row in the whole catalog.
            assert_eq!(shop.strays(&[]), given, "{read}");
            shop.taken(&given);
            assert_eq!(shop.reads(&alice, &read), Err("42501".into()), "{read}");
            assert_eq!(shop.strays(&[]), []);
        }
    }
}

fn odd_accounts_are_themselves_and_not_a_keyword(server: &Server) {
    let mut shop = Shop::open(server);
    let n = unique();
    let bystander = server.account("bystander", &shop.database);
    for name in [
        "PUBLIC".to_owned(),
        "user".to_owned(),
        "current_user".to_owned(),
        "session_user".to_owned(),
        "None".to_owned(),
        format!("Al\"ice {n}"),
        format!("al.ice-{n}"),
        format!("a;DROP ROLE x;--{n}"),
        format!("álïce_{n}"),
        format!("{:x<63}", format!("a{n}_")),
    ] {
        let role = quoted(&name);
        shop.run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{ACCOUNT_PASSWORD}'"
        ));
        let login = Login::new(&name, ACCOUNT_PASSWORD, &shop.database);
        let given = shop.given_to(&login, columns(&customers(), &["email"]));
        let read = "SELECT email FROM app.customers";
        assert_eq!(shop.reads(&login, read), Ok(2), "{name}");
        assert_eq!(shop.reads(&bystander, read), Err("42501".into()), "{name}");
        shop.taken(&given);
        assert_eq!(shop.reads(&login, read), Err("42501".into()), "{name}");
        shop.run(&format!("DROP ROLE {role}"));
    }
}

fn nobody_can_name_everybody(server: &Server) {
    let mut shop = Shop::open(server);
    for name in ["public", "PUBLIC", "Public"] {
        let login = Login::new(name, "", &shop.database);
        let ask = shop.ask(&login, columns(&customers(), &["email"]));
        let survey = shop.survey(&[ask]).remove(0);
        let problems = format!("{:?}", survey.problems);
        assert!(problems.contains("is everybody"), "{problems}");
        assert_eq!(survey.privileges, []);
    }
    // Even an order that somebody forged with the name and a real role's number is not sent.
    let mut forged = {
        let alice = shop.alice.clone();
        shop.resolve(&alice, columns(&customers(), &["email"]))
    };
    forged[0].named.grantee = Grantee("public".into());
    let reports = shop.grant(&[order(&forged)]);
    assert!(matches!(error(&reports[0]), EngineError::Changed { .. }));
    assert_eq!(shop.strays(&[]), []);
}

fn names_that_cannot_be_are_no_tables(server: &Server) {
    let mut shop = Shop::open(server);
    let alice = shop.alice.clone();
    let cut = "x".repeat(63);
    shop.as_owner(&format!("CREATE TABLE app.{cut} ({cut} int)"));
    for table in [
        TableName::new("app", format!("{cut}y")),
        TableName::new("app", "a\0b"),
        TableName::new("a\0", "b"),
        TableName::new("App", "customers"),
        TableName::new("app", "Customers"),
        TableName::new("", ""),
    ] {
        let ask = shop.ask(&alice, columns(&table, &["a"]));
        let survey = shop.survey(&[ask]).remove(0);
        assert!(
            format!("{:?}", survey.problems).contains("NoTable"),
            "{table:?}: {survey:?}"
        );
    }
    for name in [
        format!("{cut}y"),
        "Email".to_owned(),
        "ctid".to_owned(),
        "a\0".to_owned(),
    ] {
        let ask = shop.ask(&alice, columns(&customers(), &[&name]));
        let survey = shop.survey(&[ask]).remove(0);
        assert!(
            format!("{:?}", survey.problems).contains("NoColumn"),
            "{name:?}: {survey:?}"
        );
    }
    for name in [
        format!("{}y", alice.user).as_str(),
        "a\0",
        "",
        &alice.user.to_uppercase(),
    ] {
        let login = Login::new(name, "", &shop.database);
        let ask = shop.ask(&login, columns(&customers(), &["email"]));
        let survey = shop.survey(&[ask]).remove(0);
        assert!(
            format!("{:?}", survey.problems).contains("NoAccount"),
            "{name:?}: {survey:?}"
        );
    }
}
