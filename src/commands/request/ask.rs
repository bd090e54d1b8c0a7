//! PURE. What to ask next, given what this person may request and what is known already.
//!
//! Offers are the entries of the rules that fit the person, in the order of the policies: for a purpose and a
//! duration the first that takes both decides, as in the judgement itself.

use std::collections::BTreeSet;

use crate::access::{ColumnName, TableColumns, TableName, TargetName, Ttl};
use crate::policy::Offer;
use crate::workflow::requestable::Columns;
use crate::workflow::view::ColumnView;

/// What this person may request.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub columns: Columns,
}

/// What is known of the request so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub target: Option<TargetName>,
    /// A table whose columns are still to be picked.
    pub table: Option<TableName>,
    pub tables: Vec<TableColumns>,
    /// The inner one is `None` where the person wants to name none.
    pub purpose: Option<Option<String>>,
    pub ttl: Option<Ttl>,
    pub ticket: Option<String>,
    pub reason: Option<String>,
}

/// The next thing to ask. Lists are never empty, and hold at least two where there is something to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    Target(Vec<TargetName>),
    Table(Vec<TableName>),
    Columns {
        table: TableName,
        columns: Vec<ColumnView>,
    },
    Purpose(Vec<PurposeOffer>),
    Duration {
        most: Ttl,
    },
    /// The patterns that the whole ticket must match, all of them.
    Ticket(Vec<String>),
    Reason,
}

/// One purpose that all asked columns may be had for; without a name: no purpose need be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeOffer {
    pub name: Option<String>,
    pub most: Ttl,
    /// Up to how long with whose approval, the longest first; never empty.
    pub steps: Vec<Step>,
}

/// Up to so long, with these approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub most: Ttl,
    pub approvals: Vec<String>,
}

/// Why nothing can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// No column at all, or none of this target or table.
    Offered {
        target: Option<TargetName>,
        table: Option<TableName>,
    },
    /// No policy lets this person ask for that column.
    Column(TableName, ColumnName),
    /// These columns may each be had, but for no common purpose.
    Together(Vec<TableColumns>),
}

/// The next question; `None` where nothing is missing.
///
/// # Errors
/// Where there is nothing that could be asked for.
pub fn next(known: &Known, answers: &Answers) -> Result<Option<Question>, Nothing> {
    let nothing = || Nothing::Offered {
        target: answers.target.clone(),
        table: answers.table.clone(),
    };
    let Some(target) = &answers.target else {
        let targets: BTreeSet<&TargetName> = known.columns.tables().map(|(of, _)| of).collect();
        if targets.is_empty() {
            return Err(nothing());
        }
        return Ok(Some(Question::Target(
            targets.into_iter().cloned().collect(),
        )));
    };
    if answers.tables.is_empty() {
        return columns_of(known, answers, target)
            .map(Some)
            .ok_or_else(nothing);
    }
    let offers = offers(known, target, &answers.tables)?;
    let purposes = purposes(&offers, answers.ttl);
    let Some(purpose) = &answers.purpose else {
        return match purposes.as_slice() {
            [] => Err(Nothing::Together(answers.tables.clone())),
            // Nothing to choose: whoever reads the answers takes it.
            _ => Ok(Some(Question::Purpose(purposes))),
        };
    };
    let purpose = purpose.as_deref();
    let Some(ttl) = answers.ttl else {
        // A purpose from the command line that fits nothing is told by the judgement, which knows why.
        return Ok(longest(&offers, purpose).map(|most| Question::Duration { most }));
    };
    if answers.ticket.is_none() {
        let patterns = tickets(&offers, purpose, ttl);
        if !patterns.is_empty() {
            return Ok(Some(Question::Ticket(patterns)));
        }
    }
    Ok(answers.reason.is_none().then_some(Question::Reason))
}

/// Whether anything must be asked for. What the rules refuse whatever is answered lacks nothing: it is handed in as
/// it is, refused, and on record.
pub fn lacks_something(known: &Known, answers: &Answers) -> bool {
    let (Some(target), Some(ttl), Some(_)) = (&answers.target, answers.ttl, &answers.reason) else {
        return true;
    };
    if answers.tables.is_empty() {
        return true;
    }
    let Ok(offers) = offers(known, target, &answers.tables) else {
        return false;
    };
    let purpose = match &answers.purpose {
        Some(purpose) => purpose.as_deref(),
        None => {
            let purposes = purposes(&offers, Some(ttl));
            if !purposes.is_empty() && purposes.iter().all(|of| of.name.is_some()) {
                return true;
            }
            None
        }
    };
    answers.ticket.is_none() && !tickets(&offers, purpose, ttl).is_empty()
}

