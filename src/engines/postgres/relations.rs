//! What can be leased.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::identity::{get, text};
use super::link::Link;
use super::names::near;
use super::setup;
use crate::access::{ColumnName, SurveyProblem, TableName};
use crate::engines::EngineError;

pub const RELATIONS: &str = include_str!("sql/survey_relations.sql");
pub const COLUMNS: &str = include_str!("sql/survey_columns.sql");
const NEAR: &str = include_str!("sql/near_tables.sql");

/// What kind of relation it is, as far as leasing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table,
    Partitioned,
    View,
    Materialized,
    /// Not leased; in words.
    Other(&'static str),
}

/// One table or view.
#[derive(Clone, Debug)]
pub struct Relation {
    pub oid: u32,
    pub name: TableName,
    pub kind: Kind,
    pub owner: String,
    pub schema_oid: u32,
    pub schema_owner: String,
    pub has_row_security: bool,
    pub is_partition: bool,
    pub parents: Vec<String>,
    pub children: i32,
    pub grantor_has_usage: bool,
    /// Whether our grantor may hand on USAGE on the schema.
    pub usage_grantable: bool,
    /// Whether our grantor may hand on the whole table.
    pub grantable: bool,
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    pub attnum: i16,
    pub name: ColumnName,
    /// What it is made from, if it is generated.
    pub generated: Option<String>,
    /// Whether our grantor may hand it on.
    pub grantable: bool,
}

impl Relation {
    pub fn column(&self, name: &ColumnName) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name)
    }

    pub fn no_column(&self, name: &ColumnName) -> SurveyProblem {
        SurveyProblem::NoColumn {
            table: self.name.clone(),
            column: name.clone(),
            near: near(
                name.as_str(),
                self.columns.iter().map(|column| column.name.as_str()),
            ),
        }
    }

    /// What the owners run so that we may give these columns.
    pub fn not_ours(&self, columns: Vec<ColumnName>, grantor: &str) -> SurveyProblem {
        let mut sql = Vec::new();
        if !self.grantor_has_usage {
            sql.extend(setup::usage_statement(&self.name.schema, grantor, false));
        }
        let lacking: Vec<ColumnName> = columns
            .iter()
            .filter(|name| {
                !self.grantable && self.column(name).is_none_or(|column| !column.grantable)
            })
            .cloned()
            .collect();
        if !lacking.is_empty() {
            sql.extend(setup::columns_statement(&self.name, &lacking, grantor));
        }
        SurveyProblem::NotOurs {
            table: self.name.clone(),
            columns,
            sql,
        }
    }
}

/// The relations that were asked about, by name.
#[derive(Debug, Default)]
pub struct Relations {
    found: BTreeMap<TableName, Relation>,
    near: Vec<TableName>,
}

impl Relations {
    pub fn read(relations: &[Row], columns: &[Row]) -> Result<Self, EngineError> {
        let mut of: BTreeMap<u32, Vec<Column>> = BTreeMap::new();
        for row in columns {
            of.entry(get(row, 0)?).or_default().push(Column {
                attnum: get(row, 1)?,
                name: ColumnName(text(row, 2)?),
                generated: get(row, 3)?,
                grantable: get(row, 4)?,
            });
        }
        let mut read = Self::default();
        for row in relations {
            if let Some(oid) = get::<Option<u32>>(row, 4)? {
                let columns = of.get(&oid).cloned().unwrap_or_default();
                let relation = relation(row, oid, columns)?;
                read.found.insert(relation.name.clone(), relation);
            }
        }
        Ok(read)
    }

    /// Names to suggest.
    pub async fn read_near(&mut self, link: &Link) -> Result<(), EngineError> {
        for row in link.ask("names of tables", NEAR, Vec::new()).await? {
            self.near.push(TableName::new(
                get::<String>(&row, 0)?,
                get::<String>(&row, 1)?,
            ));
        }
        Ok(())
    }

    pub fn get(&self, name: &TableName) -> Option<&Relation> {
        self.found.get(name)
    }

    /// The relation, if it can be leased.
    pub fn fit(&self, name: &TableName) -> Result<&Relation, SurveyProblem> {
        let Some(relation) = self.found.get(name) else {
            let names: Vec<String> = self.near.iter().map(ToString::to_string).collect();
            return Err(SurveyProblem::NoTable {
                table: name.clone(),
                near: near(&name.to_string(), names.iter().map(String::as_str)),
            });
        };
        match relation.kind {
            Kind::Other(what) => Err(SurveyProblem::NotATable {
                table: name.clone(),
                what: what.to_owned(),
            }),
            _ => Ok(relation),
        }
    }
}

fn relation(row: &Row, oid: u32, columns: Vec<Column>) -> Result<Relation, EngineError> {
    let kind: String = get(row, 6)?;
    let kind = match (get::<bool>(row, 10)?, kind.as_str()) {
        (true, _) => Kind::Other("a system table"),
        (false, "r") => Kind::Table,
        (false, "p") => Kind::Partitioned,
        (false, "v") => Kind::View,
        (false, "m") => Kind::Materialized,
        // It reads with the rights of a user mapping on another server, which no grant here bounds.
        (false, "f") => Kind::Other("a foreign table"),
        (false, "S") => Kind::Other("a sequence"),
        (false, "i" | "I") => Kind::Other("an index"),
        (false, "c") => Kind::Other("a composite type"),
        (false, _) => Kind::Other("something that is no table"),
    };
    Ok(Relation {
        oid,
        name: TableName::new(get::<String>(row, 2)?, get::<String>(row, 5)?),
        kind,
        owner: get(row, 7)?,
        schema_oid: get(row, 1)?,
        schema_owner: get(row, 3)?,
        has_row_security: get(row, 8)?,
        is_partition: get(row, 9)?,
        parents: get(row, 14)?,
        children: get(row, 15)?,
        grantor_has_usage: get(row, 11)?,
        usage_grantable: get(row, 12)?,
        grantable: get(row, 13)?,
        columns,
    })
}
