//! What the grantor was given: enough, and no more.

use crate::access::ColumnName;
use crate::engines::postgres::holdings::{Holdings, Object};
use crate::engines::postgres::{render, setup};
use crate::engines::{EngineError, Finding, Needs};

use super::{fine, wrong};

/// Whether every policy column can be handed on.
pub(super) fn enough(seen: &Holdings, needs: &Needs) -> Result<Vec<Finding>, EngineError> {
    const WHAT: &str = "privileges";
    let mut findings = Vec::new();
    let mut columns_seen = 0;
    for (table, columns) in &needs.tables {
        columns_seen += columns.len();
        let Some(relation) = seen.relations.get(table) else {
            findings.push(wrong(
                WHAT,
                format!("{table} does not exist"),
                "mend the policy that names it",
            ));
            continue;
        };
        let (missing, lacking): (Vec<_>, Vec<_>) = setup::lacking(relation, columns)
            .into_iter()
            .partition(|name| relation.column(name).is_none());
        if !missing.is_empty() {
            findings.push(wrong(
                WHAT,
                format!("{table} has no column {}", listed(&missing)),
                "mend the policy that names it",
            ));
        }
        if !lacking.is_empty() {
            findings.push(wrong(
                WHAT,
                format!(
                    "{} may not hand on {table}:{}",
                    seen.grantor_name,
                    listed(&lacking)
                ),
                setup::columns_statement(table, &lacking, &seen.grantor_name)
                    .unwrap_or_else(|| "jit setup".to_owned()),
            ));
        }
        let option = needs.usage.contains(&table.schema);
        if setup::lacks_usage(relation, option) {
            findings.push(wrong(
                WHAT,
                format!("{} may not use schema {}", seen.grantor_name, table.schema),
                setup::usage_statement(&table.schema, &seen.grantor_name, option)
                    .unwrap_or_else(|| "jit setup".to_owned()),
            ));
        }
    }
    findings.dedup();
    if findings.is_empty() {
        findings.push(fine(
            WHAT,
            format!(
                "{} may hand on every protected column, {columns_seen} in all",
                seen.grantor_name
            ),
        ));
    }
    Ok(findings)
}

fn listed(columns: &[ColumnName]) -> String {
    render::list(columns)
}

/// Whether the grantor was given anything that no policy names.
pub(super) fn no_more(seen: &Holdings, needs: &Needs) -> Finding {
    const WHAT: &str = "no more";
    const SHOWN: usize = 5;
    let surplus: Vec<String> = seen
        .held
        .iter()
        .filter(|held| !seen.is_needed(held, needs))
        .map(|held| format!("{} on {}", held.privilege, in_words(&held.on)))
        .collect();
    if surplus.is_empty() {
        return fine(
            WHAT,
            format!("{} has nothing beyond the policies", seen.grantor_name),
        );
    }
    let more = match surplus.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    wrong(
        WHAT,
        format!(
            "{} has what no policy names: {}{more}",
            seen.grantor_name,
            surplus[..surplus.len().min(SHOWN)].join(", ")
        ),
        "jit setup",
    )
}

fn in_words(on: &Object) -> String {
    match on {
        Object::Column { table, column } => format!("{table}:{column}"),
        Object::Table(table) => table.to_string(),
        Object::Schema(schema) => format!("schema {schema}"),
        Object::Database(database) => format!("database {database}"),
        Object::Function(function) => format!("function {function}"),
    }
}
