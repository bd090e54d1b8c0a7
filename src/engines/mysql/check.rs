//! What `jit doctor` says of a target: privileges enough for the policies and no more, and a protected connection.

use std::collections::BTreeSet;

use mysql_async::{Params, Value};

use super::connection::Link;
use super::holdings;
use super::observe;
use super::render;
use super::rights::Rights;
use super::sessions;
use super::setup;
use crate::access::TableName;
use crate::engines::{EngineError, Finding, Needs, tls};

/// See `Engine::check`.
pub(super) async fn check(link: &mut Link, needs: &Needs) -> Result<Vec<Finding>, EngineError> {
    let mut findings = protection(link);
    let tables: BTreeSet<TableName> = needs
        .tables
        .iter()
        .map(|(table, _)| table.clone())
        .collect();
    let rights = match observe::rights(link, &tables).await {
        Ok(rights) => rights,
        Err(EngineError::NotSetUp { why, .. }) => {
            findings.push(Finding {
                ok: false,
                what: "privileges".to_owned(),
                saw: format!("our account cannot see what it must: {why}"),
                cure: Some("jit setup".to_owned()),
            });
            return Ok(findings);
        }
        Err(error) => return Err(error),
    };
    findings.extend(enough(link, needs, &rights).await?);
    findings.extend(too_much(link, &tables, &rights).await?);
    let sees = sessions::sees_all(link).await?;
    findings.push(Finding {
        ok: sees,
        what: "sessions".to_owned(),
        saw: if sees {
            "our account sees the sessions of others".to_owned()
        } else {
            "our account does not see the sessions of others, so a revoke cannot tell who may go on reading".to_owned()
        },
        cure: (!sees).then(|| {
            format!(
                "GRANT PROCESS ON *.* TO {}",
                super::quote::account(&link.server().me)
            )
        }),
    });
    findings.push(connections(link).await?);
    Ok(findings)
}

/// Whether somebody can keep us out by opening every connection that there is. No fault of the target, since every
/// server comes so: but to be known, with what to do.
async fn connections(link: &mut Link) -> Result<Finding, EngineError> {
    let (me, mariadb) = (link.server().me.clone(), link.server().is_mariadb());
    let held = holdings::everywhere(link, &me).await?;
    let kept = held.contains(setup::connection_admin(mariadb)) || held.contains("SUPER");
    Ok(Finding {
        ok: true,
        what: "connections".to_owned(),
        saw: match kept {
            true => "one is kept for us, whoever opens all others".to_owned(),
            false => format!(
                "whoever opens all of them keeps us out, and what should be taken stays until they leave. Against \
                 that: {}",
                setup::let_in(&me, mariadb)
            ),
        },
        cure: None,
    })
}

fn protection(link: &Link) -> Vec<Finding> {
    let server = link.server();
    let local = link
        .address()
        .endpoints
        .iter()
        .any(|endpoint| endpoint.to_string() == server.identity.address && endpoint.is_local());
    tls::findings(link.address(), local, server.secured.as_ref())
}

/// Whether every table of the policies can be given.
async fn enough(
    link: &mut Link,
    needs: &Needs,
    rights: &Rights,
) -> Result<Vec<Finding>, EngineError> {
    let tables: BTreeSet<TableName> = needs
        .tables
        .iter()
        .map(|(table, _)| table.clone())
        .collect();
    let shapes = observe::shapes(link, &tables).await?;
    let server = link.server();
    let mut findings = Vec::new();
    for (table, columns) in &needs.tables {
        let bad = |saw: String, cure: Option<String>| Finding {
            ok: false,
            what: "privileges".to_owned(),
            saw,
            cure,
        };
        let hand_out = Some(render::hand_out(table, &server.me));
        match observe::spelled(&shapes, table, server.exact_tables) {
            None => findings.push(bad(
                format!("{table} does not exist, or our account may not see it"),
                hand_out,
            )),
            Some((table, _)) if !rights.may_give(&server.me, table) => findings.push(bad(
                format!("our account may not give columns of {table}"),
                hand_out,
            )),
            Some((table, shape)) => {
                let missing: Vec<_> = columns
                    .iter()
                    .filter(|column| shape.column(&column.0).is_none())
                    .map(|column| column.0.as_str())
                    .collect();
                if !missing.is_empty() {
                    findings.push(bad(
                        format!("{table} has no column {}", missing.join(", ")),
                        Some(
                            "take them out of the policy, or spell them as the table does"
                                .to_owned(),
                        ),
                    ));
                }
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding {
            ok: true,
            what: "privileges".to_owned(),
            saw: match needs.tables.len() {
                1 => "our account may give the one table".to_owned(),
                number => format!("our account may give all {number} tables"),
            },
            cure: None,
        });
    }
    Ok(findings)
}

/// Whether our account can do what it need not.
async fn too_much(
    link: &mut Link,
    tables: &BTreeSet<TableName>,
    rights: &Rights,
) -> Result<Vec<Finding>, EngineError> {
    let me = link.server().me.clone();
    let mut seen = Vec::new();
    if let Some(user) = rights.users.get(&me) {
        if user.select {
            seen.push("it reads all databases".to_owned());
        }
        if user.grant {
            seen.push("it can hand on what it has on all databases".to_owned());
        }
        if user.superuser {
            seen.push("it has SUPER".to_owned());
        }
    }
    match link
        .rows(include_str!("sql/secrets.sql"), Params::Empty)
        .await
    {
        Ok(_) => seen.push("it reads password hashes in mysql.user".to_owned()),
        Err(EngineError::Refused { .. }) => {}
        Err(error) => return Err(error),
    }
    for row in rights.databases.get(me.user.as_str()).into_iter().flatten() {
        if row.account == me && (row.select || row.grant) {
            seen.push(format!(
                "it has rights on the whole of database {}",
                row.database
            ));
        }
    }
    let own = observe::read::<(String, String, bool)>(
        link,
        include_str!("sql/own_rights.sql"),
        Params::Positional(vec![
            Value::from(me.user.as_str()),
            Value::from(me.host.as_str()),
        ]),
    )
    .await?;
    let beyond: Vec<String> = own
        .into_iter()
        .filter(|(schema, _, select)| *select && !observe::is_system(schema))
        .map(|(schema, table, _)| TableName::new(schema, table))
        .filter(|table| !tables.contains(table))
        .map(|table| table.to_string())
        .collect();
    if !beyond.is_empty() {
        seen.push(format!(
            "it reads tables that no policy names: {}",
            beyond.join(", ")
        ));
    }
    let ok = seen.is_empty();
    Ok(vec![Finding {
        ok,
        what: "no more".to_owned(),
        saw: if ok {
            "our account has nothing that it does not need".to_owned()
        } else {
            format!(
                "our account {me} has more than it needs: {}",
                seen.join("; ")
            )
        },
        cure: (!ok).then(|| "REVOKE what is too much, or use an account of its own".to_owned()),
    }])
}
