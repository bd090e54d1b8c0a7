//! All policies together: read, checked for what can be seen in them alone, and indexed.

use std::sync::Arc;

use foldhash::HashMap;
use regex_lite::{Regex, RegexBuilder};
use sha2::{Digest, Sha256};

use super::document::{ApprovalDoc, EntryDoc, PolicyDoc, PolicyFile, TestDoc};
use super::glob::{Glob, TableGlob};
use super::index::Index;
use crate::access::{ApprovalLine, ColumnName, RuleRef, Sessions, TargetName, Ttl, Usage};
use crate::yaml::{self, Place, Placed, Problem};

/// A file's name as shown in problems, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub name: String,
    /// As on disk; that it is UTF-8 is found out when it is read.
    pub text: Vec<u8>,
}

impl SourceFile {
    /// SHA-256 of the text, hexadecimal: the `hash` of the rules in it.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.text))
    }
}

/// From request to grant where an entry does not say it.
pub const WITHIN: Ttl = Ttl::from_secs(24 * 3600);

/// The longest span there is.
const LONGEST: Ttl = Ttl::from_secs(366 * 24 * 3600);

/// A set of policies that can judge.
#[derive(Debug, Default)]
pub struct Book {
    pub(super) policies: Vec<Policy>,
    pub(super) index: Index,
}

/// One policy, read.
#[derive(Debug)]
pub struct Policy {
    pub name: String,
    pub file: Arc<str>,
    pub place: Place,
    /// SHA-256 of the file's text.
    pub hash: Arc<str>,
    pub description: Option<String>,
    pub class: Option<String>,
    pub target: TargetName,
    pub target_place: Place,
    pub table: TableGlob,
    pub columns: Vec<Glob>,
    /// `with:`, in exact names.
    pub along: Vec<ColumnName>,
    pub entries: Vec<Entry>,
    pub(super) tests: Vec<Placed<TestDoc>>,
}

/// One entry of `allow:`.
#[derive(Debug)]
pub struct Entry {
    pub place: Place,
    pub who: Vec<String>,
    /// `None`: any purpose, or none.
    pub purposes: Option<Vec<String>>,
    pub ticket: Option<Ticket>,
    pub max: Ttl,
    pub max_total: Ttl,
    pub within: Ttl,
    pub sessions: Sessions,
    pub usage: Usage,
    /// Empty: approved at once.
    pub lines: Vec<ApprovalLine>,
}

/// What a ticket must look like.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub text: Arc<str>,
    whole: Regex,
}

impl Ticket {
    /// Whether the whole of it matches.
    pub fn matches(&self, ticket: &str) -> bool {
        self.whole.is_match(ticket)
    }
}

impl Policy {
    /// The rule that one of its entries is, counted from 0.
    pub fn rule(&self, entry: usize) -> RuleRef {
        RuleRef {
            policy: self.name.clone(),
            hash: self.hash.to_string(),
            entry: entry + 1,
        }
    }

    pub(super) fn shown(&self, entry: usize) -> String {
        format!("{}, entry {}", self.name, entry + 1)
    }
}

impl Book {
    /// Reads policy files. Pure: the texts are given.
    ///
    /// # Errors
    /// All that can be found wrong without knowing people and targets, by file and place; then nothing is judged.
    pub fn load(files: &[SourceFile]) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::default();
        for file in files {
            match yaml::read::<PolicyFile>(&file.name, &file.text) {
                Ok(document) => reader.file(file, document),
                Err(problem) => reader.problems.push(problem),
            }
        }
        if !reader.problems.is_empty() {
            reader.problems.sort();
            return Err(reader.problems);
        }
        let policies = reader.policies;
        // They make room for the index.
        drop(reader.names);
        let index = Index::new(&policies);
        Ok(Self { policies, index })
    }

    /// In the order of the files and of the policies in them.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }
}

/// Without room for more: what was read one by one has room for as much again, and there are ten thousand.
fn tight<T>(mut all: Vec<T>) -> Vec<T> {
    all.shrink_to_fit();
    all
}

#[derive(Default)]
struct Reader {
    policies: Vec<Policy>,
    problems: Vec<Problem>,
    /// Which policy has a name.
    names: HashMap<String, usize>,
    /// Compiled once a text.
    tickets: HashMap<String, Ticket>,
}

impl Reader {
    fn file(&mut self, file: &SourceFile, document: PolicyFile) {
        if document.version.value != 1 {
            self.problems.push(
                Problem::error(
                    &file.name,
                    document.version.place,
                    format!("version {} is not known", document.version.value),
                )
                .cure("this jit reads version 1"),
            );
            return;
        }
        let name: Arc<str> = file.name.as_str().into();
        let hash: Arc<str> = file.hash().into();
        for policy in document.policies {
            self.policy(&name, &hash, policy);
        }
    }