/// Forgets answers that cannot be accepted with the others, so that they are asked again; says why, a sentence each.
pub fn mend(known: &Known, answers: &mut Answers) -> Vec<String> {
    let mut why = Vec::new();
    let Some(target) = &answers.target else {
        return why;
    };
    let Ok(offers) = offers(known, target, &answers.tables) else {
        return why;
    };
    if offers.is_empty() {
        return why;
    }
    let all = purposes(&offers, None);
    if let Some(Some(purpose)) = &answers.purpose
        && longest(&offers, Some(purpose)).is_none()
    {
        let names: Vec<&str> = all.iter().filter_map(|of| of.name.as_deref()).collect();
        why.push(format!(
            "these may be had for {}, not for {purpose:?}",
            names.join(", ")
        ));
        answers.purpose = None;
    }
    let most = match &answers.purpose {
        Some(purpose) => longest(&offers, purpose.as_deref()),
        None => all.iter().map(|of| of.most).max(),
    };
    if let (Some(ttl), Some(most)) = (answers.ttl, most)
        && let Err(reason) = fits_duration(ttl, most)
    {
        why.push(reason);
        answers.ttl = None;
    }
    why
}

/// Table, or columns of it.
fn columns_of(known: &Known, answers: &Answers, target: &TargetName) -> Option<Question> {
    let Some(table) = &answers.table else {
        let here = known.columns.tables().filter(|(of, _)| *of == target);
        let tables: BTreeSet<&TableName> = here.map(|(_, table)| table).collect();
        return (!tables.is_empty())
            .then(|| Question::Table(tables.into_iter().cloned().collect()));
    };
    let here = known.columns.of(target, table);
    let columns: Vec<ColumnView> = here.map(ColumnView::from).collect();
    (!columns.is_empty()).then(|| Question::Columns {
        table: table.clone(),
        columns,
    })
}

/// The offers for each asked column.
fn offers<'k>(
    known: &'k Known,
    target: &TargetName,
    tables: &[TableColumns],
) -> Result<Vec<&'k [Offer]>, Nothing> {
    let mut found = Vec::new();
    for of in tables {
        for column in &of.columns {
            match known.columns.find(target, &of.table, column) {
                Some(of) if !of.by.offers.is_empty() => found.push(of.by.offers.as_slice()),
                _ => return Err(Nothing::Column(of.table.clone(), column.clone())),
            }
        }
    }
    Ok(found)
}

fn takes(offer: &Offer, purpose: Option<&str>) -> bool {
    offer.purposes.is_empty()
        || purpose.is_some_and(|asked| offer.purposes.iter().any(|known| known == asked))
}

/// What all columns may be had for, for at least so long: named purposes in the order of the policies, and then,
/// where all have it, none at all.
pub fn purposes(offers: &[&[Offer]], ttl: Option<Ttl>) -> Vec<PurposeOffer> {
    let mut names: Vec<Option<String>> = Vec::new();
    for name in offers.iter().copied().flatten().flat_map(|o| &o.purposes) {
        if !names.contains(&Some(name.clone())) {
            names.push(Some(name.clone()));
        }
    }
    names.push(None);
    names
        .into_iter()
        .filter_map(|name| {
            let most = longest(offers, name.as_deref())?;
            if ttl.is_some_and(|ttl| ttl > most) {
                return None;
            }
            Some(PurposeOffer {
                steps: steps(offers, name.as_deref(), ttl.unwrap_or(most)),
                name,
                most,
            })
        })
        .collect()
}

/// Whose approval it takes for how long: the longest first, and then each shorter one that takes another.
fn steps(offers: &[&[Offer]], purpose: Option<&str>, most: Ttl) -> Vec<Step> {
    let mut limits: BTreeSet<Ttl> = offers
        .iter()
        .copied()
        .flatten()
        .map(|offer| offer.max)
        .filter(|max| *max < most)
        .collect();
    limits.insert(most);
    let mut steps: Vec<Step> = Vec::new();
    for limit in limits.into_iter().rev() {
        let mut approvals: Vec<String> = Vec::new();
        for offer in deciding(offers, purpose, limit) {
            if !approvals.contains(&offer.approval) {
                approvals.push(offer.approval.clone());
            }
        }
        if steps.last().is_none_or(|step| step.approvals != approvals) {
            steps.push(Step {
                most: limit,
                approvals,
            });
        }
    }
    steps
}

