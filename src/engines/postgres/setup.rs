//! The SQL that makes a target ready: only what is missing, grouped by who must run it.

use std::collections::BTreeMap;

use crate::access::{ColumnName, TableName};
use crate::engines::{EngineError, Needs, SetupGroup};

use super::claim::{self, Mark};
use super::holdings::{Held, Holdings, Object};
use super::quote::{self, BadName};
use super::relations::Relation;
use super::render;

mod undo;

pub use undo::undo;

/// Who may make roles.
pub const ROLE_MAKER: &str = "a superuser, or a role with CREATEROLE";

/// What is missing. Run again after a change of policies, it prints the difference, surplus included.
///
/// # Errors
/// `OtherLedger` where the grantor is another ledger's, `Changed` where a table is not there any more,
/// `NotSetUp` where a name cannot be written.
pub fn setup(seen: &Holdings, needs: &Needs) -> Result<Vec<SetupGroup>, EngineError> {
    let bad = |bad: BadName| EngineError::NotSetUp {
        address: seen.shown.clone(),
        why: bad.to_string(),
    };
    let mut groups = Groups::default();
    groups.add(ROLE_MAKER, roles(seen, needs)?);
    let login = quote::new_role(needs.login.as_str()).map_err(bad)?;
    if !seen
        .login
        .as_ref()
        .map_or(seen.everybody_connects, |role| role.may_connect)
    {
        let database = quote::name(&seen.database).map_err(bad)?;
        groups.add(
            &format!("{} (owner of the database)", seen.database_owner),
            vec![format!("GRANT CONNECT ON DATABASE {database} TO {login}")],
        );
    }
    if !seen
        .login
        .as_ref()
        .map_or(seen.everybody_identifies, |role| role.may_identify)
    {
        groups.add(
            "a superuser",
            vec![format!(
                "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO {login}"
            )],
        );
    }
    if seen.must_signal(needs) && !seen.may_signal() {
        groups.add("a superuser", vec![signal_statement(seen, &login)]);
    }
    if seen.version.has_reserved_connections() && !seen.may_use_reserved() {
        groups.add(
            "a superuser",
            vec![format!(
                "/* Whoever opens all other connections shall not keep jit out. It takes effect with\n   \
                 reserved_connections above 0. */\n{}",
                reserved_statement(&login.to_string())
            )],
        );
    }
    for (owner, statements) in missing(seen, needs)? {
        groups.add(&owner, statements);
    }
    for held in &seen.held {
        if !seen.is_needed(held, needs) {
            let statements = take_away(held, &seen.grantor_name, Cascade::No).map_err(bad)?;
            groups.add(
                &format!("{} (owner), for it is needed no more", held.owner),
                statements,
            );
        }
    }
    Ok(groups.0)
}

/// What lets a login, as SQL names it, use what `reserved_connections` keeps. It must inherit that: the server looks
/// before anybody could SET ROLE.
pub fn reserved_statement(login: &str) -> String {
    format!("GRANT pg_use_reserved_connections TO {login} WITH INHERIT TRUE, SET FALSE")
}

/// What lets our login end sessions, and why it must.
fn signal_statement(seen: &Holdings, login: &quote::Quoted) -> String {
    let why = match seen.version.revoke_takes_table_lock() {
        true => {
            "/* On Postgres 18 and later a REVOKE waits for whoever has locked the table, as\n   \
             everybody with UPDATE can. With this jit ends the session that does so to\n   keep a column; \
             never one of the table's owner or of a superuser. */"
        }
        false => "/* A policy says `sessions: end`. */",
    };
    let options = match seen.version.has_membership_options() {
        true => " WITH INHERIT FALSE, SET TRUE",
        false => "",
    };
    format!("{why}\nGRANT pg_signal_backend TO {login}{options}")
}

/// The roles, the membership, the mark.
fn roles(seen: &Holdings, needs: &Needs) -> Result<Vec<String>, EngineError> {
    let bad = |bad: BadName| EngineError::NotSetUp {
        address: seen.shown.clone(),
        why: bad.to_string(),
    };
    let grantor = quote::new_role(&seen.grantor_name).map_err(bad)?;
    let login = quote::new_role(needs.login.as_str()).map_err(bad)?;
    let mut sql = Vec::new();
    match &seen.grantor {
        None => sql.push(format!("CREATE ROLE {grantor} NOLOGIN NOINHERIT")),
        Some(role) => {
            if role.can_login {
                sql.push(format!("ALTER ROLE {grantor} NOLOGIN"));
            }
            sql.extend(without_powers(&grantor, &role.powers));
            for of in seen.others(Some(role)) {
                let other = quote::role(&of.role_name).map_err(bad)?;
                sql.push(format!("REVOKE {other} FROM {grantor}"));
            }
        }
    }
    match &seen.login {
        None => sql.push(format!(
            "/* then give it a password or another way in */ CREATE ROLE {login} LOGIN NOINHERIT"
        )),
        Some(role) => {
            if !role.can_login {
                sql.push(format!("ALTER ROLE {login} LOGIN"));
            }
            if role.inherits && !seen.version.has_membership_options() {
                sql.push(format!("ALTER ROLE {login} NOINHERIT"));
            }
            sql.extend(without_powers(&login, &role.powers));
        }
    }
    let fits = seen.ours().is_some_and(|of| {
        of.may_set && !of.administers && (!of.inherits || !seen.version.has_membership_options())
    });
    if !fits {
        if seen.ours().is_some_and(|of| of.administers) {
            sql.push(format!("REVOKE ADMIN OPTION FOR {grantor} FROM {login}"));
        }
        let options = match seen.version.has_membership_options() {
            true => " WITH INHERIT FALSE, SET TRUE",
            false => "",
        };
        sql.push(format!("GRANT {grantor} TO {login}{options}"));
    }
    if let Some(ledger) = &needs.ledger {
        let comment = seen
            .grantor
            .as_ref()
            .and_then(|role| role.comment.as_deref());
        match claim::mark(comment) {
            Mark::Ledger(theirs) if theirs == *ledger => {}
            Mark::Ledger(theirs) => {
                return Err(EngineError::OtherLedger {
                    address: seen.shown.clone(),
                    theirs: theirs.to_string(),
                    ours: ledger.to_string(),
                });
            }
            Mark::Nobody | Mark::Other(_) => {
                sql.push(claim::statement(&seen.grantor_name, ledger).map_err(bad)?);
            }
        }
    }
    Ok(sql)
}

