use crate::policy::testing::{CONTRACT, book, source};
use crate::policy::{Book, SourceFile};

fn problems(text: &str) -> Vec<String> {
    Book::load(&[source(text)])
        .map(|_| ())
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// A file of one policy, with one line of it replaced.
fn broken(from: &str, to: &str) -> Vec<String> {
    let text = format!("version: 1\npolicies:{CONTRACT}");
    assert!(text.contains(from), "{from}");
    problems(&text.replacen(from, to, 1))
}

#[test]
fn problems_have_place_and_cure() {
    for (from, to, said) in [
        (
            "columns:",
            "colums:",
            r#"p.yaml:7:5: unknown key "colums"; did you mean "columns"?"#,
        ),
        (
            "version: 1",
            "version: 2",
            "p.yaml:1:10: version 2 is not known; this jit reads version 1",
        ),
        (
            "max: 1h",
            "max: 1 hour ago",
            r#"p.yaml:14:14: "1 hour ago" is not a duration: "ago" is not a unit here; write it like 30m, 2h, 1d or 1h30m"#,
        ),
        (
            "max: 1h",
            "max: 60",
            r#"p.yaml:14:14: "60" is not a duration: the unit is missing; write it like 30m, 2h, 1d or 1h30m"#,
        ),
        (
            "max: 1h",
            "max: 1h\n        max: 2h",
            r#"p.yaml:15:9: the key "max" is there twice"#,
        ),
        (
            "max: 1h",
            "max: 1h\n        max_total: 30m",
            "p.yaml:15:20: max_total is 30m, shorter than max; make it max or longer",
        ),
        (
            "approval: auto",
            "approval: atuo",
            r#"p.yaml:15:9: "atuo" is not known here; did you mean "auto"?"#,
        ),
        (
            "approval: auto",
            "approval: {any: []}",
            r#"p.yaml:15:20: unknown key "any"; known here: all, within"#,
        ),
        (
            "approval: auto",
            "approval: {all: []}",
            "p.yaml:15:25: this list needs at least one item",
        ),
        (
            "approval: auto",
            "approval: [x]",
            "p.yaml:15:9: `auto`, or a mapping with `all:`, was expected here, not a list",
        ),
        (
            "        approval: auto\n",
            "",
            r#"p.yaml:14:9: the key "approval" is missing"#,
        ),
        (
            "count: 1",
            "count: 0",
            "p.yaml:22:40: count is at least 1; for no approval at all write `approval: auto`",
        ),
        (
            "count: 1",
            "count: -1",
            "p.yaml:22:40: a whole number was expected here",
        ),
        (
            "[email, phone]",
            "[email, 'a b']",
            r#"p.yaml:7:22: "a b" is not one name; put odd names in double quotes inside of single ones: '"e,mail"'"#,
        ),
        (
            "[email, phone]",
            "[email, email]",
            r#"p.yaml:3:11: policy "customer-contact" names the column email twice; take one out"#,
        ),
        (
            "[email, phone]",
            "[]",
            "p.yaml:7:14: this list needs at least one item",
        ),
        (
            "[email, phone]",
            "email",
            "p.yaml:7:14: a list was expected here",
        ),
        (
            "with: [id]",
            "with: [id*]",
            "p.yaml:8:12: id* is a pattern, and `with:` takes exact names; name the columns",
        ),
        (
            "public.customers",
            "customers",
            r#"p.yaml:6:12: "customers" names no schema (or database); write schema.table"#,
        ),
        (
            "name: customer-contact",
            "name: customer contact",
            r#"p.yaml:3:11: a policy's name is 1 to 100 letters, digits, "-", "_" or ".""#,
        ),
        (
            "[group:support]",
            "['group:']",
            "p.yaml:11:15: a user's name or group:NAME was expected here",
        ),
        (
            "[group:support]",
            "[group: support]",
            "p.yaml:11:15: a text was expected here",
        ),
        (
            "[group:support]",
            "['*']",
            "p.yaml:11:15: a user's name or group:NAME was expected here",
        ),
        (
            "[support-ticket]",
            "[]",
            "p.yaml:12:19: this list needs at least one item",
        ),
        (
            r"'SUP-\d+'",
            r"'SUP-('",
            "p.yaml:13:17: the ticket's regular expression is wrong: found open group without closing ')'",
        ),
        (
            r"'SUP-\d+'",
            r"'A)|(B'",
            "p.yaml:13:17: the ticket's regular expression is wrong: found closing ')' without matching '('",
        ),
        (
            r"'SUP-\d+'",
            r"'(?x)A # b'",
            "p.yaml:13:17: the ticket's regular expression is wrong: it cannot be matched as a whole; leave out (?x)",
        ),
        (
            "expect: auto",
            "expect: yes",
            r#"p.yaml:26:80: "yes" is not known here; known here: auto, approval, refused"#,
        ),
        (
            "sessions: end",
            "sessions: kill",
            r#"p.yaml:19:19: "kill" is not known here; known here: report, end"#,
        ),
    ] {
        assert_eq!(broken(from, to), [said], "{to}");
    }
}

#[test]
fn all_files_are_looked_at_and_names_are_unique_over_them() {
    let file = |name: &str, text: &str| SourceFile {
        name: name.into(),
        text: text.into(),
    };
    let one = format!("version: 1\npolicies:{CONTRACT}");
    let problems = Book::load(&[
        file("a.yaml", &one),
        file("b.yaml", &one),
        file("c.yaml", "{"),
    ])
    .unwrap_err();
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2);
    assert_eq!(
        said[0],
        r#"b.yaml:3:11: a second policy is named "customer-contact"; the first is at a.yaml:3; rename one"#
    );
    assert!(said[1].starts_with("c.yaml:1:"), "{}", said[1]);
}

#[test]
fn a_rule_carries_the_hash_of_its_file() {
    let file = source(&format!("version: 1\npolicies:{CONTRACT}"));
    let hash = file.hash();
    let book = Book::load(&[file]).unwrap();
    assert_eq!(book.policies()[0].rule(0).hash, hash);
    assert_eq!(hash.len(), 64);
}

#[test]
fn aliases_may_be_used_ten_thousand_times() {
    let mut text = String::from(
        "  - name: first\n    target: shop\n    table: public.t\n    columns: [a]\n    allow: &both\n      - {who: [alice], max: 1h, approval: auto}\n",
    );
    for number in 0..10_000 {
        text.push_str(&format!(
            "  - {{name: p{number}, target: shop, table: public.t{number}, columns: [a], allow: *both}}\n"
        ));
    }
    assert_eq!(book(&text).policies().len(), 10_001);
}

#[test]
fn the_longest_maximum_can_be_recorded() {
    let book = book(&CONTRACT.replace("max: 8h", "max: 366d"));
    let total = book.policies()[0].entries[1].max_total;
    assert_eq!(crate::access::Ttl::parse(&String::from(total)), Ok(total));
}

#[test]
fn the_schema_knows_every_key() {
    let schema = crate::policy::schema().to_string();
    for key in [
        "columns",
        "with",
        "max_total",
        "purposes",
        "approvers",
        "within",
        "additionalProperties",
    ] {
        assert!(schema.contains(&format!("\"{key}\"")), "{key}");
    }
}
