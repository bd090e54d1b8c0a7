//! What the settings and policies say, as `workflow` needs it.

use std::collections::BTreeMap;

use crate::access::{Grantee, TableColumns, TargetName, Ttl};
use crate::engines::{Address, Dialect};
use crate::policy::book::Book;
use crate::policy::{Directory, Explained, Judgement, Question};

/// Who is who: groups, accounts, admins.
pub trait People: Directory {
    /// The account that a person has on a target; the error says which setting gives none.
    fn grantee(&self, target: &TargetName, user: &str) -> Result<Grantee, String>;
    /// May revoke by selector and see every request.
    fn is_admin(&self, user: &str) -> bool;
    /// The directory in it (a trait object cannot be turned into another by itself everywhere).
    fn directory(&self) -> &dyn Directory;
}

/// The rules of one run.
pub struct Rules {
    pub book: Book,
    pub people: Box<dyn People>,
    pub targets: BTreeMap<TargetName, Address>,
    /// Grants are given only where a sweep succeeded within this span.
    pub sweep_within: Ttl,
    /// SHA-256 (hexadecimal) over settings and policies.
    pub hash: String,
    /// Hash and text of the settings file and of each policy file, for the ledger to keep.
    pub texts: Vec<(String, String)>,
}

impl Rules {
    /// Whether columns compare without case there.
    pub fn ignores_column_case(&self, target: &TargetName) -> bool {
        self.targets
            .get(target)
            .is_some_and(|address| address.dialect == Dialect::Mysql)
    }

    /// Judges, with nothing but values.
    pub fn judge(&self, asked: &Asked<'_>) -> Judgement {
        self.book
            .judge(self.people.directory(), &self.question(asked))
    }

    /// The same judgement, and how it came about.
    pub fn explain(&self, asked: &Asked<'_>) -> Explained {
        self.book
            .explain(self.people.directory(), &self.question(asked))
    }

    fn question<'a>(&self, asked: &Asked<'a>) -> Question<'a> {
        Question {
            who: asked.who,
            target: asked.target,
            ignore_column_case: self.ignores_column_case(asked.target),
            tables: asked.tables,
            purpose: asked.purpose,
            ticket: asked.ticket,
            ttl: asked.ttl,
            unbroken: asked.unbroken,
        }
    }
}

/// A question to [`Rules::judge`].
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub who: &'a str,
    pub target: &'a TargetName,
    pub tables: &'a [TableColumns],
    pub purpose: Option<&'a str>,
    pub ticket: Option<&'a str>,
    pub ttl: Ttl,
    pub unbroken: Ttl,
}
