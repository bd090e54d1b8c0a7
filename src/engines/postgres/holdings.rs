//! What there is of our set-up on a target: roles, memberships, and what the grantor was given.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::access::{ColumnName, TableName};
use crate::engines::{EngineError, Needs};

use super::identity::{Answered, Version, get};
use super::link::Link;
use super::relations::{self, Relations};

const HERE: &str = include_str!("sql/setup_here.sql");
const ROLES: &str = include_str!("sql/setup_roles.sql");
const MEMBERSHIPS: &str = include_str!("sql/setup_memberships.sql");
const BECOMES: &str = include_str!("sql/setup_becomes.sql");
const HELD: &str = include_str!("sql/setup_held.sql");
const ELSEWHERE: &str = include_str!("sql/setup_elsewhere.sql");

/// One role.
#[derive(Clone, Debug)]
pub struct Role {
    pub oid: u32,
    pub can_login: bool,
    pub inherits: bool,
    /// Attributes that neither of ours should have, in words: `SUPERUSER`.
    pub powers: Vec<&'static str>,
    pub comment: Option<String>,
    pub may_connect: bool,
    pub may_identify: bool,
}

/// A direct membership of one of our roles.
#[derive(Clone, Debug)]
pub struct Membership {
    pub member: u32,
    pub role: u32,
    pub role_name: String,
    pub inherits: bool,
    pub may_set: bool,
    pub administers: bool,
}

/// Somebody who is, or could become, our grantor.
#[derive(Clone, Debug)]
pub struct Becomes {
    pub oid: u32,
    pub name: String,
    pub can_login: bool,
    pub how: Becoming,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becoming {
    /// Is a member that can act as it.
    Now,
    /// Administers it (or a member of it), and can make itself a member.
    ByAdministering {
        /// It may make roles: an administrator by trade.
        creates_roles: bool,
    },
    /// On 15 and before, CREATEROLE is enough.
    ByCreateRole,
}

/// What kind of thing a role was given something on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Column {
        table: TableName,
        column: ColumnName,
    },
    Table(TableName),
    Schema(String),
    Database(String),
    /// As `regprocedure` writes it.
    Function(String),
}

/// One row of an access list that names one of our roles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    pub on: Object,
    /// As the server writes it: `SELECT`, `USAGE`.
    pub privilege: String,
    pub grantable: bool,
    pub owner: String,
    pub grantor: String,
}

/// Something that DROP ROLE would stumble over and no REVOKE here takes away.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    pub role: u32,
    pub owns: bool,
    /// `None`: of the whole cluster.
    pub database: Option<String>,
    /// In words, if it is in this database.
    pub what: Option<String>,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Holdings {
    pub shown: String,
    pub version: Version,
    pub database: String,
    pub database_owner: String,
    pub everybody_connects: bool,
    pub everybody_identifies: bool,
    pub grantor_name: String,
    pub grantor: Option<Role>,
    pub login: Option<Role>,
    pub memberships: Vec<Membership>,
    pub becomes: Vec<Becomes>,
    /// What the grantor was given.
    pub held: Vec<Held>,
    /// What the login was given itself.
    pub held_by_login: Vec<Held>,
    pub elsewhere: Vec<Elsewhere>,
    pub relations: Relations,
}

