//! Who answered.
//!
//! The system identifier is made by initdb; a promoted standby keeps it, another cluster never has it. Together
//! with the database's OID it names one database for as long as OIDs mean what they meant. Everybody may call
//! `pg_control_system()` unless it was taken from PUBLIC; then the target is refused until it is given to our
//! login, for every weaker mark (names, addresses, start times) can be the same on two servers.

use tokio_postgres::Row;

use crate::access::{ServerIdentity, ShortText};
use crate::engines::address::Endpoint;
use crate::engines::{EngineError, Flavour, Kind};

use super::link::Link;

const IDENTITY: &str = include_str!("sql/identity.sql");
const SYSTEM: &str = include_str!("sql/system.sql");

/// The oldest major version whose behaviour the engine relies on, as `server_version_num` writes it.
const OLDEST: i32 = 130_000;

/// What the server said of itself.
#[derive(Clone, Debug)]
pub struct Answered {
    pub flavour: Flavour,
    /// `server_version_num`: 150018 for 15.18.
    pub version: Version,
    pub server: ServerIdentity,
    /// OID of our database.
    pub database: u32,
    /// OID of the role that we logged in as.
    pub login: u32,
    /// Why nothing can be changed here, if so.
    pub read_only: Option<String>,
}

/// A server's version, for what differs between majors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i32);

impl Version {
    /// 16 and later: a membership says whether it inherits and whether it may SET ROLE.
    pub fn has_membership_options(self) -> bool {
        self.0 >= 160_000
    }

    /// 16 and later: connections can be kept for members of `pg_use_reserved_connections`.
    pub fn has_reserved_connections(self) -> bool {
        self.0 >= 160_000
    }

    /// 18 and later: GRANT and REVOKE take a lock on the table, and wait for whoever has it for himself. Before, they
    /// take none.
    pub fn revoke_takes_table_lock(self) -> bool {
        self.0 >= 180_000
    }
}

/// Asks.
pub async fn of(link: &Link, endpoint: &Endpoint) -> Result<Answered, EngineError> {
    let rows = link.ask("identity", IDENTITY, Vec::new()).await?;
    let row = rows.first().ok_or_else(|| EngineError::NotSetUp {
        address: link.shown().to_owned(),
        why: "pg_database or pg_roles does not show us ourselves".to_owned(),
    })?;
    let version = Version(get(row, 3)?);
    if version.0 < OLDEST {
        return Err(EngineError::NotSetUp {
            address: link.shown().to_owned(),
            why: format!(
                "it runs Postgres {}, and 13 is the oldest that jit knows",
                get::<String>(row, 2)?
            ),
        });
    }
    if !get::<bool>(row, 7)? {
        return Err(EngineError::NotSetUp {
            address: link.shown().to_owned(),
            why: "pg_control_system() tells two servers apart, and was taken from PUBLIC; run: GRANT EXECUTE ON \
                  FUNCTION pg_catalog.pg_control_system() TO our login"
                .to_owned(),
        });
    }
    let system = link.ask("system identifier", SYSTEM, Vec::new()).await?;
    let system: String = match system.first() {
        Some(row) => get(row, 0)?,
        None => String::new(),
    };
    let database: u32 = get(row, 4)?;
    let full: String = get(row, 2)?;
    Ok(Answered {
        flavour: Flavour {
            kind: Kind::Postgres,
            // `15.18 (Debian 15.18-0+deb12u1)`: the packager's part says nothing to us.
            version: full.split(' ').next().unwrap_or(&full).to_owned(),
        },
        version,
        server: ServerIdentity {
            address: endpoint.to_string().into(),
            database: text(row, 5)?,
            system: format!("{system}/{database}").into(),
        },
        database,
        login: get(row, 6)?,
        read_only: match (get(row, 0)?, get(row, 1)?) {
            (true, _) => Some("it is a standby, and nothing can be changed there".to_owned()),
            (false, true) => Some(
                "our session is read-only there (default_transaction_read_only), and nothing can be changed"
                    .to_owned(),
            ),
            (false, false) => None,
        },
    })
}

/// As [`get`], of a name.
pub fn text(row: &Row, place: usize) -> Result<ShortText, EngineError> {
    get::<&str>(row, place).map(ShortText::from)
}

/// A column of a row of one of our own queries. It fails where a name is not UTF-8 (a SQL_ASCII database).
pub fn get<'r, T: tokio_postgres::types::FromSql<'r>>(
    row: &'r Row,
    place: usize,
) -> Result<T, EngineError> {
    row.try_get(place).map_err(|error| EngineError::Refused {
        address: "the target".to_owned(),
        statement: "a query of ours".to_owned(),
        // character_not_in_repertoire
        code: "22021".to_owned(),
        message: format!("its answer cannot be read: {}", super::link::causes(&error)),
    })
}
