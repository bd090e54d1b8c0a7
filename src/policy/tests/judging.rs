use crate::access::{ApprovalLine, Sessions, Ttl, Usage};
use crate::policy::testing::{CONTRACT, ask, book, targets, team};
use crate::policy::{Book, Expect, Judgement, still_allows};

fn contract() -> Book {
    book(CONTRACT)
}

#[test]
fn the_contract_allows_what_it_shows() {
    let terms = ask("alice", "public.customers:email,phone", "1h")
        .purpose("support-ticket")
        .ticket("SUP-7")
        .allowed(&contract());
    assert!(terms.is_automatic());
    assert_eq!(terms.rules.len(), 1);
    assert_eq!(
        (
            terms.rules[0].rule.policy.as_str(),
            terms.rules[0].rule.entry
        ),
        ("customer-contact", 1)
    );
    assert_eq!(terms.rules[0].class.as_deref(), Some("pii"));
    assert_eq!(terms.along[0].to_string(), "public.customers:id");
    assert_eq!(terms.memberships, ["group:support"]);
    assert_eq!(
        (terms.max, terms.max_total),
        (Ttl::from_secs(3600), Ttl::from_secs(7200))
    );

    let terms = ask("frank", "public.customers:email", "8h")
        .purpose("incident")
        .allowed(&contract());
    let line = |by: &str| ApprovalLine {
        by: vec![by.into()],
        count: 1,
    };
    assert_eq!(terms.lines, [line("group:dba"), line("group:privacy")]);
    assert_eq!(terms.within, Ttl::from_secs(7200));
    assert_eq!(terms.sessions, Sessions::End);
    assert_eq!(terms.memberships, ["frank"]);
}

#[test]
fn a_refusal_names_rule_and_flags() {
    let book = contract();
    for (question, said) in [
        (
            ask("alice", "public.customers:email", "2h")
                .purpose("support-ticket")
                .ticket("SUP-7"),
            "support may have public.customers:email for 1h, not 2h (customer-contact, entry 1); try --for 1h",
        ),
        (
            ask("alice", "public.customers:email,phone", "2h"),
            "public.customers:email,phone needs a purpose: support-ticket (customer-contact); \
             try --purpose support-ticket --for 1h --ticket TICKET",
        ),
        (
            ask("alice", "public.customers:email", "1h")
                .purpose("fun")
                .ticket("SUP-1"),
            "public.customers:email may be had for support-ticket, not for \"fun\" (customer-contact); \
             try --purpose support-ticket",
        ),
        (
            ask("alice", "public.customers:email", "1h").purpose("support-ticket"),
            r"support may have public.customers:email with a ticket that matches SUP-\d+ (customer-contact, entry 1); try --ticket TICKET",
        ),
        (
            ask("alice", "public.customers:email", "1h")
                .purpose("support-ticket")
                .ticket("x SUP-1"),
            "support may have public.customers:email with a ticket that matches SUP-\\d+, and \"x SUP-1\" does not \
             (customer-contact, entry 1); try --ticket TICKET",
        ),
        (
            ask("mallory", "public.customers:email", "1h"),
            "mallory may not have public.customers:email: it is for frank, group:engineering, group:support \
             (customer-contact)",
        ),
        (
            ask("alice", "public.customers:email", "1h")
                .purpose("support-ticket")
                .ticket("SUP-1")
                .unbroken("2h30m"),
            "support may have public.customers:email for 2h unbroken, not 2h 30m (customer-contact, entry 1); \
             try --for 30m",
        ),
        (
            ask("alice", "public.customers:email", "1h")
                .purpose("support-ticket")
                .ticket("SUP-1")
                .unbroken("3h"),
            "support may have public.customers:email for 2h unbroken, not 3h (customer-contact, entry 1)",
        ),
        (
            ask("alice", "public.customers:emial", "1h"),
            "no policy of shop names public.customers:emial; try public.customers:email",
        ),
        (
            ask("alice", "publik.customers:phone", "1h"),
            "no policy of shop names publik.customers:phone; try public.customers:phone",
        ),
        (
            ask("alice", "public.customer:mail", "1h"),
            "no policy of shop names public.customer:mail; try public.customers:email",
        ),
        (ask("alice", "x.y:z", "1h"), "no policy of shop names x.y:z"),
    ] {
        assert_eq!(question.refused(&book), [said]);
    }
}

#[test]
fn a_column_that_no_policy_names_cannot_be_requested() {
    // Not even one that is leased along.
    assert_eq!(
        ask("alice", "public.customers:id", "1h")
            .refused(&contract())
            .len(),
        1
    );
    let mut elsewhere = ask("alice", "public.customers:email", "1h");
    elsewhere.target = "other".into();
    assert_eq!(
        elsewhere.refused(&contract()),
        ["no policy of other names public.customers:email"]
    );
    assert_eq!(
        ask("alice", "", "1h").refused(&contract()),
        ["no column is asked for"]
    );
}

#[test]
fn the_ticket_must_match_as_a_whole() {
    let book = book(
        r#"
  - name: p
    target: shop
    table: public.t
    columns: [a]
    allow:
      - {who: [alice], ticket: 'A|AB', max: 1h, approval: auto}
"#,
    );
    for (ticket, fits) in [
        ("A", true),
        ("AB", true),
        ("ABC", false),
        ("xA", false),
        ("A\n", false),
        ("", false),
    ] {
        let judged = ask("alice", "public.t:a", "1h")
            .ticket(ticket)
            .judged(&book);
        assert_eq!(matches!(judged, Judgement::Allowed(_)), fits, "{ticket:?}");
    }
}

