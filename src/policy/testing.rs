//! Invented people and policies for the tests of this room.

use std::collections::BTreeMap;

use super::{Book, Directory, Judgement, KnownTarget, KnownTargets, Question, SourceFile};
use crate::access::{TableColumns, TableName, TargetName, Terms, Ttl, syntax};

/// Groups and their members; everybody else is only themselves.
pub(crate) struct People(BTreeMap<String, Vec<String>>);

impl People {
    pub fn new(groups: &[(&str, &str)]) -> Self {
        Self(
            groups
                .iter()
                .map(|(name, members)| {
                    let members = members.split_whitespace().map(str::to_owned).collect();
                    (format!("group:{name}"), members)
                })
                .collect(),
        )
    }
}

impl Directory for People {
    fn members(&self, entry: &str) -> Vec<String> {
        if entry.starts_with("group:") {
            self.0.get(entry).cloned().unwrap_or_default()
        } else {
            vec![entry.to_owned()]
        }
    }

    fn knows(&self, entry: &str) -> bool {
        self.0.contains_key(entry) || self.0.values().flatten().any(|member| member == entry)
    }

    fn groups(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// The people of the contract.
pub(crate) fn team() -> People {
    People::new(&[
        ("support", "alice bob"),
        ("engineering", "erin carol"),
        ("dba", "carol dave"),
        ("privacy", "paula carol"),
    ])
}

pub(crate) fn targets() -> KnownTargets {
    [("shop", false), ("billing", true)]
        .into_iter()
        .map(|(name, ignore_column_case)| {
            (TargetName::from(name), KnownTarget { ignore_column_case })
        })
        .collect()
}

pub(crate) fn source(text: &str) -> SourceFile {
    SourceFile {
        name: "p.yaml".into(),
        text: text.as_bytes().to_vec(),
    }
}

/// The policies that the contract shows.
pub(crate) fn contract() -> Book {
    book(CONTRACT)
}

/// A book of these policies (the list under `policies:`), which must load.
pub(crate) fn book(policies: &str) -> Book {
    match Book::load(&[source(&format!("version: 1\npolicies:\n{policies}"))]) {
        Ok(book) => book,
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// What the contract shows.
pub(crate) const CONTRACT: &str = r#"
  - name: customer-contact
    description: Contact details of shop customers
    target: shop
    table: public.customers
    columns: [email, phone]
    with: [id]
    class: pii
    allow:
      - who: [group:support]
        purposes: [support-ticket]
        ticket: 'SUP-\d+'
        max: 1h
        approval: auto
      - who: [group:engineering, frank]
        purposes: [incident, migration]
        max: 8h
        sessions: end
        approval:
          all:
            - {by: [group:dba], count: 1}
            - {by: [group:privacy], count: 1}
          within: 2h
    tests:
      - {who: alice, purpose: support-ticket, ticket: SUP-7, for: 30m, expect: auto}
      - {who: alice, purpose: support-ticket, for: 2h, expect: refused}
"#;

/// A question, built up from a small one.
#[derive(Clone)]
pub(crate) struct Ask {
    pub who: String,
    pub target: TargetName,
    pub tables: Vec<TableColumns>,
    pub purpose: Option<String>,
    pub ticket: Option<String>,
    pub ttl: Ttl,
    pub unbroken: Option<Ttl>,
    pub ignore_case: bool,
}

pub(crate) fn ask(who: &str, columns: &str, ttl: &str) -> Ask {
    let tables = columns
        .split_whitespace()
        .map(|text| match syntax::parse_columns(text) {
            Ok((table, syntax::TypedColumns::Named(names))) => TableColumns {
                table: TableName::new(table.schema.unwrap(), table.table),
                columns: names.iter().map(|name| name.as_str().into()).collect(),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    Ask {
        who: who.into(),
        target: "shop".into(),
        tables,
        purpose: None,
        ticket: None,
        ttl: Ttl::parse(ttl).unwrap(),
        unbroken: None,
        ignore_case: false,
    }
}

impl Ask {
    pub fn purpose(mut self, purpose: &str) -> Self {
        self.purpose = Some(purpose.into());
        self
    }

    pub fn ticket(mut self, ticket: &str) -> Self {
        self.ticket = Some(ticket.into());
        self
    }

    pub fn unbroken(mut self, ttl: &str) -> Self {
        self.unbroken = Some(Ttl::parse(ttl).unwrap());
        self
    }

    pub fn question(&self) -> Question<'_> {
        Question {
            who: &self.who,
            target: &self.target,
            ignore_column_case: self.ignore_case,
            tables: &self.tables,
            purpose: self.purpose.as_deref(),
            ticket: self.ticket.as_deref(),
            ttl: self.ttl,
            unbroken: self.unbroken.unwrap_or(self.ttl),
        }
    }

    pub fn judged(&self, book: &Book) -> Judgement {
        book.judge(&team(), &self.question())
    }

    pub fn allowed(&self, book: &Book) -> Terms {
        match self.judged(book) {
            Judgement::Allowed(terms) => terms,
            Judgement::Refused(why) => panic!("{why:#?}"),
        }
    }

    /// The refusals as people read them.
    pub fn refused(&self, book: &Book) -> Vec<String> {
        match self.judged(book) {
            Judgement::Refused(why) => why.iter().map(ToString::to_string).collect(),
            Judgement::Allowed(terms) => panic!("{terms:#?}"),
        }
    }
}
