//! The words of a refusal: the rule, what would be accepted, and the flags to type.

use super::approvals;
use super::book::{Book, Entry, Policy};
use super::glob::Case;
use super::index::Ruling;
use super::judge::{Asked, Failure};
use super::{Directory, Refusal};
use crate::access::{
    ApprovalLine, ColumnName, TableColumns, TableName, TargetName, Terms, Ttl, syntax,
};
use crate::yaml::nearest;

/// Entries and purposes that are looked at for something to suggest.
const LOOKED_AT: usize = 40;

pub(super) fn plain(why: &str) -> Refusal {
    Refusal {
        why: why.to_owned(),
        rule: None,
        try_this: None,
    }
}

/// Columns as people type them; many of them shortened.
fn shown(columns: &[&TableColumns]) -> String {
    const SHOWN: usize = 6;
    let texts: Vec<String> = columns
        .iter()
        .map(|of| {
            let more = of.columns.len().saturating_sub(SHOWN);
            if more == 0 {
                return of.to_string();
            }
            let first = TableColumns {
                table: of.table.clone(),
                columns: of.columns[..SHOWN].to_vec(),
            };
            format!("{first} and {more} more")
        })
        .collect();
    texts.join(" ")
}

/// As what a person fits an entry: `support`, `support and engineering`, or their name.
fn fits_as(entry: &Entry, who: &str, dir: &dyn Directory) -> String {
    let names: Vec<&str> = entry
        .memberships(who, dir)
        .into_iter()
        .map(|name| name.strip_prefix("group:").unwrap_or(name))
        .collect();
    names.join(" and ")
}

/// Why the deciding entry is not met; `None` where it is.
pub(super) fn failed(entry: &Entry, failure: Option<Failure>, asked: &Asked<'_>) -> Option<String> {
    match failure {
        Some(Failure::Ticket(_)) => Some(ticket_failed(entry, asked.ticket)),
        Some(Failure::Total(_)) => Some(format!(
            "it gives at most {} unbroken, not {}",
            entry.max_total, asked.unbroken
        )),
        _ => None,
    }
}

pub(super) fn purpose_failed(entry: &Entry, asked: Option<&str>) -> String {
    let wanted = entry.purposes.as_deref().unwrap_or_default().join(", ");
    match asked {
        Some(asked) => format!("it is for the purpose {wanted}, not {asked:?}"),
        None => format!("it needs a purpose: {wanted}"),
    }
}

fn ticket_failed(entry: &Entry, asked: Option<&str>) -> String {
    let wanted = entry.ticket.as_ref().map_or("", |ticket| &ticket.text);
    match asked {
        Some(asked) => format!("its ticket must match {wanted}, and {asked:?} does not"),
        None => format!("it needs a ticket that matches {wanted}"),
    }
}

/// The refusal of one policy.
pub(super) fn of(
    policy: &Policy,
    failure: Failure,
    covered: &[bool],
    asked: &Asked<'_>,
    columns: &[&TableColumns],
    who: &str,
    dir: &dyn Directory,
) -> Refusal {
    let what = shown(columns);
    let entry = |at: usize| (&policy.entries[at], fits_as(&policy.entries[at], who, dir));
    let (why, rule) = match failure {
        Failure::Person => (nobody(policy, who, &what), policy.name.clone()),
        Failure::Purpose => (
            no_purpose(policy, covered, asked.purpose, &what),
            policy.name.clone(),
        ),
        Failure::TooLong(at) => {
            let (entry, fits) = entry(at);
            let why = format!(
                "{fits} may have {what} for {}, not {}",
                entry.max, asked.ttl
            );
            (why, policy.shown(at))
        }
        Failure::Ticket(at) => {
            let (entry, fits) = entry(at);
            let wanted = entry.ticket.as_ref().map_or("", |ticket| &ticket.text);
            let but = match asked.ticket {
                Some(ticket) => format!(", and {ticket:?} does not"),
                None => String::new(),
            };
            let why = format!("{fits} may have {what} with a ticket that matches {wanted}{but}");
            (why, policy.shown(at))
        }
        Failure::Total(at) => {
            let (entry, fits) = entry(at);
            let why = format!(
                "{fits} may have {what} for {} unbroken, not {}",
                entry.max_total, asked.unbroken
            );
            (why, policy.shown(at))
        }
    };
    Refusal {
        why,
        rule: Some(rule),
        try_this: suggestion(policy, covered, asked),
    }
}

fn nobody(policy: &Policy, who: &str, what: &str) -> String {
    let mut names: Vec<&str> = policy
        .entries
        .iter()
        .flat_map(|entry| &entry.who)
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        format!("nobody may have {what}")
    } else {
        format!("{who} may not have {what}: it is for {}", names.join(", "))
    }
}

fn no_purpose(policy: &Policy, covered: &[bool], asked: Option<&str>, what: &str) -> String {
    let known = own_purposes(policy, covered).join(", ");
    match asked {
        Some(asked) => format!("{what} may be had for {known}, not for {asked:?}"),
        None => format!("{what} needs a purpose: {known}"),
    }
}

fn own_purposes<'p>(policy: &'p Policy, covered: &[bool]) -> Vec<&'p str> {
    let mut known: Vec<&str> = Vec::new();
    let own = policy
        .entries
        .iter()
        .zip(covered)
        .filter(|(_, covered)| **covered);
    for purpose in own.flat_map(|(entry, _)| entry.purposes.iter().flatten()) {
        if !known.contains(&purpose.as_str()) {
            known.push(purpose);
        }
    }
    known
}

