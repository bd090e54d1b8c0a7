//! Reading the catalog: how our rows stand, what there is to lease, what of ours nobody owns.

use foldhash::HashSet;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::access::privilege::{Named, Thing};
use crate::access::{
    ColumnName, Grantee, NamePattern, Privilege, PrivilegeKey, Standing, TableName, TablePattern,
};
use crate::engines::{Catalog, EngineError};

use super::identities::{self, Entry, Spot};
use super::identity::{get, text};
use super::link::{Link, Parameter};

const STANDING_COLUMNS: &str = include_str!("sql/standing_columns.sql");
const STANDING_SCHEMAS: &str = include_str!("sql/standing_schemas.sql");
const CATALOG: &str = include_str!("sql/catalog.sql");
const STRAYS_COLUMNS: &str = include_str!("sql/strays_columns.sql");
const STRAYS_SCHEMAS: &str = include_str!("sql/strays_schemas.sql");
const GRANTOR: &str = include_str!("sql/grantor.sql");

/// With more patterns than this, looking at every table's columns costs less than matching every table with them.
const PATTERNS: usize = 100;

/// How each privilege stands, by identity, in the order given.
pub async fn standings(
    link: &Link,
    database: u32,
    of: &[Privilege],
) -> Result<Vec<Standing>, EngineError> {
    let entries = identities::all(of, database, link.shown())?;
    let (mut relations, mut attnums, mut roles, mut grantors) = (vec![], vec![], vec![], vec![]);
    let (mut spaces, mut space_roles, mut space_grantors) = (vec![], vec![], vec![]);
    let (mut columns_at, mut schemas_at) = (vec![], vec![]);
    for (place, entry) in entries.iter().enumerate() {
        match entry.spot {
            Spot::Column { relation, attnum } => {
                relations.push(relation);
                attnums.push(attnum);
                roles.push(entry.role);
                grantors.push(entry.grantor);
                columns_at.push(place);
            }
            Spot::Schema { namespace } => {
                spaces.push(namespace);
                space_roles.push(entry.role);
                space_grantors.push(entry.grantor);
                schemas_at.push(place);
            }
        }
    }
    let answers = link
        .snapshot(vec![
            (
                "standing of columns",
                STANDING_COLUMNS,
                vec![
                    (&relations, Type::OID_ARRAY),
                    (&attnums, Type::INT2_ARRAY),
                    (&roles, Type::OID_ARRAY),
                    (&grantors, Type::OID_ARRAY),
                ],
            ),
            (
                "standing of schemas",
                STANDING_SCHEMAS,
                vec![
                    (&spaces, Type::OID_ARRAY),
                    (&space_roles, Type::OID_ARRAY),
                    (&space_grantors, Type::OID_ARRAY),
                ],
            ),
        ])
        .await?;
    let mut standings: Vec<Option<Standing>> = vec![None; of.len()];
    for (rows, places, read) in [
        (&answers[0], &columns_at, column_standing as Reader),
        (&answers[1], &schemas_at, schema_standing as Reader),
    ] {
        for row in rows {
            let nr: i32 = get(row, 0)?;
            let place = usize::try_from(nr - 1).ok().and_then(|nr| places.get(nr));
            if let Some(place) = place {
                standings[*place] = Some(read(row, &entries[*place])?);
            }
        }
    }
    standings
        .into_iter()
        .map(|standing| {
            standing.ok_or_else(|| EngineError::Changed {
                address: link.shown().to_owned(),
                what: "the catalog".to_owned(),
                why: "it answered for fewer privileges than it was asked for".to_owned(),
            })
        })
        .collect()
}

type Reader = fn(&Row, &Entry) -> Result<Standing, EngineError>;

fn column_standing(row: &Row, entry: &Entry) -> Result<Standing, EngineError> {
    let (schema, table, column): (Option<String>, Option<String>, Option<String>) =
        (get(row, 1)?, get(row, 2)?, get(row, 3)?);
    let (Some(schema), Some(table)) = (schema, table) else {
        return Ok(gone("the table exists no more"));
    };
    let table = TableName::new(schema, table);
    let Some(column) = column else {
        return Ok(gone(&format!("the column exists no more in {table}")));
    };
    let thing = Thing::Column {
        table,
        column: ColumnName(column.into()),
    };
    held(thing, get(row, 4)?, entry, get(row, 5)?)
}

fn schema_standing(row: &Row, entry: &Entry) -> Result<Standing, EngineError> {
    match get::<Option<String>>(row, 1)? {
        None => Ok(gone("the schema exists no more")),
        Some(schema) => held(
            Thing::Schema(schema.into()),
            get(row, 2)?,
            entry,
            get(row, 3)?,
        ),
    }
}

