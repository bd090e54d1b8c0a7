use proptest::prelude::*;

use crate::access::{ColumnName, TableName, Ttl};
use crate::policy::glob::{Case, Glob};
use crate::policy::index::Specificity;
use crate::policy::testing::{ask, source, targets, team};
use crate::policy::{Book, Judgement};

fn specificity() -> impl Strategy<Value = Specificity> {
    prop::array::uniform3("[ab?*]{1,3}").prop_map(|[s, t, c]| {
        let glob = |text: &str| Glob::parse(text).unwrap();
        Specificity::of(&glob(&s), &glob(&t), &glob(&c))
    })
}

/// A policy file from small parts, so that overlaps are frequent.
fn policies(patterns: &[[String; 3]]) -> Book {
    let mut text = String::from("version: 1\npolicies:\n");
    for (at, [schema, table, column]) in patterns.iter().enumerate() {
        text.push_str(&format!(
            "  - {{name: p{at}, target: shop, table: '{schema}.{table}', columns: ['{column}'], allow: []}}\n"
        ));
    }
    Book::load(&[source(&text)]).unwrap()
}

fn words() -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut from = 0;
    for _ in 0..3 {
        let to = words.len();
        for at in from..to {
            for letter in ["a", "b", "z"] {
                words.push(format!("{}{letter}", words[at]));
            }
        }
        from = to;
    }
    words.remove(0);
    words
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn specificity_is_a_strict_partial_order(a in specificity(), b in specificity(), c in specificity()) {
        prop_assert!(!a.beats(&a));
        prop_assert!(!(a.beats(&b) && b.beats(&a)));
        prop_assert!(!(a.beats(&b) && b.beats(&c)) || a.beats(&c));
    }

    #[test]
    fn a_conflict_is_found_offline_exactly_where_a_name_shows_it(
        patterns in prop::collection::vec(
            ["[ab*]{1,2}", "[ab*]{1,2}", "[ab?*]{1,3}"], 2..5),
    ) {
        let book = policies(&patterns);
        let found = book.check(&team(), &targets()).iter().any(|p| p.what.contains("neither is more exact"));
        let words = words();
        let short: Vec<&String> = words.iter().filter(|w| w.len() <= 2).collect();
        let unclear = short.iter().any(|schema| short.iter().any(|table| words.iter().any(|column| {
            let table = TableName::new(schema.as_str(), table.as_str());
            let ruling = book.ruling(&"shop".into(), &table, &ColumnName(column.clone().into()), Case::Exact);
            matches!(ruling, crate::policy::index::Ruling::Unclear(_))
        })));
        // Patterns of at most three tokens share a name of at most six letters; up to three are tried here.
        prop_assert!(!unclear || found, "not found: {:?}", patterns);
        if found && !unclear {
            // The name in the problem is the proof: it must be unclear itself.
            for problem in book.check(&team(), &targets()) {
                let shown = problem.what.split("both name ").nth(1).unwrap().split(", and").next().unwrap();
                prop_assert!(matches!(ask("alice", shown, "1h").judged(&book), Judgement::Refused(why)
                    if why[0].why.contains("none is more exact")), "{}", problem);
            }
        }
    }

    #[test]
    fn what_a_refusal_suggests_is_accepted(
        entries in prop::collection::vec((0usize..3, 0usize..3, 1u64..6, 0usize..2), 1..5),
        who in 0usize..3, purpose in 0usize..4, ttl in 1u64..8, before in 0u64..10,
    ) {
        let people = ["alice", "bob", "carol"];
        let purposes = ["x", "y"];
        let mut text = String::from("version: 1\npolicies:\n  - name: p\n    target: shop\n    table: public.t\n    columns: [a]\n    allow:\n");
        for (person, for_what, max, ticket) in &entries {
            text.push_str(&format!("      - {{who: [{}], max: {max}h, approval: auto", people[*person]));
            if let Some(purpose) = purposes.get(*for_what) {
                text.push_str(&format!(", purposes: [{purpose}]"));
            }
            text.push_str(if *ticket == 1 { ", ticket: TICKET}\n" } else { "}\n" });
        }
        let book = Book::load(&[source(&text)]).unwrap();
        let mut question = ask(people[who], "public.t:a", "1h");
        question.ttl = Ttl::from_secs(ttl * 3600);
        question.purpose = ["x", "y", "z"].get(purpose).map(|p| (*p).to_owned());
        question.unbroken = Some(Ttl::from_secs((ttl + before) * 3600));
        if let Judgement::Refused(why) = question.judged(&book)
            && let Some(flags) = &why[0].try_this
        {
            let mut words = flags.split(' ');
            while let (Some(flag), Some(value)) = (words.next(), words.next()) {
                match flag {
                    "--for" => question.ttl = Ttl::parse(value).unwrap(),
                    "--purpose" => question.purpose = Some(value.into()),
                    "--ticket" => question.ticket = Some(value.into()),
                    other => prop_assert!(false, "{}", other),
                }
            }
            question.unbroken = Some(question.ttl.plus(Ttl::from_secs(before * 3600)));
            prop_assert!(matches!(question.judged(&book), Judgement::Allowed(_)), "{} {:?}", flags, entries);
        }
    }

    #[test]
    fn no_yaml_panics(text in "\\PC{0,200}") {
        let _ = Book::load(&[source(&text)]);
        let _ = Book::load(&[source(&format!("version: 1\npolicies:\n  - {text}"))]);
    }

    #[test]
    fn no_cut_or_smeared_file_panics(cut in 0usize..900, byte in any::<u8>()) {
        let mut text = format!("version: 1\npolicies:{}", crate::policy::testing::CONTRACT).into_bytes();
        let at = cut.min(text.len() - 1);
        text[at] = byte;
        let smeared = crate::policy::SourceFile { name: "p.yaml".into(), text: text.clone() };
        if let Ok(book) = Book::load(&[smeared]) {
            let _ = book.check(&team(), &targets());
            let _ = book.run_tests(&team(), &targets());
        }
        text.truncate(at);
        let _ = Book::load(&[crate::policy::SourceFile { name: "p.yaml".into(), text }]);
    }
}
