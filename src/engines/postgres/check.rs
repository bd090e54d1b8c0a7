//! What `jit doctor` asks of a target: privileges enough for every policy table, and no more.

use crate::engines::address::{Address, Endpoint};
use crate::engines::{EngineError, Finding, Needs};

use super::claim::{self, Mark};
use super::holdings::{self, Becoming, Holdings, Object};
use super::identity::{Answered, get};
use super::link::Link;
use super::reads::{self, ByPair, Pairs, Reached};
use super::setup;
use tokio_postgres::types::Type;

const SESSION: &str = include_str!("sql/check_session.sql");

/// One finding for each thing that is looked at; several where several are wrong.
pub async fn check(
    link: &Link,
    answered: &Answered,
    address: &Address,
    needs: &Needs,
) -> Result<Vec<Finding>, EngineError> {
    let seen = holdings::holdings(link, answered, &address.grantor, needs).await?;
    let rows = link
        .ask("our session", SESSION, vec![(&answered.login, Type::OID)])
        .await?;
    let mut findings = Vec::new();
    if let Some(row) = rows.first() {
        findings.push(tls(
            answered,
            address,
            get(row, 0)?,
            get(row, 1)?,
            get(row, 2)?,
        ));
    }
    findings.extend(login(&seen, needs));
    findings.extend(own_reading(link, &seen, needs).await?);
    findings.extend(grantor(&seen, needs));
    findings.extend(enough(&seen, needs)?);
    findings.push(no_more(&seen, needs));
    findings.extend(becoming(&seen, answered));
    if let Some(row) = rows.first() {
        findings.extend(around(get(row, 3)?, get(row, 4)?));
    }
    Ok(findings)
}

fn fine(what: &str, saw: impl Into<String>) -> Finding {
    Finding {
        ok: true,
        what: what.to_owned(),
        saw: saw.into(),
        cure: None,
    }
}

fn wrong(what: &str, saw: impl Into<String>, cure: impl Into<String>) -> Finding {
    Finding {
        ok: false,
        what: what.to_owned(),
        saw: saw.into(),
        cure: Some(cure.into()),
    }
}

fn tls(
    answered: &Answered,
    address: &Address,
    on: bool,
    version: Option<String>,
    cipher: Option<String>,
) -> Finding {
    const WHAT: &str = "TLS";
    if on {
        return fine(
            WHAT,
            format!(
                "{} with {}, sslmode {:?}",
                version.unwrap_or_default(),
                cipher.unwrap_or_default(),
                address.tls
            ),
        );
    }
    let local = address.endpoints.iter().any(|endpoint| {
        endpoint.to_string() == answered.server.address
            && match endpoint {
                Endpoint::Socket { .. } => true,
                Endpoint::Tcp { host, .. } => {
                    host == "localhost"
                        || host
                            .parse::<std::net::IpAddr>()
                            .is_ok_and(|address| address.is_loopback())
                }
            }
    });
    match local {
        true => fine(
            WHAT,
            "none, and none is needed: the connection stays on this host",
        ),
        false => wrong(
            WHAT,
            "the connection crosses the network in the clear",
            "set sslmode=verify-full in the target's url",
        ),
    }
}