/// Flags that this policy would accept in place of what was asked, nearest to it first: the purpose is kept if it
/// can be, then the longest duration is taken. Whatever is suggested was judged by the same rule.
fn suggestion(policy: &Policy, covered: &[bool], asked: &Asked<'_>) -> Option<String> {
    let own = || {
        policy
            .entries
            .iter()
            .zip(covered)
            .filter(|(_, c)| **c)
            .map(|(entry, _)| entry)
    };
    let before = asked.unbroken.millis().saturating_sub(asked.ttl.millis());
    let mut spans: Vec<Ttl> = vec![asked.ttl];
    for entry in own().take(LOOKED_AT) {
        spans.push(entry.max);
        // Less than a minute is nothing that anybody would type.
        let left = entry.max_total.millis().saturating_sub(before) / 60_000 * 60_000;
        spans.push(Ttl::from_millis(left));
    }
    spans.retain(|span| *span <= asked.ttl && *span > Ttl::ZERO);
    spans.sort_by(|a, b| b.cmp(a));
    spans.dedup();
    let mut purposes: Vec<Option<&str>> = vec![asked.purpose];
    purposes.extend(
        own_purposes(policy, covered)
            .into_iter()
            .map(Some)
            .take(LOOKED_AT),
    );
    for purpose in purposes {
        for ttl in &spans {
            let instead = Asked {
                purpose,
                ticket: asked.ticket,
                ttl: *ttl,
                unbroken: Ttl::from_millis(before + ttl.millis()),
            };
            let ticket = match policy.choose(covered, &instead) {
                Ok(_) => "",
                Err(Failure::Ticket(at)) if instead.unbroken <= policy.entries[at].max_total => {
                    "--ticket TICKET"
                }
                Err(_) => continue,
            };
            let mut flags = Vec::new();
            if let Some(purpose) = purpose
                && purpose != asked.purpose.unwrap_or_default()
            {
                flags.push(format!("--purpose {purpose}"));
            }
            if *ttl != asked.ttl {
                flags.push(format!("--for {}", String::from(*ttl)));
            }
            if !ticket.is_empty() {
                flags.push(ticket.to_owned());
            }
            return Some(flags.join(" "));
        }
    }
    None
}

/// Policies that match a column, and none beats all others.
pub(super) fn unclear(table: &TableName, column: &ColumnName, policies: &[&str]) -> Refusal {
    plain(&format!(
        "the policies {} all name {table}:{} and none is more exact than the others: an error in the files, \
         see jit policy check",
        policies.join(", "),
        syntax::quoted_if_odd(&column.0)
    ))
}

/// Lines that no different people could meet without the requester.
pub(super) fn unmeetable(who: &str, open: &[ApprovalLine], terms: &Terms) -> Refusal {
    let rules = terms.distinct_rules();
    Refusal {
        why: format!(
            "without {who} there are not enough different people to approve it: missing {}",
            approvals::in_words(open)
        ),
        rule: match rules.as_slice() {
            [one] => Some(format!("{}, entry {}", one.policy, one.entry)),
            _ => None,
        },
        try_this: None,
    }
}

impl Book {
    /// Columns that no policy names, with the nearest that one does.
    pub(super) fn unnamed(
        &self,
        target: &TargetName,
        table: &TableName,
        columns: Vec<ColumnName>,
        case: Case,
    ) -> Refusal {
        let near = self.nearest_protected(target, table, columns.first(), case);
        let asked = TableColumns {
            table: table.clone(),
            columns,
        };
        Refusal {
            why: format!("no policy of {target} names {}", shown(&[&asked])),
            rule: None,
            try_this: near,
        }
    }

    /// As it can be typed: `public.customers:email`, or `public.customers:*` where only the table is near.
    fn nearest_protected(
        &self,
        target: &TargetName,
        table: &TableName,
        column: Option<&ColumnName>,
        case: Case,
    ) -> Option<String> {
        let column = column?;
        if self.policies_of(target, table).is_empty() {
            let names: Vec<(String, &TableName)> = self
                .index
                .tables(target)
                .filter(|known| *known != table)
                .map(|known| (known.to_string(), known))
                .collect();
            let wanted = table.to_string();
            // The same table in another schema is nearest of all.
            let other = names.iter().find(|(_, known)| known.table == table.table);
            let near = match other {
                Some((_, known)) => *known,
                None => {
                    let near = nearest(&wanted, names.iter().map(|(name, _)| name.as_str()))?;
                    names.iter().find(|(name, _)| name == near)?.1
                }
            };
            if matches!(self.ruling(target, near, column, case), Ruling::One(_)) {
                return Some(format!("{near}:{}", syntax::quoted_if_odd(&column.0)));
            }
            return Some(
                self.nearest_column(target, near, column)
                    .unwrap_or_else(|| format!("{near}:*")),
            );
        }
        self.nearest_column(target, table, column)
    }

    fn nearest_column(
        &self,
        target: &TargetName,
        table: &TableName,
        column: &ColumnName,
    ) -> Option<String> {
        let named = self
            .policies_of(target, table)
            .iter()
            .flat_map(|at| &self.policies[*at].columns)
            .filter_map(|glob| glob.as_exact());
        nearest(&column.0, named).map(|near| format!("{table}:{}", syntax::quoted_if_odd(near)))
    }
}
