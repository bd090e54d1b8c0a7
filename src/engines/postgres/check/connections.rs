//! Whether somebody can keep us out by opening every connection that there is.

use crate::engines::postgres::holdings::Holdings;
use crate::engines::postgres::identity::get;
use crate::engines::postgres::link::Link;
use crate::engines::postgres::{quote, setup};
use crate::engines::{EngineError, Finding, Needs};

use super::fine;

const CONNECTIONS: &str = include_str!("../sql/check_connections.sql");
const WHAT: &str = "connections";

/// No fault of the target, since every server comes so: but to be known, with what to do.
///
/// # Errors
/// Those of asking.
pub(super) async fn connections(
    link: &Link,
    seen: &Holdings,
    needs: &Needs,
) -> Result<Option<Finding>, EngineError> {
    let rows = link.ask("connections", CONNECTIONS, Vec::new()).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let (open, reserved, unlimited): (i32, i32, bool) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
    if reserved > 0 && seen.may_use_reserved() {
        let saw = format!("{reserved} are kept for us, whoever opens all others");
        return Ok(Some(fine(WHAT, saw)));
    }
    if !unlimited {
        let saw = format!("no account but a superuser may open all {open}");
        return Ok(Some(fine(WHAT, saw)));
    }
    let login = quote::role(needs.login.as_str())
        .map_or_else(|_| needs.login.to_string(), |quoted| quoted.to_string());
    let cure = match seen.version.has_reserved_connections() {
        true if seen.may_use_reserved() => {
            "ALTER SYSTEM SET reserved_connections = 3, and a restart".to_owned()
        }
        true => format!(
            "ALTER SYSTEM SET reserved_connections = 3, a restart, and {} by a superuser",
            setup::reserved_statement(&login)
        ),
        false => "ALTER ROLE … CONNECTION LIMIT 20, for each".to_owned(),
    };
    Ok(Some(fine(
        WHAT,
        format!(
            "accounts without a limit may open all {open}; whoever does keeps us out, and what should be taken stays \
             until they leave. Against that: {cure}"
        ),
    )))
}
