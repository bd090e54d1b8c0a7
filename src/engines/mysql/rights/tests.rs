use super::*;

fn table() -> TableName {
    TableName::new("shop", "c")
}

fn account(text: &str) -> Account {
    Account::from(&crate::access::Grantee(text.into()))
}

fn database(who: &str, pattern: &str) -> (String, Vec<DatabaseRow>) {
    let account = account(who);
    let row = DatabaseRow {
        account: account.clone(),
        database: pattern.to_owned(),
        select: true,
        grant: false,
    };
    (account.user.into(), vec![row])
}

fn column(who: &str, name: &str) -> HashMap<Account, Vec<ColumnRow>> {
    let row = ColumnRow {
        column: name.into(),
        at: "".into(),
    };
    HashMap::from_iter([(account(who), vec![row])])
}

#[test]
fn a_column_is_found_in_any_case_and_ours_do_not_count() {
    let mut rights = Rights::default();
    rights.columns.insert(table(), column("alice@%", "SSN"));
    let ways = rights.ways(&account("alice@%"), &table());
    assert_eq!(ways.of("ssn", &|_| false), ["column grant on SSN"]);
    let ours = key(&table(), &account("alice@%"), "ssn");
    assert!(ways.of("ssn", &|key| *key == ours).is_empty());
    assert!(ways.of("email", &|_| false).is_empty());
}

#[test]
fn database_patterns_reach_and_literal_ones_do_not() {
    let mut rights = Rights {
        databases: HashMap::from_iter([database("alice@%", "sh%")]),
        ..Rights::default()
    };
    let alice = account("alice@%");
    assert_eq!(rights.ways(&alice, &table()).whole.len(), 1);
    rights.literal_databases = true;
    assert!(rights.ways(&alice, &table()).whole.is_empty());
}

#[test]
fn roles_reach_through_roles() {
    let edge = |role: &str, to: &str| Edge {
        role: account(role),
        to: account(to),
    };
    let rights = Rights {
        databases: HashMap::from_iter([database("reader@%", "shop")]),
        roles: vec![
            edge("staff@%", "alice@%"),
            edge("reader@%", "staff@%"),
            edge("staff@%", "reader@%"),
        ],
        ..Rights::default()
    };
    let ways = rights.ways(&account("alice@%"), &table());
    assert_eq!(
        ways.whole.into_iter().collect::<Vec<_>>(),
        ["role reader@% (database grant on shop)"]
    );
    assert!(rights.ways(&account("bob@%"), &table()).whole.is_empty());
}

#[test]
fn mandatory_roles_are_everybodys() {
    let rights = Rights {
        databases: HashMap::from_iter([database("reader@%", "shop")]),
        mandatory: mandatory_roles("`reader`@`%`"),
        ..Rights::default()
    };
    assert_eq!(rights.ways(&account("bob@%"), &table()).whole.len(), 1);
}

#[test]
fn the_same_name_from_everywhere_serves_the_narrower_account() {
    let rights = Rights {
        databases: HashMap::from_iter([database("alice@%", "shop")]),
        ..Rights::default()
    };
    let narrow = account("alice@127.0.0.1");
    assert_eq!(rights.ways(&narrow, &table()).whole.len(), 1);
}

#[test]
fn a_proxy_reads_what_the_other_reads() {
    let mut rights = Rights {
        proxies: vec![Edge {
            role: account("bob@%"),
            to: account("alice@%"),
        }],
        ..Rights::default()
    };
    rights.columns.insert(table(), column("bob@%", "email"));
    let ways = rights.ways(&account("alice@%"), &table());
    assert_eq!(
        ways.of("email", &|_| false),
        ["as proxy for bob@% (column grant on email)"]
    );
    assert_eq!(rights.members(&account("bob@%")), [&account("alice@%")]);
}

#[test]
fn a_grant_option_is_found_through_a_role() {
    let mut rights = Rights {
        roles: vec![Edge {
            role: account("lead@%"),
            to: account("alice@%"),
        }],
        ..Rights::default()
    };
    rights.tables.insert(
        table(),
        HashMap::from_iter([(
            account("lead@%"),
            TableRow {
                grantor: "root@localhost".into(),
                at: "".into(),
                select: false,
                grant: true,
                columns: false,
            },
        )]),
    );
    assert_eq!(
        rights
            .grant_option(&account("alice@%"), &table())
            .as_deref(),
        Some("GRANT OPTION on shop.c by role lead@%")
    );
    assert!(rights.grant_option(&account("bob@%"), &table()).is_none());
}

#[test]
fn mandatory_roles_are_read() {
    assert_eq!(
        mandatory_roles("r1, `r,2`@`h`,'o''r'@'%'"),
        [account("r1@%"), account("r,2@h"), account("o'r@%")]
    );
    assert!(mandatory_roles("").is_empty());
}
