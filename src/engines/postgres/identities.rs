//! Identities, taken apart: which relations, columns, schemas and roles some privileges are about.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::privilege::{Named, Thing};
use crate::access::{ColumnName, Grantee, Identity, Privilege, TableName};
use crate::engines::EngineError;

use super::identity::{get, text};
use super::link::{Parameter, Send};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// What one privilege is on, without who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spot {
    Column { relation: u32, attnum: i16 },
    Schema { namespace: u32 },
}

/// One row of ours in an access list: what it is on, who holds it, which role gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    pub spot: Spot,
    pub role: u32,
    pub grantor: u32,
}

/// Takes an identity apart. `None` where it is of another database or engine.
pub fn apart(identity: &Identity, our_database: u32) -> Option<Entry> {
    match *identity {
        Identity::PostgresColumn {
            database,
            relation,
            attnum,
            role,
            grantor,
        } if database == our_database => Some(Entry {
            spot: Spot::Column { relation, attnum },
            role,
            grantor,
        }),
        Identity::PostgresSchema {
            database,
            namespace,
            role,
            grantor,
        } if database == our_database => Some(Entry {
            spot: Spot::Schema { namespace },
            role,
            grantor,
        }),
        _ => None,
    }
}

/// Puts an identity together.
pub fn together(row: Entry, database: u32) -> Identity {
    match row.spot {
        Spot::Column { relation, attnum } => Identity::PostgresColumn {
            database,
            relation,
            attnum,
            role: row.role,
            grantor: row.grantor,
        },
        Spot::Schema { namespace } => Identity::PostgresSchema {
            database,
            namespace,
            role: row.role,
            grantor: row.grantor,
        },
    }
}

/// The identities of all, in order.
///
/// # Errors
/// `Changed` where one is of another database: whatever is done here would be done to something else.
pub fn all(of: &[Privilege], our_database: u32, shown: &str) -> Result<Vec<Entry>, EngineError> {
    of.iter()
        .map(|privilege| {
            apart(&privilege.identity, our_database).ok_or_else(|| EngineError::Changed {
                address: shown.to_owned(),
                what: format!("privilege {}", privilege.key()),
                why: format!("it is of another database, not of this one (OID {our_database})"),
            })
        })
        .collect()
}

/// Objects whose names are wanted, ready to be sent as arrays.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub relations: Vec<u32>,
    pub column_relations: Vec<u32>,
    pub column_numbers: Vec<i16>,
    pub schemas: Vec<u32>,
    pub roles: Vec<u32>,
}

const RELATIONS: &str = include_str!("sql/names_relations.sql");
const COLUMNS: &str = include_str!("sql/names_columns.sql");
const SCHEMAS: &str = include_str!("sql/names_schemas.sql");
const ROLES: &str = include_str!("sql/names_roles.sql");

impl Wanted {
    /// Everything that these rows are about, grantors included.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut columns = BTreeSet::new();
        let (mut relations, mut schemas, mut roles) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for row in rows {
            match row.spot {
                Spot::Column { relation, attnum } => {
                    relations.insert(relation);
                    columns.insert((relation, attnum));
                }
                Spot::Schema { namespace } => {
                    schemas.insert(namespace);
                }
            }
            roles.extend([row.role, row.grantor]);
        }
        let (column_relations, column_numbers) = columns.into_iter().unzip();
        Self {
            relations: relations.into_iter().collect(),
            column_relations,
            column_numbers,
            schemas: schemas.into_iter().collect(),
            roles: roles.into_iter().collect(),
        }
    }

    /// The four queries, to be answered by [`Names::read`].
    pub fn queries(&self) -> Vec<(&'static str, &'static str, Vec<Parameter<'_>>)> {
        vec![
            (
                "names of relations",
                RELATIONS,
                vec![(&self.relations, Type::OID_ARRAY)],
            ),
            (
                "names of columns",
                COLUMNS,
                vec![
                    (&self.column_relations, Type::OID_ARRAY),
                    (&self.column_numbers, Type::INT2_ARRAY),
                ],
            ),
            (
                "names of schemas",
                SCHEMAS,
                vec![(&self.schemas, Type::OID_ARRAY)],
            ),
            (
                "names of roles",
                ROLES,
                vec![(&self.roles, Type::OID_ARRAY)],
            ),
        ]
    }

    pub fn sends(&self) -> Vec<Send<'_>> {
        self.queries()
            .into_iter()
            .map(|(name, sql, parameters)| Send::Ask {
                name,
                sql,
                parameters,
            })
            .collect()
    }
}

