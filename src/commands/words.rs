//! What people type for tables, columns and times, turned into values; nothing is guessed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::{DateTime, Local, NaiveTime, TimeZone};

use crate::access::syntax::{self, TypedColumns, TypedTable};
use crate::access::{At, ColumnName, TableColumns, TableName, TargetName, Ttl};
use crate::failure::{Exit, Failure};
use crate::yaml::nearest;

/// A table and its columns, as typed.
pub type Typed = (TypedTable, TypedColumns);

/// Splits `[TARGET] TABLE:COLS…`. A first word without a colon outside quotes is the target.
pub fn split_target(words: &[String]) -> Result<(Option<TargetName>, Vec<Typed>)> {
    let usage = |error: syntax::SyntaxError| {
        Failure::new(Exit::Usage, error.to_string()).hint("jit columns")
    };
    let (target, rest) = match words.split_first() {
        Some((first, rest)) if !has_colon(first) => (Some(TargetName(first.clone().into())), rest),
        _ => (None, words),
    };
    if rest.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "no columns were named; write them as TABLE:COLUMN,COLUMN",
        )
        .hint("jit columns")
        .into());
    }
    let columns = rest
        .iter()
        .map(|word| syntax::parse_columns(word).map_err(usage))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((target, columns))
}

pub fn has_colon(word: &str) -> bool {
    let mut quote = None;
    for c in word.chars() {
        match (quote, c) {
            (None, ':') => return true,
            (None, '"' | '`') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    false
}

/// The target: as typed, from `$JIT_TARGET`, or the only one there is.
pub fn target(typed: Option<TargetName>, known: &[&TargetName]) -> Result<TargetName> {
    let from_environment = || {
        std::env::var("JIT_TARGET")
            .ok()
            .filter(|text| !text.is_empty())
            .map(TargetName::from)
    };
    let names = || {
        known
            .iter()
            .map(|t| t.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match typed.or_else(from_environment) {
        Some(name) if known.contains(&&name) => Ok(name),
        Some(name) => Err(
            Failure::new(Exit::NoSuch, format!("there is no target {name}"))
                .hint(format!("the settings name: {}", names()))
                .into(),
        ),
        None => match known {
            [] => Err(Failure::new(Exit::Settings, "the settings name no target")
                .hint("jit settings --origin")
                .into()),
            [only] => Ok((*only).clone()),
            _ => Err(Failure::new(
                Exit::Usage,
                format!("there are several targets, name one: {}", names()),
            )
            .hint("before the columns, or in $JIT_TARGET")
            .into()),
        },
    }
}

/// Whether what was typed can only be filled in by who knows the columns.
pub fn needs_columns(typed: &[(TypedTable, TypedColumns)]) -> bool {
    typed
        .iter()
        .any(|(table, columns)| table.schema.is_none() || *columns == TypedColumns::All)
}

/// The bare names of tables that were typed.
pub fn bare_names(typed: &[Typed]) -> Vec<&str> {
    typed
        .iter()
        .map(|(table, _)| table.table.as_str())
        .collect()
}

/// Full names for what was typed: the schema from the only protected table of that name, `*` for `all` columns of
/// it. What was filled in is returned too, to be shown.
pub fn resolve(
    typed: Vec<Typed>,
    target: &TargetName,
    protected: &BTreeMap<TableName, Vec<ColumnName>>,
    all: &dyn Fn(&TableName) -> Vec<ColumnName>,
) -> Result<(Vec<TableColumns>, Vec<String>)> {
    let mut tables: Vec<TableColumns> = Vec::new();
    let mut filled = Vec::new();
    for (table, columns) in typed {
        let name = match table.schema {
            Some(schema) => TableName::new(schema, table.table),
            None => {
                let name = the_only(&table.table, target, protected)?;
                filled.push(format!("{} is {name}", syntax::quoted_if_odd(&table.table)));
                name
            }
        };
        let columns: Vec<ColumnName> = match columns {
            TypedColumns::Named(names) => names.into_iter().map(ColumnName::from).collect(),
            TypedColumns::All => {
                let all = all(&name);
                if all.is_empty() {
                    return Err(Failure::new(
                        Exit::NoSuch,
                        format!("there is no column of {name} on {target} that you may request"),
                    )
                    .hint(format!("jit columns {target}"))
                    .into());
                }
                let shown = TableColumns {
                    table: name.clone(),
                    columns: all.clone(),
                };
                filled.push(format!("* is {shown}"));
                all
            }
        };
        match tables.iter_mut().find(|t| t.table == name) {
            None => tables.push(TableColumns {
                table: name,
                columns,
            }),
            Some(same) => {
                for column in columns {
                    if same.columns.contains(&column) {
                        return Err(Failure::new(
                            Exit::Usage,
                            format!("{name}:{column} is named twice; name it once"),
                        )
                        .hint(format!("jit columns {target}"))
                        .into());
                    }
                    same.columns.push(column);
                }
            }
        }
    }
    Ok((tables, filled))
}

fn the_only(
    table: &str,
    target: &TargetName,
    protected: &BTreeMap<TableName, Vec<ColumnName>>,
) -> Result<TableName> {
    let alike = protected.keys().filter(|name| name.table == table);
    let names: BTreeSet<TableName> = alike.cloned().collect();
    if names.is_empty() {
        let known = protected.keys().map(|name| name.table.as_str());
        let near =
            nearest(table, known).map_or(String::new(), |near| format!("; did you mean {near}?"));
        return Err(Failure::new(
            Exit::NoSuch,
            format!("no protected table on {target} is called {table}{near}"),
        )
        .hint(format!("jit columns {target}"))
        .hint(format!("or write it in full, as in public.{table}:COLUMN"))
        .into());
    }
    only_table(table, names)
}

/// The only one of these tables of that name.
///
/// # Errors
/// [`Exit::NoSuch`] where there is none, [`Exit::Usage`] naming them where there are several.
pub fn only_table(table: &str, names: BTreeSet<TableName>) -> Result<TableName> {
    let several = names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" or ");
    let mut names = names.into_iter();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Failure::new(
            Exit::NoSuch,
            format!("no table that is known here is called {table}"),
        )
        .hint("write it in full, schema.table")
        .into()),
        _ => Err(Failure::new(
            Exit::Usage,
            format!("{table} could be {several}; write it in full"),
        )
        .into()),
    }
}

/// A duration that was typed.
pub fn duration(text: &str, flag: &str) -> Result<Ttl> {
    Ttl::parse(text).map_err(|error| Failure::new(Exit::Usage, format!("{flag}: {error}")).into())
}

/// How long until a typed time: the next such local time, or an instant.
pub fn until(text: &str, now: At) -> Result<(Ttl, At)> {
    let wrong = || {
        Failure::new(
            Exit::Usage,
            format!("--until: {text:?} is neither a time of day such as 18:00 nor RFC 3339"),
        )
        .hint("or say how long: --for 2h")
    };
    let at = if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        At::new(instant.to_utc())
    } else {
        let time = NaiveTime::parse_from_str(text, "%H:%M")
            .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S"))
            .map_err(|_| wrong())?;
        next_local(time, now, &Local).ok_or_else(wrong)?
    };
    if at <= now {
        return Err(Failure::new(
            Exit::Usage,
            format!("--until: {text} is over already; name a later time"),
        )
        .into());
    }
    Ok((at.since(now), at))
}