/// What our own login is.
fn login(seen: &Holdings, needs: &Needs) -> Vec<Finding> {
    const WHAT: &str = "login";
    let name = &needs.login;
    let Some(role) = &seen.login else {
        return vec![wrong(
            WHAT,
            format!("role {name} does not exist"),
            "jit setup",
        )];
    };
    let mut findings = Vec::new();
    if !role.powers.is_empty() {
        findings.push(wrong(
            WHAT,
            format!(
                "{name} has {}, which jit does not need",
                role.powers.join(", ")
            ),
            "jit setup",
        ));
    }
    for of in seen.others(Some(role)) {
        // These let it see and end sessions, which `sessions: end` needs.
        let about_sessions = matches!(
            of.role_name.as_str(),
            "pg_signal_backend" | "pg_read_all_stats" | "pg_monitor"
        );
        if !about_sessions {
            findings.push(wrong(
                WHAT,
                format!(
                    "{name} is a member of {}, which jit does not need",
                    of.role_name
                ),
                format!("REVOKE {} FROM {name}", of.role_name),
            ));
        }
    }
    let owns: Vec<&str> = seen
        .elsewhere
        .iter()
        .filter(|one| one.role == role.oid && one.owns)
        .map(|one| {
            one.what
                .as_deref()
                .unwrap_or("something in another database")
        })
        .collect();
    if !owns.is_empty() {
        findings.push(wrong(
            WHAT,
            format!("{name} owns {}", owns.join(", ")),
            "give it to another role with ALTER … OWNER TO",
        ));
    }
    match seen.ours() {
        None => findings.push(wrong(
            WHAT,
            format!("{name} is no member of {}", seen.grantor_name),
            "jit setup",
        )),
        Some(of) => {
            if !of.may_set {
                findings.push(wrong(
                    WHAT,
                    format!("{name} may not SET ROLE to {}", seen.grantor_name),
                    "jit setup",
                ));
            }
            if of.inherits {
                findings.push(wrong(
                    WHAT,
                    format!(
                        "{name} inherits what {} has, and so can read it without a lease",
                        seen.grantor_name
                    ),
                    "jit setup",
                ));
            }
            if of.administers {
                findings.push(wrong(
                    WHAT,
                    format!("{name} can make others members of {}", seen.grantor_name),
                    "jit setup",
                ));
            }
        }
    }
    if findings.is_empty() {
        findings.push(fine(
            WHAT,
            format!("{name} can become {} and nothing else", seen.grantor_name),
        ));
    }
    findings
}

/// Whether our login can read protected columns without becoming the grantor.
async fn own_reading(
    link: &Link,
    seen: &Holdings,
    needs: &Needs,
) -> Result<Option<Finding>, EngineError> {
    let Some(role) = &seen.login else {
        return Ok(None);
    };
    let grantor = seen.grantor.as_ref().map_or(0, |role| role.oid);
    let pairs: Pairs = needs
        .tables
        .iter()
        .filter_map(|(table, _)| seen.relations.get(table))
        .map(|relation| (relation.oid, role.oid))
        .collect();
    let (name, sql, parameters) = pairs.reads();
    let ways = ByPair::of(reads::ways_to_read(
        &link.ask(name, sql, parameters).await?,
    )?);
    let mut how = std::collections::BTreeSet::new();
    for (table, columns) in &needs.tables {
        let Some(relation) = seen.relations.get(table) else {
            continue;
        };
        for column in columns.iter().filter_map(|name| relation.column(name)) {
            how.extend(
                ways.column(relation.oid, column.attnum, role.oid)
                    .filter(|way| way.reached != Reached::BySelfGrant && way.holder != grantor)
                    .map(|way| format!("{table}:{} ({})", column.name, way.words)),
            );
        }
    }
    let Some(first) = how.first() else {
        return Ok(None);
    };
    Ok(Some(wrong(
        "login",
        format!(
            "{} can read protected columns by itself: {first}{}",
            needs.login,
            match how.len() {
                1 => String::new(),
                more => format!(" and {} more", more - 1),
            }
        ),
        "take that privilege from it",
    )))
}