/// Looks at everything that set-up, undo and doctor need.
pub async fn holdings(
    link: &Link,
    answered: &Answered,
    grantor_name: &str,
    needs: &Needs,
) -> Result<Holdings, EngineError> {
    let names = [grantor_name, needs.login.as_str()];
    let answers = link
        .snapshot(vec![
            ("database", HERE, Vec::new()),
            ("our roles", ROLES, vec![(&&names[..], Type::TEXT_ARRAY)]),
        ])
        .await?;
    let here = answers[0].first().ok_or_else(|| EngineError::NotSetUp {
        address: link.shown().to_owned(),
        why: "pg_database does not show this database".to_owned(),
    })?;
    let (mut grantor, mut login) = (None, None);
    for row in &answers[1] {
        let name: String = get(row, 1)?;
        let role = role(row)?;
        if name == grantor_name {
            grantor = Some(role.clone());
        }
        if name == needs.login.as_str() {
            login = Some(role);
        }
    }
    // 0 is no role: whatever is asked about it finds nothing.
    let grantor_oid = grantor.as_ref().map_or(0, |role| role.oid);
    let login_oid = login.as_ref().map_or(0, |role| role.oid);
    let both = [grantor_oid, login_oid];
    let schemas: Vec<&str> = needs
        .tables
        .iter()
        .map(|(table, _)| table.schema.as_str())
        .collect();
    let tables: Vec<&str> = needs
        .tables
        .iter()
        .map(|(table, _)| table.table.as_str())
        .collect();
    let by_name = || -> Vec<super::link::Parameter<'_>> {
        vec![
            (&schemas, Type::TEXT_ARRAY),
            (&tables, Type::TEXT_ARRAY),
            (&grantor_oid, Type::OID),
        ]
    };
    let answers = link
        .snapshot(vec![
            (
                "memberships",
                MEMBERSHIPS,
                vec![(&&both[..], Type::OID_ARRAY)],
            ),
            (
                "who can become the grantor",
                BECOMES,
                vec![(&grantor_oid, Type::OID)],
            ),
            ("what it holds", HELD, vec![(&grantor_oid, Type::OID)]),
            ("what we hold", HELD, vec![(&login_oid, Type::OID)]),
            (
                "what hangs on our roles",
                ELSEWHERE,
                vec![(&&both[..], Type::OID_ARRAY)],
            ),
            ("relations", relations::RELATIONS, by_name()),
            ("columns", relations::COLUMNS, by_name()),
        ])
        .await?;
    let known = |rows: &[Row], of: u32| -> Result<Vec<Held>, EngineError> {
        match of {
            0 => Ok(Vec::new()),
            _ => rows.iter().map(held).collect(),
        }
    };
    Ok(Holdings {
        shown: link.shown().to_owned(),
        version: answered.version,
        database: get(here, 0)?,
        database_owner: get(here, 1)?,
        everybody_connects: get(here, 2)?,
        everybody_identifies: get(here, 3)?,
        grantor_name: grantor_name.to_owned(),
        memberships: answers[0]
            .iter()
            .map(membership)
            .collect::<Result<_, _>>()?,
        becomes: match grantor_oid {
            0 => Vec::new(),
            _ => answers[1].iter().map(becomes).collect::<Result<_, _>>()?,
        },
        held: known(&answers[2], grantor_oid)?,
        held_by_login: known(&answers[3], login_oid)?,
        elsewhere: answers[4].iter().map(elsewhere).collect::<Result<_, _>>()?,
        relations: Relations::read(&answers[5], &answers[6])?,
        grantor,
        login,
    })
}

impl Holdings {
    /// The login's membership in the grantor.
    pub fn ours(&self) -> Option<&Membership> {
        let (login, grantor) = (self.login.as_ref()?, self.grantor.as_ref()?);
        self.memberships
            .iter()
            .find(|of| of.member == login.oid && of.role == grantor.oid)
    }

    /// Whether our login may end others' sessions.
    pub fn may_signal(&self) -> bool {
        self.others(self.login.as_ref())
            .any(|of| of.role_name == "pg_signal_backend" && (of.may_set || of.inherits))
    }

    /// Whether our login may use what `reserved_connections` keeps. By inheriting: it must be known before it can SET ROLE.
    pub fn may_use_reserved(&self) -> bool {
        self.others(self.login.as_ref())
            .any(|of| of.role_name == "pg_use_reserved_connections" && of.inherits)
    }

    /// Whether it must be able to: for a policy, or because a REVOKE waits for locks that others can hold.
    pub fn must_signal(&self, needs: &Needs) -> bool {
        needs.end_sessions || self.version.revoke_takes_table_lock()
    }

