//! Looking at the target before anybody is asked to approve.

use std::sync::Arc;

use crate::access::arrival::{Ask, Prerequisite, Survey, SurveyProblem};
use crate::access::{Request, RequestId, State, TableColumns, TargetName, Usage};
use crate::audit::event::EventKind;
use crate::engines::{Engine, Verb};
use crate::stores::{Change, Effect};

use super::acts::{Verdict, verdict};
use super::events::{self, Subject};
use super::history::Histories;
use super::target::{Failing, TargetReport};
use super::{Operator, commit_each, portions};

/// Judges what was submitted for this target: to `pending`, `approved` or `refused`.
///
/// # Errors
/// Where ledger or target fail as a whole; the requests stay `submitted`.
pub async fn submitted(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
) -> Result<(), Failing> {
    let histories = Histories::default();
    for ids in portions::of(op, target, State::Submitted, |_| true)? {
        some(op, target, engine, report, &ids, &histories).await?;
    }
    Ok(())
}

/// One portion of what was submitted.
async fn some(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
    ids: &[RequestId],
    histories: &Histories,
) -> Result<(), Failing> {
    let requests = portions::read(op, ids, &[State::Submitted])?;
    if requests.is_empty() {
        return Ok(());
    }
    let surveys = survey(op, target, engine, &requests).await?;
    let now = op.now();
    let mut changes = Vec::new();
    for (request, survey) in requests.into_iter().zip(surveys) {
        let objection = match verdict(op, &request, &now, histories)? {
            Verdict::Refused(why) => Some(why),
            Verdict::Allowed(_) => objection(&request, &survey),
        };
        let mut judged = request;
        if let Some(why) = objection {
            report.refused += 1;
            judged.state = State::Refused;
            judged.ended_at = Some(now.at);
            judged.outcome = Some(why.clone());
            changes.push(Change {
                events: events::of_request(EventKind::Refused, &op.itself(), &judged, Some(&why)),
                effects: vec![Effect::moved(State::Submitted, &judged)],
            });
            continue;
        }
        resolve(&mut judged, survey, engine);
        let automatic = judged
            .terms
            .as_ref()
            .is_some_and(|terms| terms.is_automatic());
        judged.state = if automatic {
            State::Approved
        } else {
            State::Pending
        };
        changes.push(Change {
            events: if automatic {
                events::of_request(
                    EventKind::Approved,
                    &op.itself(),
                    &judged,
                    Some("the policy approves it without asking anybody"),
                )
            } else {
                Vec::new()
            },
            effects: vec![Effect::SaveRequest {
                was: State::Submitted,
                now: Box::new(judged),
            }],
        });
    }
    commit_each(op, &now, &changes)?;
    Ok(())
}

/// Looks at the target for these requests. Privileges of our own live leases do not count as readable already.
pub async fn survey(
    op: &Operator,
    target: &TargetName,
    engine: &mut dyn Engine,
    requests: &[Request],
) -> Result<Vec<Survey>, Failing> {
    let ours = Arc::new(op.ledger.live_keys(target)?);
    let asks: Vec<Ask> = requests
        .iter()
        .map(|request| Ask {
            grantee: request.grantee.clone(),
            tables: request.tables.clone(),
            along: request
                .terms
                .as_ref()
                .map(|terms| terms.along.clone())
                .unwrap_or_default(),
            ours: ours.clone(),
        })
        .collect();
    Ok(engine.survey(&asks).await?)
}

/// Takes over what the survey found, for the approver to see and the grant to compare.
fn resolve(request: &mut Request, survey: Survey, engine: &dyn Engine) {
    request.privileges = survey.privileges;
    request.caveats = survey.caveats;
    request.will_read = survey.will_read;
    for prerequisite in survey.prerequisites {
        let opens = if prerequisite.opens.is_empty() {
            "nothing else".to_owned()
        } else {
            prerequisite.opens.join(", ")
        };
        request.caveats.push(format!(
            "{} is missing and is leased along; it also opens {opens}.",
            prerequisite.what
        ));
        request.privileges.extend(prerequisite.lease);
    }
    let mut groups: std::collections::BTreeMap<Subject, Vec<_>> = std::collections::BTreeMap::new();
    for privilege in &request.privileges {
        groups
            .entry(Subject::of(privilege))
            .or_default()
            .push(privilege.clone());
    }
    request.sql = groups
        .values()
        .map(|privileges| engine.sql(Verb::Grant, privileges))
        .collect();
}

/// Why the target's state forbids the grant, in words for the requester; `None` where nothing does.
pub fn objection(request: &Request, survey: &Survey) -> Option<String> {
    let mut why: Vec<String> = survey.problems.iter().map(in_words).collect();
    if why.is_empty() {
        why.extend(survey.readable.iter().map(|reading| {
            format!(
                "{} can read {} already: {}",
                request.grantee,
                TableColumns {
                    table: reading.table.clone(),
                    columns: vec![reading.column.clone()]
                },
                reading.how
            )
        }));
        let usage = request
            .terms
            .as_ref()
            .map_or(Usage::Refuse, |terms| terms.usage);
        why.extend(
            survey
                .prerequisites
                .iter()
                .filter(|missing| usage == Usage::Refuse || missing.lease.is_none())
                .map(|missing| missing_in_words(missing, request)),
        );
    }
    (!why.is_empty()).then(|| why.join("\n"))
}

fn missing_in_words(missing: &Prerequisite, request: &Request) -> String {
    format!(
        "{} lacks {}; a DBA gives it with: {}",
        request.grantee, missing.what, missing.sql
    )
}

fn in_words(problem: &SurveyProblem) -> String {
    let near = |near: &[String]| {
        if near.is_empty() {
            String::new()
        } else {
            format!("; did you mean {}?", near.join(" or "))
        }
    };
    match problem {
        SurveyProblem::NoTable { table, near: names } => {
            format!("there is no table {table}{}", near(names))
        }
        SurveyProblem::NoColumn {
            table,
            column,
            near: names,
        } => {
            format!("table {table} has no column {column}{}", near(names))
        }
        SurveyProblem::NotATable { table, what } => {
            format!("{table} is {what}, which cannot be leased")
        }
        SurveyProblem::NoAccount {
            grantee,
            near: names,
        } => {
            format!(
                "there is no account {grantee}{}; a DBA makes it, or `people:` in the settings names another",
                near(names)
            )
        }
        SurveyProblem::Unfit { grantee, why } => {
            format!("{grantee} cannot receive access: it {why}")
        }
        SurveyProblem::NotOurs {
            table,
            columns,
            sql,
        } => {
            format!(
                "jit itself may not give {}; its owner allows that with: {}",
                TableColumns {
                    table: table.clone(),
                    columns: columns.clone()
                },
                sql.join("; ")
            )
        }
    }
}
