//! Who can read a column, or use a schema, and by which way.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::access::Privilege;
use crate::engines::{EngineError, StillReads};

use super::identities::{self, Entry, Spot};
use super::identity::get;
use super::link::{Link, Parameter};

/// For accounts given as `$2`; see the file.
const READS: &str = concat!(include_str!("sql/reach.sql"), include_str!("sql/reads.sql"));
const USAGE: &str = concat!(include_str!("sql/reach.sql"), include_str!("sql/usage.sql"));

/// How an account comes by what a role has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// At once: its own, inherited, or everybody's.
    Now,
    /// After SET ROLE.
    BySetRole,
    /// After giving itself a membership that it administers.
    BySelfGrant,
}

/// One way in which an account can read or use something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// Relation or namespace.
    pub on: u32,
    /// 0: the whole of it.
    pub attnum: i16,
    pub account: u32,
    pub reached: Reached,
    /// The role that holds it; 0 is everybody.
    pub holder: u32,
    /// Who gave it; 0 where nobody did (owners, superusers).
    pub grantor: u32,
    /// In words: `role analysts (table grant by owner1)`.
    pub words: String,
}

impl Way {
    /// Whether it is a row that our grantor gave to the account itself: a lease of ours, or a stray.
    pub fn is_ours(&self, grantor: u32) -> bool {
        self.grantor == grantor && self.holder == self.account
    }
}

/// Pairs to ask about.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    on: Vec<u32>,
    accounts: Vec<u32>,
}

impl FromIterator<(u32, u32)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(pairs: I) -> Self {
        let distinct: BTreeSet<(u32, u32)> = pairs.into_iter().collect();
        let (on, accounts) = distinct.into_iter().unzip();
        Self { on, accounts }
    }
}

impl Pairs {
    /// The query for who can read; pairs are of relation and account.
    pub fn reads(&self) -> (&'static str, &'static str, Vec<Parameter<'_>>) {
        ("who can read", READS, self.parameters())
    }

    /// The query for who may use; pairs are of namespace and account.
    pub fn usage(&self) -> (&'static str, &'static str, Vec<Parameter<'_>>) {
        ("who may use the schema", USAGE, self.parameters())
    }

    /// `$1` and `$2` of a query about pairs.
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            (&self.on, Type::OID_ARRAY),
            (&self.accounts, Type::OID_ARRAY),
        ]
    }
}

/// Reads the answer of [`Pairs::reads`].
pub fn ways_to_read(rows: &[Row]) -> Result<Vec<Way>, EngineError> {
    rows.iter().map(|row| way(row, Some(1), 2)).collect()
}

/// Reads the answer of [`Pairs::usage`].
pub fn ways_to_use(rows: &[Row]) -> Result<Vec<Way>, EngineError> {
    rows.iter().map(|row| way(row, None, 1)).collect()
}

fn way(row: &Row, attnum: Option<usize>, rest: usize) -> Result<Way, EngineError> {
    let account: u32 = get(row, rest)?;
    let kind: String = get(row, rest + 1)?;
    let holder: u32 = get(row, rest + 2)?;
    let holder_name: Option<String> = get(row, rest + 3)?;
    let grantor: Option<u32> = get(row, rest + 4)?;
    let grantor_name: Option<String> = get(row, rest + 5)?;
    let reached = match get::<i32>(row, rest + 6)? {
        0 => Reached::Now,
        1 => Reached::BySetRole,
        _ => Reached::BySelfGrant,
    };
    let given = match kind.as_str() {
        kind @ ("column" | "table" | "schema") => format!(
            "{kind} grant by {}",
            grantor_name.as_deref().unwrap_or("a role that is no more")
        ),
        "owner" => "owner".to_owned(),
        "all" => "reads all data".to_owned(),
        other => other.to_owned(),
    };
    let own = holder == account;
    let held = match (holder, holder_name) {
        (0, _) => format!("PUBLIC ({given})"),
        (_, _) if own => given,
        (_, Some(name)) if kind == "all" => format!("role {name}"),
        (_, Some(name)) => format!("role {name} ({given})"),
        (_, None) => given,
    };
    let words = match reached {
        Reached::Now => held,
        Reached::BySetRole => format!("{held} by SET ROLE"),
        Reached::BySelfGrant => format!("{held}, which it may give itself"),
    };
    Ok(Way {
        on: get(row, 0)?,
        attnum: match attnum {
            Some(place) => get(row, place)?,
            None => 0,
        },
        account,
        reached,
        holder,
        grantor: grantor.unwrap_or(0),
        words,
    })
}

/// How each privilege's grantee can still read or use it, our rows to it left out of account.
///
/// Ways that first need a grant to oneself are not named here: they are not access yet.
pub async fn still_reads(
    link: &Link,
    database: u32,
    of: &[Privilege],
) -> Result<Vec<StillReads>, EngineError> {
    let entries = identities::all(of, database, link.shown())?;
    let relations: Pairs = entries.iter().filter_map(on_relation).collect();
    let schemas: Pairs = entries.iter().filter_map(on_schema).collect();
    let answers = link
        .snapshot(vec![relations.reads(), schemas.usage()])
        .await?;
    let reading = ByPair::of(ways_to_read(&answers[0])?);
    let using = ByPair::of(ways_to_use(&answers[1])?);
    let mut found = BTreeSet::new();
    for (entry, privilege) in entries.iter().zip(of) {
        let ways = match entry.spot {
            Spot::Column { relation, attnum } => reading.column(relation, attnum, entry.role),
            Spot::Schema { namespace } => using.column(namespace, 0, entry.role),
        };
        for way in ways {
            if way.reached != Reached::BySelfGrant && !way.is_ours(entry.grantor) {
                found.insert(StillReads {
                    key: privilege.key(),
                    how: way.words.clone(),
                });
            }
        }
    }
    Ok(found.into_iter().collect())
}

fn on_relation(entry: &Entry) -> Option<(u32, u32)> {
    match entry.spot {
        Spot::Column { relation, .. } => Some((relation, entry.role)),
        Spot::Schema { .. } => None,
    }
}

fn on_schema(entry: &Entry) -> Option<(u32, u32)> {
    match entry.spot {
        Spot::Schema { namespace } => Some((namespace, entry.role)),
        Spot::Column { .. } => None,
    }
}

/// Ways, ready to be looked up.
#[derive(Debug, Default)]
pub struct ByPair(foldhash::HashMap<(u32, u32), Vec<Way>>);

impl ByPair {
    pub fn of(ways: Vec<Way>) -> Self {
        let mut by_pair = Self::default();
        for way in ways {
            let key = (way.on, way.account);
            by_pair.0.entry(key).or_default().push(way);
        }
        by_pair
    }

    /// All ways to something, whole or in part.
    pub fn all(&self, on: u32, account: u32) -> impl Iterator<Item = &Way> {
        self.0.get(&(on, account)).into_iter().flatten()
    }

    /// The ways to one column, by its own rows and by those of the whole.
    pub fn column(&self, on: u32, attnum: i16, account: u32) -> impl Iterator<Item = &Way> {
        self.all(on, account)
            .filter(move |way| way.attnum == 0 || way.attnum == attnum)
    }
}