/// What our grantor is, and whose.
fn grantor(seen: &Holdings, needs: &Needs) -> Vec<Finding> {
    const WHAT: &str = "grantor";
    let name = &seen.grantor_name;
    let Some(role) = &seen.grantor else {
        return vec![wrong(
            WHAT,
            format!("role {name} does not exist"),
            "jit setup",
        )];
    };
    let mut findings = Vec::new();
    if role.can_login {
        findings.push(wrong(WHAT, format!("{name} can log in"), "jit setup"));
    }
    if !role.powers.is_empty() {
        findings.push(wrong(
            WHAT,
            format!("{name} has {}", role.powers.join(", ")),
            "jit setup",
        ));
    }
    for of in seen.others(Some(role)) {
        findings.push(wrong(
            WHAT,
            format!("{name} is a member of {}", of.role_name),
            "jit setup",
        ));
    }
    for one in seen
        .elsewhere
        .iter()
        .filter(|one| one.role == role.oid && one.owns)
    {
        findings.push(wrong(
            WHAT,
            format!(
                "{name} owns {}",
                one.what
                    .as_deref()
                    .unwrap_or("something in another database")
            ),
            "give it to another role with ALTER … OWNER TO",
        ));
    }
    match (claim::mark(role.comment.as_deref()), &needs.ledger) {
        (Mark::Ledger(theirs), Some(ours)) if theirs == *ours => {}
        (Mark::Ledger(theirs), Some(_)) => findings.push(wrong(
            WHAT,
            format!("{name} belongs to another ledger ({theirs})"),
            "give this target a grantor of its own (`grantor:`), or let that ledger's operator undo its set-up",
        )),
        (Mark::Nobody | Mark::Other(_), Some(_)) => findings.push(wrong(
            WHAT,
            format!("{name} does not carry this ledger's id in its comment"),
            "jit setup",
        )),
        (_, None) => {}
    }
    if findings.is_empty() {
        findings.push(fine(
            WHAT,
            format!("{name} is ours and nobody can log in as it"),
        ));
    }
    findings
}

/// Whether every policy column can be handed on.
fn enough(seen: &Holdings, needs: &Needs) -> Result<Vec<Finding>, EngineError> {
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
                "{} may hand on all {columns_seen} columns of {} tables",
                seen.grantor_name,
                needs.tables.len()
            ),
        ));
    }
    Ok(findings)
}

fn listed(columns: &[crate::access::ColumnName]) -> String {
    super::render::list(columns)
}

/// Whether the grantor was given anything that no policy names.
fn no_more(seen: &Holdings, needs: &Needs) -> Finding {
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

/// Who else can become the grantor.
fn becoming(seen: &Holdings, answered: &Answered) -> Vec<Finding> {
    const WHAT: &str = "members";
    let login = seen.login.as_ref().map_or(answered.login, |role| role.oid);
    let name = &seen.grantor_name;
    let mut findings = Vec::new();
    for who in seen.becomes.iter().filter(|who| who.oid != login) {
        let person = &who.name;
        match who.how {
            Becoming::Now if who.can_login => findings.push(wrong(
                WHAT,
                format!("{person} can become {name}, and read what it holds without a lease"),
                format!("REVOKE the membership of {person} in {name}"),
            )),
            // A role that nobody can log in as matters by its members, who are in this list themselves.
            Becoming::Now => {}
            Becoming::ByAdministering { creates_roles: false } if who.can_login => {
                findings.push(wrong(
                    WHAT,
                    format!("{person} administers {name} and can make itself a member"),
                    format!("REVOKE ADMIN OPTION FOR {name} FROM {person}"),
                ));
            }
            Becoming::ByAdministering { .. } => findings.push(Finding {
                cure: Some(format!("know that {person} can, as a superuser can")),
                ..fine(
                    WHAT,
                    format!("{person} may create roles, administers {name} and can make itself a member"),
                )
            }),
            Becoming::ByCreateRole => findings.push(Finding {
                cure: Some(format!("know that {person} can, as a superuser can")),
                ..fine(
                    WHAT,
                    format!(
                        "{person} has CREATEROLE, and on Postgres 15 and before can make itself a member of {name}"
                    ),
                )
            }),
        }
    }
    if findings.iter().all(|finding| finding.ok) {
        findings.insert(
            0,
            fine(WHAT, format!("no other ordinary account can become {name}")),
        );
    }
    findings
}

/// What is worth knowing and no fault.
fn around(triggers: Vec<String>, may_signal: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !triggers.is_empty() {
        findings.push(fine(
            "event triggers",
            format!(
                "{} run at each GRANT and REVOKE, and can refuse them or grant again",
                triggers.join(", ")
            ),
        ));
    }
    findings.push(fine(
        "sessions",
        match may_signal {
            true => "sessions that can go on reading can be ended",
            false => {
                "sessions that can go on reading are reported; for `sessions: end` a superuser runs GRANT \
                 pg_signal_backend to our login"
            }
        },
    ));
    findings
}
