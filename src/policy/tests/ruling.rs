//! Which policy rules a column, and what follows from that: offers, globs, the tests in files, what was recorded.

use crate::policy::testing::{CONTRACT, ask, book, contract, targets, team};
use crate::policy::{Expect, Judgement, still_allows};

const NESTED: &str = r#"
  - name: everything
    target: shop
    table: "*.*"
    columns: ["*"]
    allow: []
  - name: mails
    target: shop
    table: public.*
    columns: ["*mail*"]
    allow: []
  - name: exact
    target: shop
    table: public.customers
    columns: [email]
    allow: []
"#;

#[test]
fn the_most_exact_policy_rules() {
    let book = book(NESTED);
    for (columns, policy) in [
        ("public.customers:email", "exact"),
        ("public.customers:emails", "mails"),
        ("public.orders:email", "mails"),
        ("app.orders:email", "everything"),
        ("public.customers:name", "everything"),
    ] {
        let explained = book.explain(&team(), &ask("alice", columns, "1h").question());
        assert_eq!(
            explained.columns[0].policy.as_deref(),
            Some(policy),
            "{columns}"
        );
    }
    let explained = book.explain(
        &team(),
        &ask("alice", "public.customers:email", "1h").question(),
    );
    assert_eq!(explained.columns[0].also, ["everything", "mails"]);
}

#[test]
fn where_none_beats_all_others_nothing_is_judged() {
    let book = book(
        r#"
  - {name: a, target: shop, table: public.*, columns: [email], allow: []}
  - {name: b, target: shop, table: public.customers, columns: ["e*"], allow: []}
"#,
    );
    assert_eq!(
        ask("alice", "public.customers:email", "1h").refused(&book),
        [
            "the policies a, b all name public.customers:email and none is more exact than the others: an error in \
             the files, see jit policy check"
        ]
    );
}

#[test]
fn columns_compare_without_case_only_on_mysql() {
    let book = book(
        r#"
  - name: p
    target: shop
    table: shop.cards
    columns: [CardNr]
    with: [Id]
    allow: [{who: [alice], max: 1h, approval: auto}]
"#,
    );
    let mut question = ask("alice", "shop.cards:cardnr,ID", "1h");
    question.tables[0].columns.truncate(1);
    assert_eq!(
        question.refused(&book),
        ["no policy of shop names shop.cards:cardnr; try shop.cards:CardNr"]
    );
    question.ignore_case = true;
    let terms = question.allowed(&book);
    assert_eq!(terms.rules[0].columns.to_string(), "shop.cards:cardnr");
    assert_eq!(terms.along[0].to_string(), "shop.cards:Id");
    // A table's name is never folded.
    let mut other = ask("alice", "shop.CARDS:CardNr", "1h");
    other.ignore_case = true;
    assert!(matches!(other.judged(&book), Judgement::Refused(_)));
}

#[test]
fn offers_are_what_a_person_may_ask_for() {
    let book = contract();
    let offers = |who: &str, column: &str| {
        let catalog = [("public.customers".parse().unwrap(), vec![column.into()])];
        let shop = "shop".into();
        let ruled = book.ruled(&shop, false, &catalog);
        let entries = ruled.flat_map(|of| {
            let rules = (0..).map(|at| of.policy.shown(at));
            rules.zip(&of.policy.entries)
        });
        let open = entries.filter(|(_, entry)| entry.gate().opens(&team(), who));
        open.map(|(rule, entry)| (rule, entry.offer()))
            .collect::<Vec<_>>()
    };
    let carol = offers("carol", "email");
    assert_eq!(carol.len(), 1);
    let (rule, offer) = &carol[0];
    assert_eq!(rule, "customer-contact, entry 2");
    assert_eq!(offer.purposes, ["incident", "migration"]);
    assert_eq!(offer.approval, "1 of group:dba and 1 of group:privacy");
    assert_eq!(
        offers("alice", "phone")[0].1.ticket.as_deref(),
        Some(r"SUP-\d+")
    );
    assert!(offers("mallory", "email").is_empty());
    assert!(offers("alice", "id").is_empty());
}

