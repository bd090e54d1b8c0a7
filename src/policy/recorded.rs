//! A recorded judgement against the rules of today.

use super::Judgement;
use crate::access::{ColumnName, TableColumns, Terms, Usage};

/// Whether what was recorded is still allowed as a whole.
///
/// `current` is the judgement of today on the same question, the requested duration included. Approvals are no part
/// of this: the given ones must meet the lines of both (`approvals::met`), and the shorter `within` and the stricter
/// `sessions` of both rule.
///
/// # Errors
/// A sentence that names the rule.
pub fn still_allows(recorded: &Terms, current: &Judgement) -> Result<(), String> {
    let current = match current {
        Judgement::Allowed(terms) => terms,
        Judgement::Refused(refusals) => {
            let why: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            return Err(format!("the policies have changed: {}", why.join("; ")));
        }
    };
    let rules = || {
        let names: Vec<String> = current
            .distinct_rules()
            .iter()
            .map(|rule| format!("{}, entry {}", rule.policy, rule.entry))
            .collect();
        names.join("; ")
    };
    let asked: Vec<&TableColumns> = current.rules.iter().map(|group| &group.columns).collect();
    for group in &recorded.rules {
        if let Some(column) = first_outside(&group.columns, &asked) {
            return Err(format!(
                "the policies have changed: {}:{column} is not allowed any more ({})",
                group.columns.table,
                rules()
            ));
        }
    }
    // What was leased along may be asked for by now, never neither.
    let along: Vec<&TableColumns> = current.along.iter().chain(asked).collect();
    for tables in &recorded.along {
        if let Some(column) = first_outside(tables, &along) {
            return Err(format!(
                "the policies have changed: {}:{column} is not leased along any more ({})",
                tables.table,
                rules()
            ));
        }
    }
    if recorded.usage == Usage::Grant && current.usage == Usage::Refuse {
        return Err(format!(
            "the policies have changed: USAGE on the schema is not leased along any more ({})",
            rules()
        ));
    }
    Ok(())
}

fn first_outside<'c>(of: &'c TableColumns, known: &[&TableColumns]) -> Option<&'c ColumnName> {
    of.columns.iter().find(|column| {
        !known
            .iter()
            .any(|tables| tables.table == of.table && tables.columns.contains(column))
    })
}
