//! What `jit doctor` asks of a target: privileges enough for every policy table, and no more.

use crate::engines::address::Address;
use crate::engines::{EngineError, Finding, Needs, tls};

use super::holdings;
use super::identity::{Answered, get};
use super::link::Link;
use tokio_postgres::types::Type;

mod holding;
mod roles;

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
        let secured = match link.sight() {
            Some(sight) if get(row, 0)? => Some(tls::Secured {
                version: get::<Option<String>>(row, 1)?.unwrap_or_default(),
                cipher: get::<Option<String>>(row, 2)?.unwrap_or_default(),
                sight,
            }),
            _ => None,
        };
        let local = address
            .endpoints
            .iter()
            .any(|endpoint| endpoint.to_string() == answered.server.address && endpoint.is_local());
        findings.extend(tls::findings(address, local, secured.as_ref()));
    }
    findings.extend(roles::login(&seen, needs));
    findings.extend(roles::own_reading(link, &seen, needs).await?);
    findings.extend(roles::grantor(&seen, needs));
    findings.extend(holding::enough(&seen, needs)?);
    findings.push(holding::no_more(&seen, needs));
    findings.extend(roles::becoming(&seen, answered));
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