fn without_powers(role: &quote::Quoted, powers: &[&str]) -> Option<String> {
    let taken: Vec<String> = powers.iter().map(|power| format!("NO{power}")).collect();
    (!taken.is_empty()).then(|| format!("ALTER ROLE {role} {}", taken.join(" ")))
}

/// What owners must still give to the grantor, owner by owner; schemas before tables.
pub fn missing(
    seen: &Holdings,
    needs: &Needs,
) -> Result<BTreeMap<String, Vec<String>>, EngineError> {
    let mut schemas: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut done = std::collections::BTreeSet::new();
    for (table, columns) in &needs.tables {
        let Some(relation) = seen.relations.get(table) else {
            return Err(EngineError::Changed {
                address: seen.shown.clone(),
                what: table.to_string(),
                why: "there is no such table".to_owned(),
            });
        };
        let option = needs.usage.contains(&table.schema);
        if lacks_usage(relation, option) && done.insert(&table.schema) {
            schemas
                .entry(relation.schema_owner.clone())
                .or_default()
                .extend(usage_statement(&table.schema, &seen.grantor_name, option));
        }
        let lacking = lacking(relation, columns);
        if !lacking.is_empty() {
            tables
                .entry(relation.owner.clone())
                .or_default()
                .extend(columns_statement(table, &lacking, &seen.grantor_name));
        }
    }
    let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (owner, statements) in schemas {
        missing.insert(format!("{owner} (owner of the schemas)"), statements);
    }
    for (owner, statements) in tables {
        missing.insert(format!("{owner} (owner of the tables)"), statements);
    }
    Ok(missing)
}

pub fn lacks_usage(relation: &Relation, with_option: bool) -> bool {
    !relation.grantor_has_usage || (with_option && !relation.usage_grantable)
}

/// The columns of a table that the grantor may not hand on, in the order asked for; ones that do not exist too.
pub fn lacking(relation: &Relation, columns: &[ColumnName]) -> Vec<ColumnName> {
    columns
        .iter()
        .filter(|name| {
            relation
                .column(name)
                .is_none_or(|column| !column.grantable && !relation.grantable)
        })
        .cloned()
        .collect()
}

/// What gives the grantor USAGE on a schema. `None` where a name cannot be written.
pub fn usage_statement(schema: &str, grantor: &str, with_option: bool) -> Option<String> {
    let (schema, grantor) = (quote::name(schema).ok()?, quote::role(grantor).ok()?);
    let option = if with_option {
        " WITH GRANT OPTION"
    } else {
        ""
    };
    Some(format!(
        "GRANT USAGE ON SCHEMA {schema} TO {grantor}{option}"
    ))
}

/// What gives the grantor columns to hand on. `None` where a name cannot be written.
pub fn columns_statement(
    table: &TableName,
    columns: &[ColumnName],
    grantor: &str,
) -> Option<String> {
    let columns = columns
        .iter()
        .map(|column| quote::name(column.as_str()))
        .collect::<Result<Vec<_>, _>>()
        .ok()?;
    Some(format!(
        "GRANT SELECT ({}) ON {} TO {} WITH GRANT OPTION",
        render::list(&columns),
        render::table(table).ok()?,
        quote::role(grantor).ok()?,
    ))
}

/// Whether what was handed on goes too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cascade {
    No,
    Yes,
}

/// What takes one thing from a role. Where somebody else than the owner gave it, only that role can take it
/// (facts-postgres, finding 1).
fn take_away(held: &Held, role: &str, cascade: Cascade) -> Result<Vec<String>, BadName> {
    let on = match &held.on {
        Object::Column { table, column } => {
            format!(
                "{} ({}) ON {}",
                held.privilege,
                quote::name(column.as_str())?,
                render::table(table)?
            )
        }
        Object::Table(table) => format!("{} ON {}", held.privilege, render::table(table)?),
        Object::Schema(schema) => {
            format!("{} ON SCHEMA {}", held.privilege, quote::name(schema)?)
        }
        Object::Database(database) => {
            format!("{} ON DATABASE {}", held.privilege, quote::name(database)?)
        }
        Object::Function(function) => format!("{} ON FUNCTION {function}", held.privilege),
    };
    let too = match cascade {
        Cascade::Yes => " CASCADE",
        Cascade::No => "",
    };
    let revoke = format!("REVOKE {on} FROM {}{too}", quote::role(role)?);
    Ok(if held.grantor == held.owner {
        vec![revoke]
    } else {
        vec![
            format!("SET ROLE {}", quote::role(&held.grantor)?),
            revoke,
            "RESET ROLE".to_owned(),
        ]
    })
}

/// Groups in the order in which they came, each only if it has something.
#[derive(Default)]
struct Groups(Vec<SetupGroup>);

impl Groups {
    fn add(&mut self, by: &str, statements: Vec<String>) {
        if statements.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|group| group.by == by) {
            Some(group) => group.statements.extend(statements),
            None => self.0.push(SetupGroup {
                by: by.to_owned(),
                statements,
            }),
        }
    }
}
