//! Our login, our grantor, and who else can become it.

use crate::engines::postgres::claim::{self, Mark};
use crate::engines::postgres::holdings::{Becoming, Holdings};
use crate::engines::postgres::identity::Answered;
use crate::engines::postgres::link::Link;
use crate::engines::postgres::reads::{self, ByPair, Pairs, Reached};
use crate::engines::{EngineError, Finding, Needs};

use super::{fine, wrong};

/// What our own login is.
pub(super) fn login(seen: &Holdings, needs: &Needs) -> Vec<Finding> {
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
        // These let it see and end sessions: for `sessions: end`, and for REVOKEs on 18 and later; and connect.
        let about_sessions = matches!(
            of.role_name.as_str(),
            "pg_signal_backend"
                | "pg_read_all_stats"
                | "pg_monitor"
                | "pg_use_reserved_connections"
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
pub(super) async fn own_reading(
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
pub(super) fn grantor(seen: &Holdings, needs: &Needs) -> Vec<Finding> {
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

/// Who else can become the grantor.
pub(super) fn becoming(seen: &Holdings, answered: &Answered) -> Vec<Finding> {
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