#[test]
fn globs_are_expanded_against_a_catalog() {
    let book = book(
        &format!("{NESTED}{CONTRACT}")
            .replace(r#"table: "*.*""#, r#"table: "shop*.*""#)
            .replace(
                "columns: [email]\n    allow: []",
                "columns: [fax]\n    allow: []",
            ),
    );
    let catalog = vec![
        (
            "public.customers".parse().unwrap(),
            ["id", "name", "email", "phone"].map(Into::into).to_vec(),
        ),
        (
            "public.orders".parse().unwrap(),
            ["id", "email_sent", "total"].map(Into::into).to_vec(),
        ),
        (
            "app.things".parse().unwrap(),
            ["id"].map(Into::into).to_vec(),
        ),
    ];
    let protected: Vec<String> = book
        .protected(&"shop".into(), false, &catalog)
        .iter()
        .map(|p| format!("{}:{} {}", p.table, p.column, p.policy))
        .collect();
    assert_eq!(
        protected,
        [
            "public.customers:email customer-contact",
            "public.customers:phone customer-contact",
            "public.orders:email_sent mails",
        ]
    );
    let leasable = book.leasable(&"shop".into(), false, &catalog);
    let tables: Vec<String> = leasable
        .tables
        .iter()
        .map(|(t, c)| format!("{t} {c:?}"))
        .collect();
    assert_eq!(
        tables,
        [
            r#"public.customers [ColumnName("id"), ColumnName("email"), ColumnName("phone")]"#,
            r#"public.orders [ColumnName("email_sent")]"#,
        ]
    );
    assert!(leasable.usage.is_empty());
}

#[test]
fn tests_in_files_go_through_the_same_judgement() {
    let text = format!(
        "{CONTRACT}{}",
        r"
      - {who: erin, purpose: incident, for: 1h, expect: approval, approvers: [carol, paula]}
      - {who: erin, purpose: incident, for: 1h, expect: approval, approvers: [carol]}
      - {who: erin, purpose: incident, for: 1h, columns: [phone], expect: auto}
      - {who: bob, purpose: support-ticket, ticket: nope, for: 30m, expect: auto}
"
    );
    let results = book(&text).run_tests(&team(), &targets());
    let passed: Vec<bool> = results.iter().map(|result| result.passed).collect();
    assert_eq!(passed, [true, true, true, false, false, false]);
    assert_eq!(
        results[0].asked,
        "alice asks for public.customers:email,phone for 30m, purpose support-ticket, ticket SUP-7"
    );
    assert_eq!(
        results[3].got,
        "approval: 1 of group:dba and 1 of group:privacy; with carol still missing 1 of group:privacy"
    );
    assert_eq!(results[4].expected, Expect::Auto);
    assert!(
        results[5].got.contains("\"nope\" does not"),
        "{}",
        results[5].got
    );
    assert_eq!(results[0].number, 1);
    assert!(results[0].line > 20);
}

#[test]
fn a_recorded_judgement_holds_only_while_the_rules_of_today_give_as_much() {
    let ask = ask("alice", "public.customers:email", "1h")
        .purpose("support-ticket")
        .ticket("SUP-7");
    let recorded = ask.allowed(&contract());
    assert_eq!(still_allows(&recorded, &ask.judged(&contract())), Ok(()));

    let shorter = book(&CONTRACT.replace("max: 1h", "max: 30m"));
    let why = still_allows(&recorded, &ask.judged(&shorter)).unwrap_err();
    assert!(
        why.contains("for 30m, not 1h (customer-contact, entry 1)"),
        "{why}"
    );

    let without = book(&CONTRACT.replace("with: [id]", "with: []"));
    let why = still_allows(&recorded, &ask.judged(&without)).unwrap_err();
    assert!(
        why.contains(
            "public.customers:id is not leased along any more (customer-contact, entry 1)"
        ),
        "{why}"
    );

    let granting = book(&CONTRACT.replacen("ticket:", "usage: grant\n        ticket:", 1));
    let recorded = ask.allowed(&granting);
    let why = still_allows(&recorded, &ask.judged(&contract())).unwrap_err();
    assert!(why.contains("USAGE"), "{why}");
    assert_eq!(
        still_allows(&ask.allowed(&contract()), &ask.judged(&granting)),
        Ok(())
    );
}