    fn error(&mut self, file: &str, place: Place, what: impl Into<String>, cure: &str) {
        let problem = Problem::error(file, place, what);
        self.problems.push(if cure.is_empty() {
            problem
        } else {
            problem.cure(cure)
        });
    }

    fn policy(&mut self, file: &Arc<str>, hash: &Arc<str>, doc: PolicyDoc) {
        let place = doc.name.place;
        let name = doc.name.value.0;
        if let Some(first) = self.names.get(&name).map(|at| &self.policies[*at]) {
            let cure = format!(
                "the first is at {}:{}; rename one",
                first.file, first.place.line
            );
            self.error(
                file,
                place,
                format!("a second policy is named {name:?}"),
                &cure,
            );
        }
        if let Some(twice) = first_double(&doc.columns) {
            let what = format!("policy {name:?} names the column {twice} twice");
            self.error(file, place, what, "take one out");
        }
        let mut along = Vec::new();
        for column in doc.with {
            match column.as_exact() {
                Some(exact) => along.push(ColumnName(exact.into())),
                None => self.error(
                    file,
                    column.place,
                    format!(
                        "{} is a pattern, and `with:` takes exact names",
                        column.value
                    ),
                    "name the columns",
                ),
            }
        }
        let (sessions, usage) = (doc.sessions, doc.usage);
        let entries = doc
            .allow
            .into_iter()
            .map(|entry| self.entry(file, entry, sessions, usage))
            .collect();
        self.names
            .entry(name.clone())
            .or_insert(self.policies.len());
        self.policies.push(Policy {
            name,
            file: file.clone(),
            place,
            hash: hash.clone(),
            description: doc.description,
            class: doc.class,
            target: TargetName(doc.target.value.into()),
            target_place: doc.target.place,
            table: doc.table,
            columns: tight(doc.columns),
            along: tight(along),
            entries: tight(entries),
            tests: doc.tests,
        });
    }

    fn entry(
        &mut self,
        file: &str,
        doc: Placed<EntryDoc>,
        sessions: Option<Sessions>,
        usage: Option<Usage>,
    ) -> Entry {
        let place = doc.place;
        let doc = doc.value;
        let ticket = doc.ticket.and_then(|text| match self.ticket(&text) {
            Ok(ticket) => Some(ticket),
            Err(why) => {
                let what = format!("the ticket's regular expression is wrong: {why}");
                self.error(file, text.place, what, "");
                None
            }
        });
        let max_total = match doc.max_total {
            Some(total) if total.value < doc.max.value => {
                let what = format!("max_total is {}, shorter than max", total.value);
                self.error(file, total.place, what, "make it max or longer");
                total.value
            }
            Some(total) => total.value,
            None => doc.max.times(2).min(LONGEST),
        };
        let (lines, within) = match doc.approval {
            ApprovalDoc::Auto(_) => (Vec::new(), WITHIN),
            ApprovalDoc::Needed(needed) => (
                super::approvals::summed(needed.all.into_iter().map(|line| ApprovalLine {
                    by: sorted(line.by.into_iter().map(|who| who.0).collect()),
                    count: line.count,
                })),
                needed.within.unwrap_or(WITHIN),
            ),
        };
        Entry {
            place,
            who: tight(doc.who.into_iter().map(|who| who.0).collect()),
            purposes: doc
                .purposes
                .map(|purposes| tight(purposes.into_iter().map(|word| word.0).collect())),
            ticket,
            max: doc.max.value,
            max_total,
            within,
            sessions: doc.sessions.or(sessions).unwrap_or_default(),
            usage: doc.usage.or(usage).unwrap_or_default(),
            lines: tight(lines),
        }
    }

    fn ticket(&mut self, text: &str) -> Result<Ticket, String> {
        if let Some(known) = self.tickets.get(text) {
            return Ok(known.clone());
        }
        let ticket = Ticket {
            text: text.into(),
            whole: compile_whole(text)?,
        };
        self.tickets.insert(text.to_owned(), ticket.clone());
        Ok(ticket)
    }
}

/// Whether the whole of a ticket matches a pattern of the policies; one that is no pattern matches nothing.
pub fn ticket_fits(pattern: &str, ticket: &str) -> bool {
    compile_whole(pattern).is_ok_and(|whole| whole.is_match(ticket))
}

fn compile_whole(text: &str) -> Result<Regex, String> {
    // First as written, so that `a)(b` cannot step out of the group around it.
    compile(text)?;
    compile(&format!(r"\A(?:{text})\z"))
        .map_err(|_| "it cannot be matched as a whole; leave out (?x)".to_owned())
}

fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(256 * 1024)
        .nest_limit(40)
        .build()
        .map_err(|error| error.to_string())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

fn first_double(columns: &[Glob]) -> Option<&Glob> {
    let mut seen = std::collections::HashSet::with_capacity(columns.len());
    columns.iter().find(|column| !seen.insert(*column))
}
