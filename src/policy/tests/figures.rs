//! Figures, not laws: `cargo test --lib policy::tests::figures -- --ignored --nocapture --test-threads 1`.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::access::{ColumnName, TableName};
use crate::policy::testing::{ask, source, targets, team};
use crate::policy::{Book, SourceFile};

/// What a policy file is to the YAML crate alone: the same shape, nothing but texts.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Plain {
    version: u32,
    policies: Vec<PlainPolicy>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct PlainPolicy {
    name: String,
    description: String,
    target: String,
    table: String,
    columns: Vec<String>,
    with: Vec<String>,
    class: String,
    allow: Vec<PlainEntry>,
    #[serde(default)]
    tests: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct PlainEntry {
    who: Vec<String>,
    purposes: Vec<String>,
    ticket: Option<String>,
    max: String,
    approval: serde::de::IgnoredAny,
}

/// Ten thousand policies over a hundred thousand columns; `loose` of them with a pattern for the table.
fn big(loose: usize) -> SourceFile {
    let mut text = String::from("version: 1\npolicies:\n");
    for n in 0..10_000 {
        let table = if n < loose {
            format!("app{n}_*.t*")
        } else {
            format!("app.table_{n}")
        };
        text.push_str(&format!(
            "  - name: policy-{n}\n    description: Columns of table {n}\n    target: shop\n    table: {table}\n    \
             columns: [c0, c1, c2, c3, c4, c5, c6, c7, c8, \"x_*\"]\n    with: [id]\n    class: pii\n    allow:\n      \
             - who: [group:support]\n        purposes: [support-ticket]\n        ticket: 'SUP-\\d+'\n        max: 1h\n        \
             approval: auto\n      - who: [group:engineering]\n        purposes: [incident]\n        max: 8h\n        \
             approval: {{all: [{{by: [group:dba]}}, {{by: [group:privacy]}}], within: 2h}}\n"
        ));
    }
    source(&text)
}

fn timed<T>(what: &str, act: impl Fn() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..3)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(act());
            start.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "{what}: {:?} (from {:?} to {:?})",
        times[1], times[0], times[2]
    );
    times[1]
}

#[test]
#[ignore = "figures, not a law"]
fn ten_thousand_policies_over_a_hundred_thousand_columns() {
    let file = big(0);
    println!("{} bytes", file.text.len());
    let text = std::str::from_utf8(&file.text).unwrap();
    let options = || {
        serde_yaml::options! {
            budget: None,
            with_snippet: false,
        }
    };
    let bare = timed("the YAML crate, everything ignored", || {
        serde_yaml::from_str_with_options::<serde::de::IgnoredAny>(text, options()).unwrap()
    });
    let plain = timed("the YAML crate, into texts", || {
        serde_yaml::from_str_with_options::<Plain>(text, options()).unwrap()
    });
    let load = timed("Book::load", || Book::load(vec![file.clone()]).unwrap());
    println!(
        "ratio: {:.2} to texts, {:.2} to nothing",
        load.as_secs_f64() / plain.as_secs_f64(),
        load.as_secs_f64() / bare.as_secs_f64()
    );
    uses(&Book::load(vec![file]).unwrap());
    println!("--- a thousand of them with patterns for tables");
    uses(&Book::load(vec![big(1_000)]).unwrap());
    println!("--- all of them with patterns for tables");
    uses(&Book::load(vec![big(10_000)]).unwrap());
    let same = String::from_utf8(big(0).text).unwrap();
    let same = same
        .lines()
        .map(|line| match line.starts_with("    table:") {
            true => "    table: '*.*'\n".to_owned(),
            false => format!("{line}\n"),
        });
    let book = Book::load(vec![source(&same.collect::<String>())]).unwrap();
    timed("check ten thousand that are all in conflict", || {
        book.check(&team(), &targets()).len()
    });
}

fn uses(book: &Book) {
    let question = ask("alice", "app.table_9999:c1,c2,x_y", "1h")
        .purpose("support-ticket")
        .ticket("SUP-1");
    timed("judge three columns", || {
        book.judge(&team(), &question.question())
    });
    let unknown = ask("alice", "app.tabel_9999:c1", "1h");
    timed("refuse an unknown table", || {
        book.judge(&team(), &unknown.question())
    });
    timed("check", || book.check(&team(), &targets()));
    let catalog: Vec<(TableName, Vec<ColumnName>)> = (0..10_000)
        .map(|n| {
            let columns = (0..10).map(|c| ColumnName(format!("c{c}"))).collect();
            (TableName::new("app", format!("table_{n}")), columns)
        })
        .collect();
    timed("protected, of a catalog of 100,000 columns", || {
        book.protected(&"shop".into(), false, &catalog)
    });
}