    /// Direct memberships of a role, that in the grantor aside.
    pub fn others<'h>(&'h self, role: Option<&Role>) -> impl Iterator<Item = &'h Membership> {
        let member = role.map_or(0, |role| role.oid);
        let grantor = self.grantor.as_ref().map_or(0, |role| role.oid);
        self.memberships
            .iter()
            .filter(move |of| of.member == member && of.role != grantor)
    }

    /// Whether what the grantor was given is needed, and with the grant option that it has.
    pub fn is_needed(&self, held: &Held, needs: &Needs) -> bool {
        match &held.on {
            Object::Column { table, column } => {
                held.privilege == "SELECT"
                    && needs
                        .tables
                        .iter()
                        .any(|(name, columns)| name == table && columns.contains(column))
            }
            Object::Schema(schema) => {
                held.privilege == "USAGE"
                    && schemas(needs).contains(schema.as_str())
                    && (!held.grantable || needs.usage.iter().any(|leased| leased == schema))
            }
            Object::Table(_) | Object::Database(_) | Object::Function(_) => false,
        }
    }
}

/// Every schema that the grantor must be able to use.
pub fn schemas(needs: &Needs) -> BTreeSet<&str> {
    let tables = needs.tables.iter().map(|(table, _)| table.schema.as_str());
    tables
        .chain(needs.usage.iter().map(|schema| schema.as_str()))
        .collect()
}

fn role(row: &Row) -> Result<Role, EngineError> {
    let mut powers = Vec::new();
    for (place, power) in [
        (3, "SUPERUSER"),
        (5, "CREATEROLE"),
        (6, "CREATEDB"),
        (7, "REPLICATION"),
        (8, "BYPASSRLS"),
    ] {
        if get(row, place)? {
            powers.push(power);
        }
    }
    Ok(Role {
        oid: get(row, 0)?,
        can_login: get(row, 2)?,
        inherits: get(row, 4)?,
        powers,
        comment: get(row, 9)?,
        may_connect: get(row, 10)?,
        may_identify: get(row, 11)?,
    })
}

fn membership(row: &Row) -> Result<Membership, EngineError> {
    Ok(Membership {
        member: get(row, 0)?,
        role: get(row, 1)?,
        role_name: get(row, 2)?,
        inherits: get(row, 3)?,
        may_set: get(row, 4)?,
        administers: get(row, 5)?,
    })
}

fn becomes(row: &Row) -> Result<Becomes, EngineError> {
    let creates_roles = get(row, 3)?;
    Ok(Becomes {
        oid: get(row, 0)?,
        name: get(row, 1)?,
        can_login: get(row, 2)?,
        how: match get::<i32>(row, 4)? {
            0 => Becoming::Now,
            1 => Becoming::ByAdministering { creates_roles },
            _ => Becoming::ByCreateRole,
        },
    })
}

fn held(row: &Row) -> Result<Held, EngineError> {
    let text = |place: usize| -> Result<String, EngineError> {
        Ok(get::<Option<String>>(row, place)?.unwrap_or_default())
    };
    let kind = text(0)?;
    let (schema, object) = (text(1)?, text(2)?);
    Ok(Held {
        on: match kind.as_str() {
            "column" => Object::Column {
                table: TableName::new(schema, object),
                column: ColumnName(text(3)?.into()),
            },
            "table" => Object::Table(TableName::new(schema, object)),
            "schema" => Object::Schema(schema),
            "database" => Object::Database(object),
            _ => Object::Function(object),
        },
        privilege: text(4)?,
        grantable: get(row, 5)?,
        owner: text(6)?,
        grantor: text(7)?,
    })
}

fn elsewhere(row: &Row) -> Result<Elsewhere, EngineError> {
    Ok(Elsewhere {
        role: get(row, 0)?,
        owns: get(row, 1)?,
        database: get(row, 2)?,
        what: get(row, 3)?,
    })
}