/// Names as they are at one moment, by identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub relations: BTreeMap<u32, TableName>,
    pub columns: BTreeMap<(u32, i16), ColumnName>,
    pub schemas: BTreeMap<u32, String>,
    pub roles: BTreeMap<u32, Grantee>,
}

impl Names {
    /// How many answers [`Wanted::queries`] gives.
    pub const ANSWERS: usize = 4;

    /// Reads the answers of [`Wanted::queries`], in its order.
    pub fn read(answers: &[Vec<Row>]) -> Result<Self, EngineError> {
        let mut names = Self::default();
        let answer = |place: usize| answers.get(place).map(Vec::as_slice).unwrap_or_default();
        for row in answer(0) {
            let name = TableName::new(get::<String>(row, 1)?, get::<String>(row, 2)?);
            names.relations.insert(get(row, 0)?, name);
        }
        for row in answer(1) {
            let place = (get(row, 0)?, get(row, 1)?);
            names.columns.insert(place, ColumnName(text(row, 2)?));
        }
        for row in answer(2) {
            names.schemas.insert(get(row, 0)?, get(row, 1)?);
        }
        for row in answer(3) {
            names.roles.insert(get(row, 0)?, Grantee(text(row, 1)?));
        }
        Ok(names)
    }

    /// The names that a row has now; the error says what exists no more.
    pub fn of(&self, row: &Entry) -> Result<Named, String> {
        let thing = match row.spot {
            Spot::Column { relation, attnum } => {
                let table = self
                    .relations
                    .get(&relation)
                    .ok_or_else(|| format!("the table (OID {relation}) exists no more"))?;
                let column = self.columns.get(&(relation, attnum)).ok_or_else(|| {
                    format!("the column (number {attnum} of {table}) exists no more")
                })?;
                Thing::Column {
                    table: table.clone(),
                    column: column.clone(),
                }
            }
            Spot::Schema { namespace } => Thing::Schema(
                self.schemas
                    .get(&namespace)
                    .ok_or_else(|| format!("the schema (OID {namespace}) exists no more"))?
                    .clone()
                    .into(),
            ),
        };
        Ok(Named {
            grantee: self.grantee(row.role)?,
            thing,
        })
    }

    fn grantee(&self, role: u32) -> Result<Grantee, String> {
        match role {
            0 => Ok(Grantee("PUBLIC".into())),
            role => self
                .roles
                .get(&role)
                .cloned()
                .ok_or_else(|| format!("the account (OID {role}) exists no more")),
        }
    }
}

/// Our rows in the catalog at one moment.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    held: BTreeSet<(Spot, u32)>,
    grantable: BTreeSet<(Spot, u32)>,
}

const STATE_COLUMNS: &str = include_str!("sql/state_columns.sql");
const STATE_SCHEMAS: &str = include_str!("sql/state_schemas.sql");

impl Shown {
    /// How many answers [`Shown::sends`] gives.
    pub const ANSWERS: usize = 2;

    /// The queries for all rows that one grantor gave on these objects to these roles.
    pub fn sends<'a>(wanted: &'a Wanted, roles: &'a Vec<u32>, grantor: &'a u32) -> Vec<Send<'a>> {
        let ask = |name, sql, on: &'a Vec<u32>| Send::Ask {
            name,
            sql,
            parameters: vec![
                (on, Type::OID_ARRAY),
                (roles, Type::OID_ARRAY),
                (grantor, Type::OID),
            ],
        };
        vec![
            ask("state of columns", STATE_COLUMNS, &wanted.relations),
            ask("state of schemas", STATE_SCHEMAS, &wanted.schemas),
        ]
    }

    pub fn read(columns: &[Row], schemas: &[Row]) -> Result<Self, EngineError> {
        let mut shown = Self::default();
        for row in columns {
            let (relation, role): (u32, u32) = (get(row, 0)?, get(row, 1)?);
            let spot = |attnum| (Spot::Column { relation, attnum }, role);
            shown
                .held
                .extend(get::<Vec<i16>>(row, 2)?.into_iter().map(spot));
            let grantable: Option<Vec<i16>> = get(row, 3)?;
            shown
                .grantable
                .extend(grantable.unwrap_or_default().into_iter().map(spot));
        }
        for row in schemas {
            let at = (
                Spot::Schema {
                    namespace: get(row, 0)?,
                },
                get(row, 1)?,
            );
            shown.held.insert(at);
            if get(row, 2)? {
                shown.grantable.insert(at);
            }
        }
        Ok(shown)
    }

    pub fn holds(&self, row: &Entry) -> bool {
        self.held.contains(&(row.spot, row.role))
    }

    pub fn is_grantable(&self, row: &Entry) -> bool {
        self.grantable.contains(&(row.spot, row.role))
    }
}