const STEPS: &str = r#"
  - name: steps
    target: shop
    table: public.t
    columns: [a]
    allow:
      - {who: [group:support], max: 30m, ticket: 'T-\d', approval: auto}
      - {who: [group:support], max: 2h, max_total: 3h, approval: {all: [{by: [group:dba]}]}}
      - {who: [group:dba], max: 1h, approval: auto}
"#;

#[test]
fn the_first_entry_that_fits_decides_and_then_its_ticket_must_match() {
    let book = book(STEPS);
    // Half an hour is the first entry's: without a ticket it is refused, although the second would give it.
    assert_eq!(
        ask("alice", "public.t:a", "30m").refused(&book),
        [
            r"support may have public.t:a with a ticket that matches T-\d (steps, entry 1); try --ticket TICKET"
        ]
    );
    assert_eq!(
        ask("alice", "public.t:a", "31m").allowed(&book).rules[0]
            .rule
            .entry,
        2
    );
    assert_eq!(
        ask("dave", "public.t:a", "30m").allowed(&book).rules[0]
            .rule
            .entry,
        3
    );
}

#[test]
fn the_trace_tells_every_rule_that_was_tried() {
    let book = book(STEPS);
    let explained = book.explain(&team(), &ask("alice", "public.t:a", "1h").question());
    let tried: Vec<(&str, bool, &str)> = explained
        .tried
        .iter()
        .map(|t| (t.rule.as_str(), t.fits, t.why.as_str()))
        .collect();
    assert_eq!(
        tried,
        [
            ("steps, entry 1", false, "it gives at most 30m, not 1h"),
            (
                "steps, entry 2",
                true,
                "fits by group:support; 1 of group:dba"
            ),
        ]
    );
    assert_eq!(explained.can_approve, ["carol", "dave"]);
    let explained = book.explain(&team(), &ask("frank", "public.t:a", "1h").question());
    assert_eq!(explained.tried.len(), 3);
    assert_eq!(
        explained.tried[0].why,
        "it is for group:support, not for frank"
    );
}

#[test]
fn several_policies_must_each_allow_it_and_are_pooled() {
    let book = book(
        r#"
  - name: one
    target: shop
    table: public.a
    columns: [x]
    with: [id]
    allow:
      - who: [alice]
        max: 4h
        max_total: 5h
        usage: grant
        approval: {all: [{by: [group:dba], count: 1}, {by: [group:privacy]}], within: 3h}
  - name: two
    target: shop
    table: public.b
    columns: [y]
    with: [id, x]
    sessions: end
    allow:
      - {who: [group:support], max: 2h, usage: refuse, approval: {all: [{by: [group:dba], count: 2}]}}
  - name: three
    target: shop
    table: public.c
    columns: [z]
    allow: []
"#,
    );
    let terms = ask("alice", "public.b:y public.a:x", "2h").allowed(&book);
    let rules: Vec<String> = terms
        .rules
        .iter()
        .map(|r| format!("{} {}", r.rule.policy, r.columns))
        .collect();
    assert_eq!(rules, ["two public.b:y", "one public.a:x"]);
    let along: Vec<String> = terms.along.iter().map(ToString::to_string).collect();
    assert_eq!(along, ["public.b:id,x", "public.a:id"]);
    let lines: Vec<(String, usize)> = terms
        .lines
        .iter()
        .map(|l| (l.by.join(","), l.count))
        .collect();
    assert_eq!(
        lines,
        [("group:dba".to_owned(), 2), ("group:privacy".to_owned(), 1)]
    );
    assert_eq!(
        (terms.max, terms.max_total),
        (Ttl::from_secs(7200), Ttl::from_secs(14400))
    );
    assert_eq!(terms.within, Ttl::from_secs(3 * 3600));
    assert_eq!(
        (terms.sessions, terms.usage),
        (Sessions::End, Usage::Refuse)
    );
    assert_eq!(terms.memberships, ["alice", "group:support"]);
    assert_eq!(
        ask("alice", "public.a:x public.c:z public.b:q", "3h").refused(&book),
        [
            "no policy of shop names public.b:q",
            "nobody may have public.c:z (three)",
        ]
    );
}

#[test]
fn approvals_that_need_the_requester_are_refused_at_once() {
    let book = book(
        r#"
  - name: p
    target: shop
    table: public.t
    columns: [a]
    allow:
      - {who: [carol, alice], max: 1h, approval: {all: [{by: [group:dba]}, {by: [dave]}]}}
"#,
    );
    assert_eq!(
        ask("carol", "public.t:a", "1h").refused(&book),
        [
            "without carol there are not enough different people to approve it: missing 1 of dave (p, entry 1)"
        ]
    );
    assert!(
        !ask("alice", "public.t:a", "1h")
            .allowed(&book)
            .is_automatic()
    );
}

#[test]
fn equal_lines_of_one_entry_need_as_many_people() {
    let book = book(
        r#"
  - name: p
    target: shop
    table: public.t
    columns: [a]
    allow:
      - {who: [alice], max: 1h, approval: {all: [{by: [group:dba]}, {by: [group:dba]}]}}
"#,
    );
    assert_eq!(
        ask("alice", "public.t:a", "1h").allowed(&book).lines[0].count,
        2
    );
}

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
        let table = "public.customers".parse().unwrap();
        book.offers(&team(), who, &"shop".into(), false, &table, &column.into())
    };
    let carol = offers("carol", "email");
    assert_eq!(carol.len(), 1);
    assert_eq!(carol[0].rule, "customer-contact, entry 2");
    assert_eq!(carol[0].purposes, ["incident", "migration"]);
    assert_eq!(carol[0].approval, "1 of group:dba and 1 of group:privacy");
    assert_eq!(
        offers("alice", "phone")[0].ticket.as_deref(),
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