fn held(
    thing: Thing,
    role: Option<String>,
    entry: &Entry,
    grantable: Option<bool>,
) -> Result<Standing, EngineError> {
    let grantee = match (role, entry.role) {
        (_, 0) => everybody(),
        (Some(role), _) => Grantee(role.into()),
        (None, _) => return Ok(gone("the account exists no more")),
    };
    let named = Named { grantee, thing };
    Ok(match grantable {
        Some(grantable) => Standing::Held {
            named,
            grantable,
            stamp: None,
            contested: None,
        },
        None => Standing::Absent { named, stamp: None },
    })
}

fn gone(why: &str) -> Standing {
    Standing::Gone {
        why: why.to_owned(),
    }
}

fn everybody() -> Grantee {
    Grantee("PUBLIC".into())
}

/// Everything that can be leased, system schemas aside.
pub async fn catalog(link: &Link, of: &[TablePattern]) -> Result<Catalog, EngineError> {
    let (mut schemas, mut tables) = (Vec::new(), Vec::new());
    let mut likes = Vec::new();
    for pattern in of {
        match (&pattern.schema, &pattern.table) {
            (NamePattern::Exact(schema), NamePattern::Exact(table)) => {
                schemas.push(schema.as_str());
                tables.push(table.as_str());
            }
            (schema, table) => likes.push((schema.like(), table.like())),
        }
    }
    if likes.len() > PATTERNS {
        likes = vec![("%".to_owned(), "%".to_owned())];
    }
    let (schemas_like, tables_like): (Vec<String>, Vec<String>) = likes.into_iter().unzip();
    let parameters: Vec<Parameter<'_>> = vec![
        (&schemas, Type::TEXT_ARRAY),
        (&tables, Type::TEXT_ARRAY),
        (&schemas_like, Type::TEXT_ARRAY),
        (&tables_like, Type::TEXT_ARRAY),
    ];
    link.ask("catalog", CATALOG, parameters)
        .await?
        .iter()
        .map(|row| {
            let table = TableName::new(get::<String>(row, 0)?, get::<String>(row, 1)?);
            let columns: Vec<String> = get(row, 2)?;
            Ok((table, columns.into_iter().map(ColumnName::from).collect()))
        })
        .collect()
}

/// Our grantor role.
#[derive(Clone, Debug)]
pub struct Grantor {
    pub oid: u32,
    pub comment: Option<String>,
}

/// The grantor role of this name, if there is one.
pub async fn grantor(link: &Link, name: &str) -> Result<Option<Grantor>, EngineError> {
    let rows = link
        .ask("grantor role", GRANTOR, vec![(&name, Type::TEXT)])
        .await?;
    rows.first()
        .map(|row| {
            Ok(Grantor {
                oid: get(row, 0)?,
                comment: get(row, 1)?,
            })
        })
        .transpose()
}

/// Rows of our grantor that are not owned, on columns and schemas.
pub async fn strays(
    link: &Link,
    database: u32,
    grantor: u32,
    owned: &HashSet<PrivilegeKey>,
) -> Result<Vec<Privilege>, EngineError> {
    let answers = link
        .snapshot(vec![
            (
                "our rows on columns",
                STRAYS_COLUMNS,
                vec![(&grantor, Type::OID)],
            ),
            (
                "our rows on schemas",
                STRAYS_SCHEMAS,
                vec![(&grantor, Type::OID)],
            ),
        ])
        .await?;
    let mut strays = Vec::new();
    let mut keep = |entry: Entry, role: Option<String>, thing: Thing| {
        // A role that is gone leaves its number only; there is no name to revoke from and nobody to read.
        let grantee = match (entry.role, role) {
            (0, _) => everybody(),
            (_, Some(role)) => Grantee(role.into()),
            (_, None) => return,
        };
        let privilege = Privilege {
            identity: identities::together(entry, database),
            named: Named { grantee, thing },
            stamp: None,
        };
        if !owned.contains(&privilege.key()) {
            strays.push(privilege);
        }
    };
    for row in &answers[0] {
        let entry = Entry {
            spot: Spot::Column {
                relation: get(row, 0)?,
                attnum: get(row, 1)?,
            },
            role: get(row, 2)?,
            grantor,
        };
        let thing = Thing::Column {
            table: TableName::new(get::<String>(row, 3)?, get::<String>(row, 4)?),
            column: ColumnName(text(row, 5)?),
        };
        keep(entry, get(row, 6)?, thing);
    }
    for row in &answers[1] {
        let entry = Entry {
            spot: Spot::Schema {
                namespace: get(row, 0)?,
            },
            role: get(row, 1)?,
            grantor,
        };
        keep(entry, get(row, 3)?, Thing::Schema(text(row, 2)?));
    }
    Ok(strays)
}