/// The longest that all columns may be had for with this purpose; `None` where one of them may not.
fn longest(offers: &[&[Offer]], purpose: Option<&str>) -> Option<Ttl> {
    offers
        .iter()
        .map(|of| {
            of.iter()
                .filter(|offer| takes(offer, purpose))
                .map(|offer| offer.max)
                .max()
        })
        .min()
        .flatten()
}

/// For each column the first entry that takes purpose and duration: it decides.
fn deciding<'o>(
    offers: &'o [&[Offer]],
    purpose: Option<&'o str>,
    ttl: Ttl,
) -> impl Iterator<Item = &'o Offer> {
    offers.iter().filter_map(move |of| {
        of.iter()
            .find(|offer| takes(offer, purpose) && ttl <= offer.max)
    })
}

/// The patterns of the entries that decide, each once.
fn tickets(offers: &[&[Offer]], purpose: Option<&str>, ttl: Ttl) -> Vec<String> {
    let mut patterns: Vec<String> = Vec::new();
    for pattern in deciding(offers, purpose, ttl).filter_map(|offer| offer.ticket.as_ref()) {
        if !patterns.contains(pattern) {
            patterns.push(pattern.clone());
        }
    }
    patterns
}

/// Whether columns of one table, each with its offers, may be had together, for some purpose.
///
/// # Errors
/// A sentence for the person who picked them.
pub fn fit_together(columns: &[(&str, &[Offer])]) -> Result<(), String> {
    let offers: Vec<&[Offer]> = columns.iter().map(|(_, offers)| *offers).collect();
    if !purposes(&offers, None).is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    Err(format!(
        "there is no purpose for which {} may be had together; ask for them one by one",
        names.join(" and ")
    ))
}

