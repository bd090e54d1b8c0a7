//! Many leases at once: one sweep gives them, one sweep takes them, and nothing is left over.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use crate::support::people::{Person, alice, bob, dave};
use crate::support::server::{Kind, Server};
use crate::support::shop::{self, Shop};
use crate::support::{on_every_server, on_postgres};

on_every_server!(
    a_thousand_leases_are_given_and_taken_in_one_sweep_each,
    the_columns_of_a_company_are_put_into_a_mailbox_once,
    the_columns_of_a_company_are_not_read_at_every_sweep,
);

on_postgres!(what_does_not_fit_into_a_mailbox_is_told_or_read_from_the_policies);

const POLICY: &str = r"
version: 1
policies:
  - name: wide
    target: shop
    table: '{schema}.t*'
    columns: ['c*']
    allow:
      - {who: [jitalice, jitbob, jitmallory, jitcarol, jitdave], max: 2h, approval: auto}
";

fn a_thousand_leases_are_given_and_taken_in_one_sweep_each(server: &Server) {
    let (tables, columns) = size();
    let shop = Shop::bare(server, POLICY);
    let names: Vec<String> = (1..=columns).map(|n| format!("c{n}")).collect();
    let typed: Vec<String> = names.iter().map(|name| format!("{name} int")).collect();
    for n in 1..=tables {
        shop.dba(&format!(
            "CREATE TABLE {} ({})",
            shop.table(&format!("t{n}")),
            typed.join(", ")
        ));
    }
    shop.jit.init();
    shop.set_up();
    shop.sweep().ok();
    let all: Vec<String> = (1..=tables)
        .map(|n| format!("{}:{}", shop.table(&format!("t{n}")), names.join(",")))
        .collect();
    // No request names more than a thousand columns.
    for half in all.chunks(1000 / columns) {
        for person in shop.people() {
            let mut arguments = vec!["request", "shop"];
            arguments.extend(half.iter().map(String::as_str));
            arguments.extend(["--for", "1h", "--reason", "many"]);
            shop.jit(&person, &arguments).ok();
        }
    }
    let started = Instant::now();
    shop.sweep().ok();
    let granting = started.elapsed();
    let granted: usize = shop
        .events("granted")
        .iter()
        .map(|event| event["columns"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(granted, tables * columns * 5);
    let read = format!(
        "SELECT c1, c{columns} FROM {}",
        shop.table(&format!("t{tables}"))
    );
    assert!(shop.selects("jitalice", &read));
    shop.jit(
        &crate::support::people::carol(),
        &["revoke", "--everything", "--reason", "over", "--yes"],
    )
    .ok();
    let started = Instant::now();
    shop.sweep().ok();
    let taking = started.elapsed();
    eprintln!(
        "{} leases on {}: {granting:.2?} to give, {taking:.2?} to sweep after all was taken",
        granted,
        server.kind().word()
    );
    let taken: usize = shop
        .events("revoked")
        .iter()
        .map(|event| event["columns"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(taken, granted);
    assert!(!shop.selects("jitalice", &read));
    assert_eq!(left_over(&shop), 0);
    shop.audit_is_sound();
}

/// Tables and columns; `JIT_TEST_TABLES` makes it larger, by hand.
fn size() -> (usize, usize) {
    let tables = std::env::var("JIT_TEST_TABLES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10);
    (tables, 20)
}

/// Column privileges of the shop's people that are still in the catalog.
fn left_over(shop: &Shop<'_>) -> usize {
    let sql = match shop.server.kind() {
        Kind::Postgres => format!(
            "SELECT 1 FROM pg_attribute a, aclexplode(a.attacl) x, pg_roles r WHERE r.oid = x.grantee AND r.rolname LIKE 'jit%\\_{}' AND r.rolname NOT LIKE 'jit\\_grantor%'",
            shop.suffix
        ),
        Kind::Mysql | Kind::Mariadb => format!(
            "SELECT 1 FROM mysql.columns_priv WHERE Db = '{}' AND User <> '{}'",
            shop.database,
            shop.login("jitadmin")
        ),
    };
    shop.dba(&sql).len()
}

/// What may be asked for changes seldom, and of a whole company it is megabytes: a sweep that finds nothing new there
/// writes only the small file that says when it was.
fn the_columns_of_a_company_are_put_into_a_mailbox_once(server: &Server) {
    let shop = Shop::bare(server, &POLICY.replace("jitbob, ", ""));
    shop.dba(&format!(
        "CREATE TABLE {} (c1 int, c2 int)",
        shop.table("t1")
    ));
    shop.jit.init();
    shop.set_up();
    for person in [alice(), bob(), dave()] {
        shop.jit(&person, &["list"]).ok();
    }
    shop.sweep().ok();
    let place = |person: &Person, name: &str| {
        shop.jit
            .path(format!("var/lib/jit/inbox/{}/{name}.json", person.uid))
    };
    let file = |person: &Person, name: &str| fs::metadata(place(person, name)).unwrap().ino();
    let offered = |person: &Person| {
        let told = shop.jit(person, &["columns", "-o", "json"]).ok().json();
        let told = told.as_array().unwrap().clone();
        let names = told
            .iter()
            .map(|of| of["column"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(offered(&alice()), ["c1", "c2"]);
    assert_eq!(offered(&bob()), Vec::<String>::new());
    let bobs = fs::read_to_string(place(&bob(), "columns")).unwrap();
    assert!(
        !bobs.contains("t1"),
        "whoever may not ask is told no names: {bobs}"
    );
    let (columns, view) = (file(&alice(), "columns"), file(&alice(), "view"));
    shop.sweep().ok();
    assert_eq!(file(&alice(), "columns"), columns, "nothing is new there");
    assert_ne!(
        file(&alice(), "view"),
        view,
        "it says when the last sweep was"
    );
    shop.dba(&format!(
        "ALTER TABLE {} ADD COLUMN c3 int",
        shop.table("t1")
    ));
    // MySQL and MariaDB show jit's account only what it may give.
    shop.set_up();
    shop.sweep().ok();
    assert_eq!(offered(&alice()), ["c1", "c2", "c3"]);
    // Named in short, and all of them.
    let asked = [
        "request",
        "shop",
        "t1:*",
        "--for",
        "1h",
        "--reason",
        "why",
        "--dry-run",
    ];
    let said = shop.jit(&alice(), &asked).ok();
    assert!(said.err.contains("* is"), "{said}");
    assert!(said.err.contains("c1,c2,c3"), "{said}");
}

/// Reading a hundred thousand takes a server seconds. A new one can be asked for at once all the same.
fn the_columns_of_a_company_are_not_read_at_every_sweep(server: &Server) {
    let shop = Shop::bare(server, POLICY);
    let make = |table: &str, columns: usize| {
        let columns: Vec<String> = (1..=columns).map(|n| format!("c{n} int")).collect();
        let table = shop.table(table);
        shop.dba(&format!("CREATE TABLE {table} ({})", columns.join(", ")));
    };
    let add = |column: &str| {
        let table = shop.table("t1");
        shop.dba(&format!("ALTER TABLE {table} ADD COLUMN {column} int"));
        shop.set_up();
        shop.sweep().ok();
    };
    let offered = || {
        let told = shop.jit(&alice(), &["columns", "-o", "json"]).ok().json();
        told.as_array().unwrap().len()
    };
    make("t1", 500);
    make("t2", 500);
    shop.jit.init();
    shop.set_up();
    shop.jit(&alice(), &["list"]).ok();
    shop.sweep().ok();
    assert_eq!(offered(), 1000);
    add("c501");
    assert_eq!(offered(), 1001, "a thousand are read at every sweep");
    add("c502");
    assert_eq!(offered(), 1001, "and more are not");
    let column = format!("{}:c502", shop.table("t1"));
    let asked = ["request", "shop", &column, "--for", "1h", "--reason", "why"];
    shop.jit(&alice(), &asked).ok();
    shop.sweep().ok();
    assert!(shop.has_row("jitalice", "t1", "c502"));

    // Whatever is new in the policies is seen at once.
    let policies = shop.jit.path("etc/policies/shop.yaml");
    let text = fs::read_to_string(&policies).unwrap();
    fs::write(&policies, format!("{text}# the same\n")).unwrap();
    shop.sweep().ok();
    assert_eq!(offered(), 1002);

    // Five minutes later.
    add("c503");
    assert_eq!(offered(), 1002);
    let ledger = rusqlite::Connection::open(shop.jit.ledger()).unwrap();
    let moved = ledger.execute(
        "UPDATE facts SET value = json_set(value, '$.columns.shop.at', '2026-01-01T00:00:00.000Z')
         WHERE name = 'last_sweep_report'",
        [],
    );
    assert_eq!(moved, Ok(1));
    drop(ledger);
    shop.sweep().ok();
    assert_eq!(offered(), 1003);
}

/// As where there are too many columns: what operators told is not all, and says so.
fn what_does_not_fit_into_a_mailbox_is_told_or_read_from_the_policies(server: &Server) {
    let notes = "  - {name: notes, target: shop, table: public.orders, columns: [note],
     allow: [{who: [jitalice], max: 1h, approval: auto}]}\n";
    let shop = Shop::with_policy(server, &format!("{}{notes}", shop::POLICY));
    shop.jit(&alice(), &["list"]).ok();
    shop.sweep().ok();
    let told = format!("var/lib/jit/inbox/{}/columns.json", alice().uid);
    let tell = |text: &str| fs::write(shop.jit.path(&told), text).unwrap();
    let columns = || shop.jit(&alice(), &["columns"]).ok();

    tell(r#"{"tables":[],"offerings":[],"left_out":7}"#);
    let said = columns();
    assert!(said.out.contains("public.customers:email,phone"), "{said}");
    assert!(
        said.err.contains("3 more do not fit"),
        "four are spelled out: {said}"
    );
    let asked = [
        "request",
        "shop",
        "customers:ssn",
        "--for",
        "1h",
        "--reason",
        "why",
        "--dry-run",
    ];
    shop.jit(&alice(), &asked).ok().says("allowed");

    tell(
        r#"{"tables":[{"target":"shop","table":"public.customers","runs":[[0,["email"]],[9,["ssn"]]]}],
            "offerings":[{"policy":"contact","class":null,"max":"1h","offers":[
              {"max":"1h","purposes":[],"ticket":null,"approval":"no approval"}]}],"left_out":2}"#,
    );
    let said = columns();
    assert!(
        said.out.contains("public.customers:email\n"),
        "as it was told: {said}"
    );
    assert!(
        said.out.contains("public.orders:note\n"),
        "of another table: {said}"
    );
    assert!(said.err.contains("1 more do not fit"), "{said}");

    for torn in ["", "{", "[]", r#"{"tables":3}"#] {
        tell(torn);
        let said = shop.jit(&alice(), &["columns"]).exit(1);
        assert!(said.err.contains("cannot be read"), "{torn:?}: {said}");
        // What needs no columns goes on.
        shop.jit(&alice(), &["list"]).ok();
    }
    shop.sweep().ok();
    assert!(
        columns().out.contains("public.customers:email,phone"),
        "the next sweep mends it"
    );
}