/// The next instant at which a local clock shows this time. Where the clock skips it, the day after is looked at;
/// where it shows it twice, the first that is not over is taken.
fn next_local<Z: TimeZone>(time: NaiveTime, now: At, zone: &Z) -> Option<At> {
    let today = now.utc().with_timezone(zone).date_naive();
    (0..3)
        .filter_map(|days| today.checked_add_days(chrono::Days::new(days)))
        .flat_map(|day| {
            let shown = zone.from_local_datetime(&day.and_time(time));
            [shown.clone().earliest(), shown.latest()]
        })
        .flatten()
        .map(|instant| At::new(instant.to_utc()))
        // By hand: chrono's earliest() is the later one where a rule tells when the clocks change (seen in 0.4.45).
        .filter(|at| *at > now)
        .min()
}

/// An instant in the past or future for searching: RFC 3339, a local date, or a duration ago.
pub fn instant(text: &str, now: At, flag: &str) -> Result<At> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(At::new(instant.to_utc()));
    }
    if let Ok(day) = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        && let Some(instant) = Local
            .from_local_datetime(&day.and_time(NaiveTime::MIN))
            .earliest()
    {
        return Ok(At::new(instant.to_utc()));
    }
    if let Ok(ago) = Ttl::parse(text) {
        return Ok(now.minus(ago));
    }
    Err(Failure::new(
        Exit::Usage,
        format!("{flag}: {text:?} is neither RFC 3339, a date such as 2026-11-23, nor a duration such as 2h"),
    )
    .hint(format!("such as {flag} 2h for the last two hours"))
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn a_first_word_without_a_colon_is_the_target() {
        let (target, columns) = split_target(&words(&["shop", "public.c:email", "o:x,y"])).unwrap();
        assert_eq!(target, Some("shop".into()));
        assert_eq!(columns.len(), 2);
        let (target, columns) = split_target(&words(&[r#""a:b".c:d"#])).unwrap();
        assert_eq!(target, None);
        assert_eq!(columns[0].0.schema.as_deref(), Some("a:b"));
        assert!(split_target(&words(&["shop"])).is_err());
    }

    #[test]
    fn until_is_the_next_such_time() {
        let zone = chrono::FixedOffset::east_opt(3600).unwrap();
        let now = "2026-11-23T09:00:00Z".parse::<At>().unwrap();
        let six = NaiveTime::from_hms_opt(18, 0, 0).unwrap();
        assert_eq!(
            next_local(six, now, &zone).unwrap().to_string(),
            "2026-11-23T17:00:00.000Z"
        );
        let nine = NaiveTime::from_hms_opt(9, 0, 0).unwrap();
        assert_eq!(
            next_local(nine, now, &zone).unwrap().to_string(),
            "2026-11-24T08:00:00.000Z"
        );
    }
}
