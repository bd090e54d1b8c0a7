//! What `jit doctor` asks of a target: privileges enough for every policy table, and no more.

use crate::engines::address::Address;
use crate::engines::{EngineError, Finding, Needs, tls};

use super::holdings::{self, Holdings};
use super::identity::{Answered, get};
use super::link::Link;
use super::quote;

mod connections;
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
    let rows = link.ask("our session", SESSION, Vec::new()).await?;
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
    findings.push(sessions(&seen, needs));
    findings.extend(connections::connections(link, &seen, needs).await?);
    if let Some(row) = rows.first() {
        findings.extend(triggers(get(row, 3)?));
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

/// Whether sessions that must be ended can be.
fn sessions(seen: &Holdings, needs: &Needs) -> Finding {
    const WHAT: &str = "sessions";
    let login = quote::role(needs.login.as_str())
        .map_or_else(|_| needs.login.to_string(), |quoted| quoted.to_string());
    let cure = format!("a superuser runs: GRANT pg_signal_backend TO {login}");
    if seen.may_signal() {
        return fine(WHAT, "sessions that must be ended can be");
    }
    if seen.version.revoke_takes_table_lock() {
        return wrong(
            WHAT,
            "on Postgres 18 and later a lock on the table holds up a REVOKE, and we may not end the session that has it",
            cure,
        );
    }
    match needs.end_sessions {
        true => wrong(
            WHAT,
            "a policy says `sessions: end`, and we may not end any",
            cure,
        ),
        false => fine(
            WHAT,
            "sessions that can go on reading are reported; for `sessions: end` a superuser runs GRANT \
             pg_signal_backend to our login",
        ),
    }
}

/// Worth knowing, and no fault.
fn triggers(triggers: Vec<String>) -> Option<Finding> {
    (!triggers.is_empty()).then(|| {
        fine(
            "event triggers",
            format!(
                "{} run at each GRANT and REVOKE, and can refuse them or grant again",
                triggers.join(", ")
            ),
        )
    })
}
