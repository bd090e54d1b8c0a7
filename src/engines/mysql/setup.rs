//! What a target needs before it can be used, and how to take it away.
//!
//! The least that was found to be enough (facts-mysql, "Admin's least privileges"): SELECT on the policies' tables
//! with grant option, which is what the server asks of whoever grants their columns, and the grant tables without
//! password hashes, to see. On these servers a grant option on a table cannot be bound to columns: an account that
//! has it for one column may hand out every column of that table. So the policies' tables are the bound.

use std::collections::BTreeSet;

use super::account::Account;
use super::connection::Link;
use super::holdings::{self, Holdings};
use super::observe;
use super::quote;
use super::render;
use crate::access::TableName;
use crate::engines::{EngineError, Needs, SetupGroup};

/// Columns of `mysql.user` that are read, by server; none holds anything that helps to log in.
const USER_MYSQL: &str =
    "User, Host, Select_priv, Grant_priv, Super_priv, Process_priv, account_locked";
const USER_MARIADB: &str = "User, Host, Select_priv, Grant_priv, Super_priv, Process_priv, is_role";
const SEEN_MYSQL: [&str; 6] = [
    "db",
    "tables_priv",
    "columns_priv",
    "role_edges",
    "proxies_priv",
    "global_grants",
];
const SEEN_MARIADB: [&str; 5] = [
    "db",
    "tables_priv",
    "columns_priv",
    "roles_mapping",
    "proxies_priv",
];

/// See `Engine::setup`.
pub(super) async fn setup(
    link: &mut Link,
    needs: &Needs,
    undo: bool,
) -> Result<Vec<SetupGroup>, EngineError> {
    let login = Account::from(&needs.login);
    let users = observe::users(link).await?;
    let user = users.get(&login);
    let tables: BTreeSet<TableName> = needs
        .tables
        .iter()
        .map(|(table, _)| table.clone())
        .collect();
    let mariadb = link.server().is_mariadb();
    if !undo {
        let held = match user {
            Some(_) => holdings::read(link, &login, &tables, seen(mariadb)).await?,
            None => Holdings::default(),
        };
        let exists = user.is_some();
        return Ok(make(&login, exists, &tables, mariadb, &held));
    }
    match user {
        None => Ok(Vec::new()),
        // An account that is more than ours is not ours to drop.
        Some(user) if user.select || user.grant || user.superuser => Ok(vec![SetupGroup {
            by: format!(
                "nobody: {login} has rights on all databases, so it is not an account that this setup made; remove \
                 it by hand if it was only used by jit"
            ),
            statements: Vec::new(),
        }]),
        Some(_) => Ok(vec![SetupGroup {
            by: "an administrator (CREATE USER)".to_owned(),
            statements: vec![format!("DROP USER {}", quote::account(&login))],
        }]),
    }
}

fn seen(mariadb: bool) -> &'static [&'static str] {
    match mariadb {
        true => &SEEN_MARIADB,
        false => &SEEN_MYSQL,
    }
}

const WHY_LET_IN: &str = "/* or whoever opens all connections keeps jit out */";

/// Who has it may open one connection more than all others, and end their sessions.
pub(super) fn connection_admin(mariadb: bool) -> &'static str {
    match mariadb {
        true => "CONNECTION ADMIN",
        false => "CONNECTION_ADMIN",
    }
}

/// What gives an account that right.
pub(super) fn let_in(login: &Account, mariadb: bool) -> String {
    let (right, to) = (connection_admin(mariadb), quote::account(login));
    format!("GRANT {right} ON *.* TO {to}")
}

/// What is missing, by who must run it.
fn make(
    login: &Account,
    exists: bool,
    tables: &BTreeSet<TableName>,
    mariadb: bool,
    held: &Holdings,
) -> Vec<SetupGroup> {
    let to = quote::account(login);
    let mut groups = Vec::new();
    if !exists {
        groups.push(SetupGroup {
            by: format!(
                "an administrator (CREATE USER), who then gives it its password: ALTER USER {to} IDENTIFIED BY '…' \
                 ACCOUNT UNLOCK"
            ),
            statements: vec![format!("CREATE USER {to} ACCOUNT LOCK")],
        });
    }
    let columns = if mariadb { USER_MARIADB } else { USER_MYSQL };
    let mut statements = Vec::new();
    if !held.sees_of_user(columns) {
        statements.push(format!("GRANT SELECT ({columns}) ON mysql.user TO {to}"));
    }
    let unseen = seen(mariadb).iter().filter(|table| !held.sees(table));
    statements.extend(unseen.map(|table| format!("GRANT SELECT ON mysql.{table} TO {to}")));
    if !held.everywhere("PROCESS") {
        statements.push(format!("GRANT PROCESS ON *.* TO {to}"));
    }
    let mut group = |by: &str, statements: Vec<String>| {
        if !statements.is_empty() {
            let by = by.to_owned();
            groups.push(SetupGroup { by, statements });
        }
    };
    group(
        "an administrator (with grant option on database mysql)",
        statements,
    );
    let missing = tables.iter().filter(|table| !held.may_hand_out(table));
    group(
        "whoever may hand on SELECT on these tables",
        missing
            .map(|table| render::hand_out(table, login))
            .collect(),
    );
    if !held.everywhere(connection_admin(mariadb)) {
        group(
            "an administrator with this right",
            vec![format!("{WHY_LET_IN} {}", let_in(login, mariadb))],
        );
    }
    groups
}

/// See `Engine::run`.
pub(super) async fn run(link: &mut Link, statements: &[String]) -> Result<(), EngineError> {
    link.ready().await?;
    for statement in statements {
        link.run(statement).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_statement_shows_password_hashes() {
        let tables = BTreeSet::from([TableName::new("shop", "c")]);
        for mariadb in [false, true] {
            let held = Holdings::default();
            let jit = Account::new("jit", "%");
            let groups = make(&jit, false, &tables, mariadb, &held);
            for statement in groups.iter().flat_map(|group| &group.statements) {
                for forbidden in ["authentication_string", "User_attributes", "global_priv"] {
                    assert!(!statement.contains(forbidden), "{statement}");
                }
                assert!(
                    !statement.contains("ON mysql.user") || statement.contains("SELECT ("),
                    "{statement}"
                );
            }
        }
    }
}
