//! PURE. `TABLE:COL,COL`: the table first, then columns behind the colon and behind each comma.

use std::collections::BTreeSet;

use clap_complete::engine::CompletionCandidate;
use foldhash::{HashMap, HashMapExt};

use crate::access::syntax::{self, TypedColumns, TypedTable};
use crate::access::{TableName, TargetName};
use crate::ui;
use crate::workflow::requestable::{Columns, Requestable};

use super::LIST;

/// A word so far, behind its colon.
struct Typed<'t> {
    table: TypedTable,
    /// Columns that are written out already.
    done: Vec<String>,
    /// Everything before the last name.
    head: &'t str,
    /// The last name, as far as it is typed, with its quote.
    begun: &'t str,
}

/// The place of a character outside double quotes and backticks.
fn outside(text: &str, wanted: char) -> impl Iterator<Item = usize> {
    let mut quote = None;
    text.char_indices().filter_map(move |(place, c)| {
        match (quote, c) {
            (None, '"' | '`') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, c) if c == wanted => return Some(place),
            _ => {}
        }
        None
    })
}

fn typed(current: &str) -> Option<Typed<'_>> {
    let colon = outside(current, ':').next()?;
    let last = outside(current, ',').filter(|comma| *comma > colon).last();
    let (table, done) = match last {
        None => (
            syntax::parse_typed_table(&current[..colon]).ok()?,
            Vec::new(),
        ),
        Some(comma) => match syntax::parse_columns(&current[..comma]).ok()? {
            (table, TypedColumns::Named(done)) => (table, done),
            (_, TypedColumns::All) => return None,
        },
    };
    let (head, begun) = current.split_at(last.unwrap_or(colon) + 1);
    Some(Typed {
        table,
        done,
        head,
        begun,
    })
}

fn fits(typed: &TypedTable, table: &TableName) -> bool {
    typed.table == table.table
        && typed
            .schema
            .as_ref()
            .is_none_or(|schema| *schema == table.schema)
}

/// The only table that is meant.
fn meant<'c>(
    columns: &'c Columns,
    target: &TargetName,
    typed: &TypedTable,
) -> Option<&'c TableName> {
    let tables: BTreeSet<&TableName> = names(columns, target)
        .into_iter()
        .filter(|table| fits(typed, table))
        .collect();
    match tables.iter().collect::<Vec<_>>().as_slice() {
        [only] => Some(**only),
        _ => None,
    }
}

/// A table and several columns.
pub fn of_list(columns: &Columns, target: &TargetName, current: &str) -> Vec<CompletionCandidate> {
    let Some(typed) = typed(current) else {
        return tables_before_colon(columns, target, current);
    };
    let Some(table) = meant(columns, target, &typed.table) else {
        return Vec::new();
    };
    let left: Vec<Requestable<'_>> = columns
        .of(target, table)
        .filter(|of| !typed.done.iter().any(|done| *done == of.column.0))
        .collect();
    let more = left.len() > 1;
    left.into_iter()
        .filter_map(|of| {
            let name = begins(&of.column.0, typed.begun)?;
            let candidate = CompletionCandidate::new(format!("{}{name}", typed.head))
                .help(Some(help(of).into()));
            Some(if more {
                candidate.tag(Some(LIST.into()))
            } else {
                candidate
            })
        })
        .collect()
}

/// A table and one column.
pub fn of_one(
    columns: &Columns,
    target: Option<&TargetName>,
    current: &str,
) -> Vec<CompletionCandidate> {
    let targets: BTreeSet<&TargetName> = columns
        .tables()
        .map(|(target, _)| target)
        .filter(|one| target.is_none_or(|target| target == *one))
        .collect();
    if typed(current).is_some_and(|typed| !typed.done.is_empty()) {
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    targets
        .into_iter()
        .flat_map(|target| of_list(columns, target, current))
        .map(|candidate| candidate.tag(None))
        .filter(|candidate| seen.insert(candidate.get_value().to_owned()))
        .collect()
}

/// Full names of tables, and nothing behind them.
pub fn tables(columns: &Columns, target: &TargetName, current: &str) -> Vec<CompletionCandidate> {
    names(columns, target)
        .into_iter()
        .map(TableName::to_string)
        .filter(|name| name.starts_with(current))
        .map(CompletionCandidate::new)
        .collect()
}

fn names<'c>(columns: &'c Columns, target: &TargetName) -> BTreeSet<&'c TableName> {
    let here = columns.tables().filter(|(of, _)| *of == target);
    here.map(|(_, table)| table).collect()
}

