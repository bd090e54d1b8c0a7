//! PURE. How far a revoke reaches: requests, leases, people and targets, in words.

use std::collections::BTreeSet;
use std::fmt;

use crate::access::hold::Selector;
use crate::access::{TableColumns, TableName};
use crate::workflow::view::RequestView;

/// What a revoke is about to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Those that hold access, or may.
    pub holding: usize,
    /// Those that are only asked for.
    pub asked: usize,
    pub leases: usize,
    pub people: usize,
    pub targets: usize,
}

impl Extent {
    pub fn of(views: &[RequestView]) -> Self {
        let may_hold = |view: &&RequestView| view.state.may_hold();
        Self {
            holding: views.iter().filter(may_hold).count(),
            asked: views
                .iter()
                .filter(|view| !view.state.may_hold() && !view.state.is_final())
                .count(),
            leases: views
                .iter()
                .flat_map(|view| &view.leases)
                .filter(|lease| lease.ended_at.is_none())
                .count(),
            people: distinct(views, |view| view.requester.clone()),
            targets: distinct(views, |view| view.target.to_string()),
        }
    }
}

fn distinct(views: &[RequestView], of: impl Fn(&RequestView) -> String) -> usize {
    views.iter().map(of).collect::<BTreeSet<_>>().len()
}

impl fmt::Display for Extent {
    /// `2 active requests with 3 leases and 1 open request, of 2 people on 1 target`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = |number: usize, one: &str, more: &str| match number {
            1 => format!("1 {one}"),
            number => format!("{number} {more}"),
        };
        let mut parts = Vec::new();
        if self.holding > 0 {
            parts.push(format!(
                "{} with {}",
                several(self.holding, "active request", "active requests"),
                several(self.leases, "lease", "leases")
            ));
        }
        if self.asked > 0 {
            parts.push(several(self.asked, "open request", "open requests"));
        }
        write!(
            f,
            "{}, of {} on {}",
            parts.join(" and "),
            several(self.people, "person", "people"),
            several(self.targets, "target", "targets")
        )
    }
}

/// Whether a request is in scope, as far as what is shown of it tells: by what was asked, what comes along, and what
/// is leased. Columns compare without case, as the kill switch itself compares them.
pub fn fits(selector: &Selector, view: &RequestView) -> bool {
    let has = |wanted: &TableColumns, table: &TableName, column: &str| {
        *table == wanted.table
            && wanted
                .columns
                .iter()
                .any(|c| c.0.to_lowercase() == column.to_lowercase())
    };
    let column_fits = |wanted: &TableColumns| {
        let shown = view.tables.iter().chain(&view.with);
        let asked = shown
            .flat_map(|of| of.columns.iter().map(move |column| (&of.table, column)))
            .any(|(table, column)| has(wanted, table, column.as_str()));
        asked
            || view.leases.iter().any(|lease| {
                matches!((&lease.table, &lease.column), (Some(t), Some(c)) if has(wanted, t, c.as_str()))
            })
    };
    selector
        .requester
        .as_ref()
        .is_none_or(|r| *r == view.requester)
        && selector.grantee.as_ref().is_none_or(|g| *g == view.grantee)
        && selector.target.as_ref().is_none_or(|t| *t == view.target)
        && selector.column.as_ref().is_none_or(column_fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(state: &str, requester: &str, target: &str, columns: &[&str]) -> RequestView {
        serde_json::from_value(serde_json::json!({
            "id": "k3fq7m2x", "state": state, "requester": requester, "target": target, "grantee": requester,
            "tables": [{"table": "public.customers", "columns": columns}],
            "with": [{"table": "public.customers", "columns": ["id"]}],
            "ttl": "1h", "lease_ttl": "1h", "reason": "r", "purpose": null, "ticket": null, "extends": null,
            "approvals": [], "needs": [], "approvers": [],
            "submitted_at": "2026-11-23T09:00:00.000Z", "lapses_at": "2026-11-24T09:00:00.000Z",
            "granted_at": null, "expires_at": null, "ended_at": null, "ended": null, "outcome": null,
            "leases": columns.iter().filter(|_| state == "active").map(|column| serde_json::json!({
                "table": "public.customers", "column": column, "schema": null, "state": "held",
                "expires_at": "2026-11-23T10:00:00.000Z", "ended_at": null, "why": null
            })).collect::<Vec<_>>(),
            "rules": [], "classes": [], "caveats": [], "will_read": [], "sql": [], "server": null,
            "also_holds": [], "digest": "d"
        }))
        .expect("a view")
    }

    #[test]
    fn what_ends_is_counted_by_what_it_is() {
        let views = [
            view("active", "alice", "shop", &["email", "phone"]),
            view("active", "bob", "shop", &["email"]),
            view("pending", "alice", "billing", &["number"]),
        ];
        assert_eq!(
            Extent::of(&views).to_string(),
            "2 active requests with 3 leases and 1 open request, of 2 people on 2 targets"
        );
        assert_eq!(
            Extent::of(&views[2..]).to_string(),
            "1 open request, of 1 person on 1 target"
        );
    }

    #[test]
    fn a_selector_fits_by_every_part_and_by_what_comes_along() {
        let view = view("active", "alice", "shop", &["email"]);
        let column = |name: &str| Selector {
            column: Some(TableColumns {
                table: "public.customers".parse().unwrap(),
                columns: vec![name.into()],
            }),
            ..Selector::default()
        };
        assert!(fits(&Selector::default(), &view));
        assert!(fits(&column("EMAIL"), &view) && fits(&column("id"), &view));
        assert!(!fits(&column("phone"), &view));
        let other = Selector {
            requester: Some("bob".into()),
            ..column("email")
        };
        assert!(!fits(&other, &view));
    }
}