/// Whether a duration may be had.
///
/// # Errors
/// A sentence for the person who typed it.
pub fn fits_duration(ttl: Ttl, most: Ttl) -> Result<(), String> {
    if ttl <= most {
        Ok(())
    } else {
        Err(format!("these may be had for {most} at most, not {ttl}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::requestable::{Collect, Offering};

    fn offer(max: &str, purposes: &[&str], ticket: Option<&str>, approval: &str) -> Offer {
        Offer {
            max: Ttl::parse(max).unwrap(),
            purposes: purposes.iter().map(|p| (*p).to_owned()).collect(),
            ticket: ticket.map(str::to_owned),
            approval: approval.to_owned(),
        }
    }

    fn known(of: Vec<(&str, &str, &str, Vec<Offer>)>) -> Known {
        let mut columns = Columns::default();
        for (target, table, name, offers) in of {
            let place = columns.offering(Offering {
                policy: "p".into(),
                class: None,
                max: offers.iter().map(|o| o.max).max().unwrap(),
                offers,
            });
            let table = table.parse().unwrap();
            columns.push(&target.into(), &table, &name.into(), place);
        }
        Known { columns }
    }

    fn contact() -> Vec<Offer> {
        vec![
            offer("1h", &["support"], Some("SUP-\\d+"), "no approval"),
            offer("8h", &["support", "incident"], None, "1 of group:dba"),
        ]
    }

    fn shop() -> Known {
        known(vec![
            ("shop", "public.customers", "email", contact()),
            ("shop", "public.customers", "phone", contact()),
            (
                "shop",
                "public.customers",
                "ssn",
                vec![offer("2h", &["incident"], None, "2 of group:dba")],
            ),
            (
                "shop",
                "public.orders",
                "note",
                vec![offer("4h", &[], None, "no approval")],
            ),
            (
                "billing",
                "billing.cards",
                "number",
                vec![offer("1h", &["audit"], None, "1 of group:dba")],
            ),
        ])
    }

    fn picked(columns: &[&str]) -> Answers {
        Answers {
            target: Some("shop".into()),
            tables: vec![TableColumns {
                table: "public.customers".parse().unwrap(),
                columns: columns.iter().map(|c| (*c).into()).collect(),
            }],
            ..Answers::default()
        }
    }

    fn purpose(name: &str) -> Option<Option<String>> {
        Some(Some(name.to_owned()))
    }

    fn ttl(text: &str) -> Ttl {
        Ttl::parse(text).unwrap()
    }

    #[test]
    fn from_nothing_each_thing_is_asked_once_and_in_order() {
        let known = shop();
        let mut answers = Answers::default();
        let mut order = Vec::new();
        while let Some(question) = next(&known, &answers).unwrap() {
            match question {
                Question::Target(targets) => {
                    assert_eq!(targets, ["billing".into(), "shop".into()]);
                    order.push("target");
                    answers.target = Some("shop".into());
                }
                Question::Table(tables) => {
                    assert_eq!(tables.len(), 2);
                    order.push("table");
                    answers.table = Some("public.customers".parse().unwrap());
                }
                Question::Columns { columns, .. } => {
                    assert_eq!(columns.len(), 3);
                    order.push("columns");
                    answers.tables = picked(&["email"]).tables;
                }
                Question::Purpose(_) => {
                    order.push("purpose");
                    answers.purpose = purpose("support");
                }
                Question::Duration { most } => {
                    assert_eq!(most, ttl("8h"));
                    order.push("duration");
                    answers.ttl = Some(ttl("30m"));
                }
                Question::Ticket(patterns) => {
                    assert_eq!(patterns, ["SUP-\\d+"]);
                    order.push("ticket");
                    answers.ticket = Some("SUP-7".into());
                }
                Question::Reason => {
                    order.push("reason");
                    answers.reason = Some("because".into());
                }
            }
            assert!(order.len() < 10, "{order:?}");
        }
        assert_eq!(
            order,
            [
                "target", "table", "columns", "purpose", "duration", "ticket", "reason"
            ]
        );
    }

    #[test]
    fn only_what_is_missing_is_asked() {
        let known = shop();
        let mut answers = picked(&["email"]);
        answers.purpose = purpose("incident");
        assert_eq!(
            next(&known, &answers),
            Ok(Some(Question::Duration { most: ttl("8h") }))
        );
        answers.ttl = Some(ttl("8h"));
        assert_eq!(next(&known, &answers), Ok(Some(Question::Reason)));
        answers.reason = Some("because".into());
        assert_eq!(next(&known, &answers), Ok(None));
    }

    #[test]
    fn a_ticket_is_wanted_by_the_entry_that_decides_and_by_no_other() {
        let known = shop();
        let mut answers = picked(&["email", "phone"]);
        answers.purpose = purpose("support");
        answers.ttl = Some(ttl("1h"));
        assert_eq!(
            next(&known, &answers),
            Ok(Some(Question::Ticket(vec!["SUP-\\d+".into()])))
        );
        answers.ttl = Some(ttl("2h"));
        assert_eq!(next(&known, &answers), Ok(Some(Question::Reason)));
    }

    #[test]
    fn several_columns_are_had_for_what_they_have_in_common() {
        let known = shop();
        let Ok(Some(Question::Purpose(purposes))) = next(&known, &picked(&["email", "ssn"])) else {
            panic!("no purpose is asked for");
        };
        assert_eq!(
            purposes,
            [PurposeOffer {
                name: Some("incident".into()),
                most: ttl("2h"),
                steps: vec![Step {
                    most: ttl("2h"),
                    approvals: vec!["1 of group:dba".into(), "2 of group:dba".into()],
                }],
            }]
        );
        let mut answers = picked(&["email", "ssn"]);
        answers.purpose = purpose("incident");
        assert_eq!(
            next(&known, &answers),
            Ok(Some(Question::Duration { most: ttl("2h") }))
        );
    }

    #[test]
    fn a_purpose_says_whose_approval_it_takes_for_how_long() {
        let known = shop();
        let Ok(Some(Question::Purpose(purposes))) = next(&known, &picked(&["email"])) else {
            panic!("no purpose is asked for");
        };
        assert_eq!(purposes[0].name.as_deref(), Some("support"));
        let steps: Vec<(Ttl, &str)> = purposes[0]
            .steps
            .iter()
            .map(|step| (step.most, step.approvals[0].as_str()))
            .collect();
        assert_eq!(
            steps,
            [(ttl("8h"), "1 of group:dba"), (ttl("1h"), "no approval")]
        );
        assert_eq!(purposes[1].steps.len(), 1, "incidents have one way only");
    }

    #[test]
    fn a_purpose_that_is_too_short_for_the_given_duration_is_not_offered() {
        let known = known(vec![(
            "shop",
            "public.customers",
            "email",
            vec![
                offer("1h", &["support"], None, "no approval"),
                offer("8h", &["incident"], None, "1 of group:dba"),
            ],
        )]);
        let mut answers = picked(&["email"]);
        answers.ttl = Some(ttl("2h"));
        let Ok(Some(Question::Purpose(purposes))) = next(&known, &answers) else {
            panic!("no purpose is asked for");
        };
        assert_eq!(purposes.len(), 1);
        assert_eq!(purposes[0].name.as_deref(), Some("incident"));
    }

    #[test]
    fn no_purpose_is_an_answer_where_all_entries_allow_it() {
        let known = shop();
        let mut answers = picked(&["note"]);
        answers.tables[0].table = "public.orders".parse().unwrap();
        let Ok(Some(Question::Purpose(purposes))) = next(&known, &answers) else {
            panic!("no purpose is asked for");
        };
        assert_eq!(purposes.len(), 1);
        assert_eq!(purposes[0].name, None);
        answers.purpose = Some(None);
        assert_eq!(
            next(&known, &answers),
            Ok(Some(Question::Duration { most: ttl("4h") }))
        );
    }

    #[test]
    fn a_whole_command_line_lacks_nothing_but_what_the_rules_want() {
        let known = shop();
        let mut answers = picked(&["email"]);
        answers.ttl = Some(ttl("30m"));
        assert!(lacks_something(&known, &answers), "a reason is missing");
        answers.reason = Some("because".into());
        assert!(lacks_something(&known, &answers), "a purpose is missing");
        answers.purpose = purpose("support");
        assert!(lacks_something(&known, &answers), "a ticket is missing");
        answers.ticket = Some("SUP-7".into());
        assert!(!lacks_something(&known, &answers));
        answers.purpose = purpose("incident");
        answers.ticket = None;
        assert!(!lacks_something(&known, &answers));
        // Nothing that could be answered would help: the refusal says why.
        answers.ttl = Some(ttl("9h"));
        assert!(!lacks_something(&known, &answers));
        answers.tables[0].columns = vec!["id".into()];
        assert!(!lacks_something(&known, &answers));
        let mut open = picked(&["note"]);
        open.tables[0].table = "public.orders".parse().unwrap();
        open.ttl = Some(ttl("30m"));
        open.reason = Some("because".into());
        assert!(!lacks_something(&known, &open), "no purpose is needed");
    }

    #[test]
    fn columns_without_a_common_purpose_are_refused_where_they_are_picked() {
        let known = shop();
        let all: Vec<(&str, &[Offer])> = (known.columns.iter())
            .map(|of| (of.column.as_str(), of.by.offers.as_slice()))
            .collect();
        let (email, card) = (all[0], all[4]);
        assert!(fit_together(&[email, all[2]]).is_ok());
        let why = fit_together(&[email, card]).unwrap_err();
        assert!(why.contains("email and number"), "{why}");
    }

    #[test]
    fn what_nobody_offers_is_no_question() {
        let known = shop();
        assert!(matches!(
            next(&Known::default(), &Answers::default()),
            Err(Nothing::Offered { target: None, .. })
        ));
        let elsewhere = Answers {
            target: Some("elsewhere".into()),
            ..Answers::default()
        };
        assert!(matches!(
            next(&known, &elsewhere),
            Err(Nothing::Offered { .. })
        ));
        assert_eq!(
            next(&known, &picked(&["id"])),
            Err(Nothing::Column(
                "public.customers".parse().unwrap(),
                "id".into()
            ))
        );
    }

    #[test]
    fn what_cannot_be_accepted_is_asked_again_with_the_reason() {
        let known = shop();
        let mut answers = picked(&["email"]);
        answers.purpose = purpose("fun");
        answers.ttl = Some(ttl("9h"));
        answers.reason = Some("because".into());
        let why = mend(&known, &mut answers);
        assert_eq!(why.len(), 2, "{why:?}");
        assert!(
            why[0].contains("support, incident, not for \"fun\""),
            "{why:?}"
        );
        assert_eq!((&answers.purpose, answers.ttl), (&None, None));
        assert_eq!(answers.reason.as_deref(), Some("because"));
        let mut fine = picked(&["email"]);
        fine.purpose = purpose("support");
        fine.ttl = Some(ttl("8h"));
        assert!(mend(&known, &mut fine).is_empty());
        assert_eq!(fine.ttl, Some(ttl("8h")));
    }

    #[test]
    fn a_duration_is_judged_at_once() {
        assert!(fits_duration(ttl("1h"), ttl("1h")).is_ok());
        let why = fits_duration(ttl("2h"), ttl("1h")).unwrap_err();
        assert!(why.contains("1h at most, not 2h"), "{why}");
    }
}
