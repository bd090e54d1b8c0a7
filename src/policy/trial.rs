//! The tests that policy files carry: `jit policy test`.

use serde::Serialize;

use super::book::{Book, Policy};
use super::document::{Expect, TestDoc};
use super::{Directory, Judgement, KnownTargets, Question, approvals};
use crate::access::{ColumnName, TableColumns, TableName};
use crate::yaml::Placed;

/// How one test went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult {
    pub file: String,
    pub line: u64,
    pub policy: String,
    /// Counted from 1 in its policy.
    pub number: usize,
    pub passed: bool,
    /// `alice asks for public.customers:email for 30m`
    pub asked: String,
    pub expected: Expect,
    /// What came out: `auto`, `approval by …`, or the refusal.
    pub got: String,
}

impl Book {
    /// Runs all tests, in the order of the files, through the very judgement that requests get.
    pub fn run_tests(&self, dir: &dyn Directory, targets: &KnownTargets) -> Vec<TestResult> {
        self.policies
            .iter()
            .flat_map(|policy| {
                let tests = policy.tests.iter().enumerate();
                tests.map(|(at, test)| self.run(dir, targets, policy, at, test))
            })
            .collect()
    }

    fn run(
        &self,
        dir: &dyn Directory,
        targets: &KnownTargets,
        policy: &Policy,
        at: usize,
        test: &Placed<TestDoc>,
    ) -> TestResult {
        let columns = test.columns.as_ref().unwrap_or(&policy.columns);
        let tables = [TableColumns {
            table: TableName::new(
                policy.table.schema.sample("x"),
                policy.table.table.sample("x"),
            ),
            columns: columns
                .iter()
                .map(|glob| ColumnName(glob.sample("x").into()))
                .collect(),
        }];
        let question = Question {
            who: &test.who.0,
            target: &policy.target,
            ignore_column_case: targets
                .get(&policy.target)
                .is_some_and(|known| known.ignore_column_case),
            tables: &tables,
            purpose: test.purpose.as_deref(),
            ticket: test.ticket.as_deref(),
            ttl: test.ttl,
            unbroken: test.ttl,
        };
        let (outcome, got) = match self.judge(dir, &question) {
            Judgement::Refused(refusals) => {
                let why: Vec<String> = refusals.iter().map(ToString::to_string).collect();
                (Expect::Refused, format!("refused: {}", why.join("; ")))
            }
            Judgement::Allowed(terms) if terms.is_automatic() => (Expect::Auto, "auto".into()),
            Judgement::Allowed(terms) => {
                let given: Vec<&str> = test
                    .approvers
                    .iter()
                    .flatten()
                    .map(|person| person.0.as_str())
                    .collect();
                let open = approvals::missing(&terms.lines, &given, &test.who.0, dir);
                let needed = approvals::in_words(&terms.lines);
                if test.approvers.is_some() && !open.is_empty() {
                    let missing = approvals::in_words(&open);
                    let got = format!(
                        "approval: {needed}; with {} still missing {missing}",
                        given.join(", ")
                    );
                    return result(policy, at, test, &question, false, got);
                }
                (Expect::Approval, format!("approval: {needed}"))
            }
        };
        result(policy, at, test, &question, outcome == test.expect, got)
    }
}

fn result(
    policy: &Policy,
    at: usize,
    test: &Placed<TestDoc>,
    question: &Question<'_>,
    passed: bool,
    got: String,
) -> TestResult {
    let mut asked = format!("{} asks for ", question.who);
    for table in question.tables {
        asked.push_str(&table.to_string());
    }
    asked.push_str(&format!(" for {}", question.ttl));
    if let Some(purpose) = question.purpose {
        asked.push_str(&format!(", purpose {purpose}"));
    }
    if let Some(ticket) = question.ticket {
        asked.push_str(&format!(", ticket {ticket}"));
    }
    TestResult {
        file: policy.file.to_string(),
        line: test.place.line,
        policy: policy.name.clone(),
        number: at + 1,
        passed,
        asked,
        expected: test.expect,
        got,
    }
}
