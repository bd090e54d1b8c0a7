use crate::access::{ApprovalLine, Sessions, Ttl, Usage};
use crate::policy::Judgement;
use crate::policy::testing::{ask, book, contract, team};

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
