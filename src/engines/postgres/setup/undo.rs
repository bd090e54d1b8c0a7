//! Taking it all away again.

use std::collections::BTreeMap;

use crate::access::{ColumnName, TableName};
use crate::engines::{EngineError, Needs, SetupGroup};

use super::{
    BadName, Cascade, Groups, Held, Holdings, Object, ROLE_MAKER, quote, render, take_away,
};
use crate::engines::postgres::holdings::Role;

/// First what the grantor was given, with all that was handed on from it, then what the login was given, then the
/// roles. A role that owns something or has something in another database stays, and the group says so.
pub fn undo(seen: &Holdings, needs: &Needs) -> Result<Vec<SetupGroup>, EngineError> {
    let bad = |bad: BadName| EngineError::NotSetUp {
        address: seen.shown.clone(),
        why: bad.to_string(),
    };
    let mut groups = Groups::default();
    for (by, statements) in of_grantor(seen).map_err(bad)? {
        groups.add(&by, statements);
    }
    for held in &seen.held_by_login {
        let statements = take_away(held, needs.login.as_str(), Cascade::No).map_err(bad)?;
        groups.add(&format!("{} (owner)", held.owner), statements);
    }
    let mut last = Vec::new();
    if seen.ours().is_some() {
        last.push(format!(
            "REVOKE {} FROM {}",
            quote::role(&seen.grantor_name).map_err(bad)?,
            quote::role(needs.login.as_str()).map_err(bad)?
        ));
    }
    let mut stay = Vec::new();
    for (name, role) in [
        (seen.grantor_name.as_str(), &seen.grantor),
        (needs.login.as_str(), &seen.login),
    ] {
        let Some(role) = role else { continue };
        match keeps(seen, role) {
            None => last.push(format!("DROP ROLE {}", quote::role(name).map_err(bad)?)),
            Some(why) => stay.push(format!("role {name} stays: {why}")),
        }
    }
    groups.add(ROLE_MAKER, last);
    if !stay.is_empty() {
        groups.0.push(SetupGroup {
            by: format!("nobody; {}", stay.join("; ")),
            statements: Vec::new(),
        });
    }
    Ok(groups.0)
}

/// Why a role cannot be dropped, or should not be.
fn keeps(seen: &Holdings, role: &Role) -> Option<String> {
    if !role.powers.is_empty() {
        return Some(format!(
            "it has {} and is not only jit's",
            role.powers.join(", ")
        ));
    }
    let one = seen.elsewhere.iter().find(|one| one.role == role.oid)?;
    let verb = if one.owns {
        "it owns"
    } else {
        "it has privileges on"
    };
    Some(match (&one.what, &one.database) {
        (Some(what), _) => format!("{verb} {what}"),
        (None, Some(database)) => format!("{verb} something in database {database}"),
        (None, None) => format!("{verb} something of the whole cluster"),
    })
}

/// Columns of a table that one grantor gave are taken together; the rest one by one.
fn of_grantor(seen: &Holdings) -> Result<Vec<(String, Vec<String>)>, BadName> {
    let mut columns: BTreeMap<(&TableName, &str), Vec<&ColumnName>> = BTreeMap::new();
    let mut groups = Vec::new();
    let mut rest = Vec::new();
    for held in &seen.held {
        match &held.on {
            Object::Column { table, column }
                if held.privilege == "SELECT" && held.owner == held.grantor =>
            {
                columns
                    .entry((table, &held.owner))
                    .or_default()
                    .push(column);
            }
            _ => rest.push(held),
        }
    }
    let role = quote::role(&seen.grantor_name)?;
    for ((table, owner), columns) in columns {
        let columns = columns
            .into_iter()
            .map(|column| quote::name(column.as_str()))
            .collect::<Result<Vec<_>, _>>()?;
        groups.push((
            owned(owner),
            vec![format!(
                "REVOKE SELECT ({}) ON {} FROM {role} CASCADE",
                render::list(&columns),
                render::table(table)?
            )],
        ));
    }
    // Tables before schemas: nobody then lacks the schema for taking a table away.
    rest.sort_by_key(|held: &&Held| matches!(held.on, Object::Schema(_)));
    for held in rest {
        groups.push((
            owned(&held.owner),
            take_away(held, &seen.grantor_name, Cascade::Yes)?,
        ));
    }
    Ok(groups)
}

fn owned(owner: &str) -> String {
    format!("{owner} (owner)")
}
