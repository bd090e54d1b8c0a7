//! What the settings and policies say, as `workflow` needs it.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use crate::access::{Grantee, TableColumns, TargetName, Ttl};
use crate::engines::{Address, Dialect};
use crate::policy::book::Book;
use crate::policy::{Directory, Explained, Judgement, KnownTarget, Question};

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
    /// What keeps the policies from being read at all; then `book` is empty. See [`Rules::complaints`].
    pub unread: Vec<String>,
    /// Found once, when first asked for.
    pub lint: OnceCell<Vec<String>>,
    /// Hash and text of the settings file and of each policy file, for the ledger to keep.
    pub texts: RefCell<Vec<(String, String)>>,
}

impl Rules {
    /// Errors in the policy files, in words. While there are any, nothing is judged by them: no request is taken up,
    /// nothing is granted. What is due is taken back all the same.
    pub fn complaints(&self) -> &[String] {
        self.lint.get_or_init(|| {
            if !self.unread.is_empty() {
                return self.unread.clone();
            }
            let targets = self
                .targets
                .keys()
                .map(|name| {
                    let ignore_column_case = self.ignores_column_case(name);
                    (name.clone(), KnownTarget { ignore_column_case })
                })
                .collect();
            self.book
                .check(self.people.directory(), &targets)
                .into_iter()
                .filter(|problem| problem.is_error())
                .map(|problem| problem.to_string())
                .collect()
        })
    }

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
