use crate::policy::testing::{CONTRACT, book, targets, team};

fn lints(policies: &str) -> Vec<String> {
    book(policies)
        .check(&team(), &targets())
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_contract_has_nothing_to_say() {
    assert_eq!(lints(CONTRACT), [] as [&str; 0]);
}

#[test]
fn overlapping_policies_are_found_offline() {
    let policies = |a: &str, b: &str, c: &str| {
        let mut text = String::new();
        for (name, pattern) in [("a", a), ("b", b), ("c", c)] {
            if let Some((table, column)) = pattern.split_once(':') {
                text.push_str(&format!(
                    "  - {{name: {name}, target: shop, table: '{table}', columns: ['{column}'], allow: []}}\n"
                ));
            }
        }
        lints(&text).len()
    };
    for (a, b, c, conflicts) in [
        ("public.t:a", "public.t:a", "", 1),
        ("public.t:a", "public.t:b", "", 0),
        ("public.t:a", "public.t:A", "", 0),
        ("public.t:a*", "public.t:*b", "", 1),
        ("public.t:a*", "public.t:b*", "", 0),
        ("public.t:a*", "public.t:ab*", "", 0),
        ("public.*:a", "public.t:*", "", 1),
        ("public.*:a", "public.t:*", "public.t:a", 0),
        ("public.*:a", "*.t:a", "", 1),
        ("public.*:a", "*.t:a", "public.t:a", 0),
        ("*.*:*", "*.*:*", "", 1),
        ("*.*:*", "public.*:a", "", 0),
        // Of names that begin with a and end with b, a third takes some but not all.
        ("public.t:a*", "public.t:*b", "public.t:a*b", 0),
        ("public.t:a*", "public.t:*b", "public.t:ab", 1),
        ("public.t:a?", "public.t:?b", "public.t:ab", 0),
        ("public.t?:a", "public.?t:a", "public.tt:*", 3),
        ("public.t?:a", "public.?t:a", "public.tt:a", 0),
        // The third only beats where it is a name of its own: c takes no part of what a and b share.
        ("public.t:x*", "public.t:*y", "public.u:x*y", 1),
    ] {
        assert_eq!(policies(a, b, c), conflicts, "{a} {b} {c}");
    }
}

#[test]
fn a_conflict_shows_a_name() {
    assert_eq!(
        lints(
            r#"
  - {name: mails, target: shop, table: public.*, columns: [email], allow: []}
  - {name: customers, target: shop, table: public.customers, columns: ["e*"], allow: []}
"#
        ),
        [
            r#"p.yaml:5:12: "customers" and "mails" (p.yaml:4) both name public.customers:email, and neither is more exact; make one of them more exact, or take the overlap out of one"#
        ]
    );
}

#[test]
fn on_mysql_columns_of_other_case_are_the_same() {
    let text = r#"
  - {name: a, target: billing, table: billing.cards, columns: [Nr], allow: []}
  - {name: b, target: billing, table: billing.cards, columns: [nr], allow: []}
"#;
    assert_eq!(lints(text).len(), 1);
    assert_eq!(lints(&text.replace("billing,", "shop,")), [] as [&str; 0]);
}

#[test]
fn what_the_settings_do_not_know_is_an_error() {
    let text = CONTRACT
        .replace("target: shop", "target: shpo")
        .replace("[group:support]", "[group:suport]")
        .replace(
            "{by: [group:dba], count: 1}",
            "{by: [group:nothing-like-it], count: 1}",
        );
    let text = text.split("    tests:").next().unwrap();
    assert_eq!(
        lints(text),
        [
            r#"p.yaml:6:13: the settings know no target "shpo"; did you mean "shop"?"#,
            "p.yaml:12:9: the settings define no group:suport; did you mean group:support?",
            "p.yaml:17:9: the settings define no group:nothing-like-it; define it under `groups:`",
        ]
    );
}

/// The lints of one policy with these entries.
fn entries(entries: &str) -> Vec<String> {
    lints(&format!(
        "  - name: p\n    target: shop\n    table: public.t\n    columns: [a]\n    allow:\n{entries}"
    ))
}

#[test]
fn approvals_that_nobody_can_give_are_errors() {
    assert_eq!(
        entries(
            "      - {who: [alice], max: 1h, approval: {all: [{by: [group:dba], count: 3}]}}\n"
        ),
        [
            "p.yaml:8:9: p, entry 1 can never be approved: there are not enough different people, missing 1 of \
             group:dba; add people to the groups, or lower the count"
        ]
    );
    // Each line could be met, both together not: dave is one person.
    assert_eq!(
        entries(
            "      - {who: [alice], max: 1h, approval: {all: [{by: [dave]}, {by: [dave, dave]}]}}\n"
        )
        .len(),
        1
    );
    assert_eq!(
        entries(
            "      - {who: [carol, alice], max: 1h, approval: {all: [{by: [group:dba], count: 2}]}}\n"
        ),
        [
            "p.yaml:8:9: warning: p, entry 1 can never be approved for carol: nobody approves their own request, and \
             there are not enough others; add people to the groups that approve"
        ]
    );
}

#[test]
fn an_entry_that_can_never_be_reached_is_a_warning() {
    let auto =
        |who: &str, rest: &str| format!("      - {{who: [{who}], {rest}, approval: auto}}\n");
    let count = |list: &[(&str, &str)]| {
        entries(&list.iter().map(|(w, r)| auto(w, r)).collect::<String>()).len()
    };
    assert_eq!(count(&[("group:dba", "max: 1h"), ("carol", "max: 1h")]), 1);
    assert_eq!(count(&[("group:dba", "max: 1h"), ("carol", "max: 2h")]), 0);
    assert_eq!(
        count(&[("group:dba", "max: 1h"), ("group:privacy", "max: 1h")]),
        0
    );
    assert_eq!(
        count(&[
            ("carol", "max: 1h"),
            ("dave", "max: 1h"),
            ("group:dba", "max: 30m")
        ]),
        1
    );
    assert_eq!(
        count(&[("carol", "max: 1h, purposes: [x]"), ("carol", "max: 1h")]),
        0
    );
    assert_eq!(
        count(&[("carol", "max: 1h"), ("carol", "max: 1h, purposes: [x]")]),
        1
    );
    assert_eq!(
        count(&[
            ("carol", "max: 1h, purposes: [x]"),
            ("carol", "max: 1h, purposes: [y]"),
            ("carol", "max: 1h, purposes: [x, y]")
        ]),
        1
    );
}

#[test]
fn longer_but_needing_less_is_refused() {
    let dba = "{all: [{by: [group:dba]}]}";
    let two = |first: (&str, &str, &str), second: (&str, &str, &str)| {
        let text: String = [first, second]
            .iter()
            .map(|(who, rest, approval)| {
                format!("      - {{who: [{who}], {rest}, approval: {approval}}}\n")
            })
            .collect();
        entries(&text)
            .iter()
            .filter(|said| said.contains("more time"))
            .count()
    };
    assert_eq!(
        two(("alice", "max: 1h", dba), ("alice", "max: 2h", "auto")),
        1
    );
    assert_eq!(
        two(("alice", "max: 1h", "auto"), ("alice", "max: 2h", dba)),
        0
    );
    assert_eq!(
        two(("alice", "max: 2h", dba), ("alice", "max: 2h", "auto")),
        0
    );
    assert_eq!(
        two(("alice", "max: 1h", dba), ("bob", "max: 2h", "auto")),
        0
    );
    assert_eq!(
        two(
            ("group:support", "max: 1h", dba),
            ("bob", "max: 2h", "auto")
        ),
        1
    );
    assert_eq!(
        two(
            ("alice", "max: 1h, purposes: [x]", dba),
            ("alice", "max: 2h, purposes: [y]", "auto")
        ),
        0
    );
    assert_eq!(
        two(
            ("alice", "max: 1h, purposes: [x]", dba),
            ("alice", "max: 2h", "auto")
        ),
        1
    );
    let both = "{all: [{by: [group:dba]}, {by: [group:privacy]}]}";
    assert_eq!(
        two(("alice", "max: 1h", both), ("alice", "max: 2h", dba)),
        1
    );
    assert_eq!(
        two(("alice", "max: 1h", dba), ("alice", "max: 2h", both)),
        0
    );
    assert_eq!(
        two(
            ("alice", "max: 1h", dba),
            ("alice", "max: 2h", "{all: [{by: [group:privacy]}]}")
        ),
        0
    );
    assert_eq!(
        entries(
            "      - {who: [alice], max: 1h, approval: {all: [{by: [group:dba]}]}}\n      - {who: [group:support], max: 2h, approval: auto}\n"
        )[0],
        "p.yaml:9:9: p, entry 2 gives alice more time (2h, not 1h) for less approval (no approval, not 1 of \
         group:dba) than entry 1; put it first, or ask for as much approval"
    );
}

#[test]
fn tests_about_unknown_people_and_columns_are_warnings() {
    let text = format!(
        "{CONTRACT}{}",
        r"
      - {who: alcie, for: 1h, expect: refused}
      - {who: frank, purpose: incident, for: 1h, expect: approval, approvers: [carlo, paula]}
      - {who: frank, for: 1h, columns: [emial], expect: refused}
"
    );
    let said = lints(&text);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("\"alcie\" (line 30), \"carlo\" (line 31)"));
    assert!(said[1].contains("emial"));
}

#[test]
fn leasing_along_what_another_policy_protects_is_a_warning() {
    let said = lints(
        r#"
  - {name: a, target: shop, table: public.t, columns: [x], with: [ssn], allow: []}
  - {name: b, target: shop, table: public.t, columns: [ssn], allow: []}
"#,
    );
    assert_eq!(
        said,
        [
            r#"p.yaml:4:12: warning: "a" leases public.t:ssn along, which "b" protects; take it out of `with:` unless that is meant"#
        ]
    );
}

#[test]
fn a_conflict_is_found_although_every_made_up_name_is_ruled_by_a_third() {
    // The lint tries names with its own fillers first; here an exact policy rules just those.
    let third = ["ab", "axb", "azq7_b", "ax9k_wvb"].join(", ");
    let text = format!(
        "  - {{name: a, target: shop, table: public.t, columns: [\"a*\"], allow: []}}\n  \
         - {{name: b, target: shop, table: public.t, columns: [\"*b\"], allow: []}}\n  \
         - {{name: c, target: shop, table: public.t, columns: [{third}], allow: []}}\n"
    );
    let said = lints(&text);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("and neither is more exact"), "{said:#?}");
}