/// In full; where nothing begins so, without the schema, if that is unambiguous.
fn tables_before_colon(
    columns: &Columns,
    target: &TargetName,
    current: &str,
) -> Vec<CompletionCandidate> {
    let names = names(columns, target);
    let offered = |written: String, table: &TableName| {
        let count = columns.of(target, table).count();
        CompletionCandidate::new(format!("{written}:"))
            .help(Some(ui::count(count, "column").into()))
    };
    let full: Vec<CompletionCandidate> = names
        .iter()
        .map(|table| (table.to_string(), *table))
        .filter(|(written, _)| written.starts_with(current))
        .map(|(written, table)| offered(written, table))
        .collect();
    if !full.is_empty() {
        return full;
    }
    let mut alike: HashMap<&str, usize> = HashMap::new();
    for table in &names {
        *alike.entry(table.table.as_str()).or_default() += 1;
    }
    names
        .iter()
        .filter(|table| alike.get(table.table.as_str()) == Some(&1))
        .map(|table| (syntax::quoted_if_odd(&table.table).into_owned(), *table))
        .filter(|(written, _)| written.starts_with(current))
        .map(|(written, table)| offered(written, table))
        .collect()
}

/// The name as it is typed, if it begins so; in quotes where a quote was opened.
fn begins(name: &str, begun: &str) -> Option<String> {
    let written = match begun.chars().next() {
        Some(quote @ ('"' | '`')) => {
            let doubled = name.replace(quote, &format!("{quote}{quote}"));
            format!("{quote}{doubled}{quote}")
        }
        _ => syntax::quoted_if_odd(name).into_owned(),
    };
    written.starts_with(begun).then_some(written)
}

fn help(of: Requestable<'_>) -> String {
    let mut parts: Vec<String> = of.by.class.iter().map(|class| ui::escape(class)).collect();
    if let Some(longest) = of.by.offers.iter().max_by_key(|offer| offer.max) {
        parts.push(format!("up to {}", longest.max));
    }
    let approvals: BTreeSet<String> = of
        .by
        .offers
        .iter()
        .map(|offer| ui::escape(&offer.approval))
        .collect();
    parts.extend(approvals);
    parts.join(", ").chars().take(60).collect()
}

/// The columns that these words name.
pub fn named<'c>(
    columns: &'c Columns,
    target: &TargetName,
    words: &[String],
) -> Vec<Requestable<'c>> {
    let typed: Vec<(TypedTable, TypedColumns)> = words
        .iter()
        .filter_map(|word| syntax::parse_columns(word).ok())
        .collect();
    columns
        .iter()
        .filter(|of| {
            of.target == target
                && typed.iter().any(|(table, columns)| {
                    fits(table, of.table)
                        && match columns {
                            TypedColumns::All => true,
                            TypedColumns::Named(names) => {
                                names.iter().any(|name| *name == of.column.0)
                            }
                        }
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Ttl;
    use crate::workflow::requestable::{Collect, Offering};

    fn shop() -> Columns {
        let mut columns = Columns::default();
        let place = columns.offering(Offering {
            policy: "p".into(),
            class: None,
            max: Ttl::from_secs(60),
            offers: Vec::new(),
        });
        for (schema, table, column) in [
            ("public", "customers", "email"),
            ("public", "customers", "phone"),
            ("public", "orders", "note"),
            ("old", "orders", "note"),
            ("My Shop", "Order", "e,mail"),
        ] {
            let table = TableName::new(schema, table);
            columns.push(&"shop".into(), &table, &column.into(), place);
        }
        columns
    }

    fn offered(current: &str) -> Vec<String> {
        of_list(&shop(), &"shop".into(), current)
            .iter()
            .map(|candidate| candidate.get_value().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_table_first_then_its_columns() {
        for (current, offers) in [
            ("public.c", vec!["public.customers:"]),
            ("public.", vec!["public.customers:", "public.orders:"]),
            ("cust", vec!["customers:"]),
            // Two tables have that name: it must be written in full.
            ("orders", vec![]),
            ("orders:", vec![]),
            ("public.orders:", vec!["public.orders:note"]),
            (
                "public.customers:",
                vec!["public.customers:email", "public.customers:phone"],
            ),
            ("customers:e", vec!["customers:email"]),
            ("customers:email,", vec!["customers:email,phone"]),
            ("customers:email,p", vec!["customers:email,phone"]),
            ("customers:email,phone,", vec![]),
            ("customers:*,", vec![]),
            (r#""My Shop".Order:"#, vec![r#""My Shop".Order:"e,mail""#]),
            (r#""My"#, vec![r#""My Shop".Order:"#]),
            (r#"customers:"em"#, vec![r#"customers:"email""#]),
            ("nothing:", vec![]),
        ] {
            assert_eq!(offered(current), offers, "{current}");
        }
    }

    #[test]
    fn only_where_another_can_follow_a_comma_is_expected() {
        let is_list = |current: &str| {
            let found = of_list(&shop(), &"shop".into(), current);
            found[0].get_tag().is_some()
        };
        assert!(is_list("customers:e"));
        assert!(!is_list("customers:email,p"));
        assert!(!is_list("public.orders:n"));
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(current in "[a-z\"`:,.é ]{0,20}") {
            let _ = offered(&current);
            let _ = of_one(&shop(), None, &current);
        }
    }
}
