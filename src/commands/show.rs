//! `jit show`: everything about one request.

use anyhow::Result;

use crate::access::{ApprovalLine, At, State};
use crate::failure::Exit;
use crate::ui::{self, Format};
use crate::workflow::view::RequestView;

use super::context::Context;
use super::lookup;

pub fn run(context: &Context, id: &str) -> Result<Exit> {
    let view = lookup::find(context, id, true)?;
    match context.format {
        Format::Json => ui::json(&view)?,
        Format::Table => {
            ui::say(&text(&view, context.now().at))?;
            if let Some(next) = next(&view, &context.me.name) {
                ui::note(&format!("\n{next}"))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// What a person types next, if anything.
pub fn next(view: &RequestView, me: &str) -> Option<String> {
    let mine = view.requester == me;
    match view.state {
        State::Pending if mine => Some(format!("Withdraw it: jit cancel {}", view.id)),
        State::Pending if view.approvers.iter().any(|a| a == me) => Some(format!(
            "Next: jit approve {0}, or jit deny {0} --reason …",
            view.id
        )),
        State::Active if mine => Some(format!(
            "Give it back early: jit return {0}   More time: jit extend {0} --for 1h --reason …",
            view.id
        )),
        _ => None,
    }
}

/// The whole request, for people.
pub fn text(view: &RequestView, now: At) -> String {
    let mut lines = Vec::new();
    let mut field = |name: &str, value: &str| lines.push(ui::hanging(name, value, 11));
    field("request", &format!("{}  {}", view.id, state(view, now)));
    field(
        "who",
        &format!("{} as {} on {}", view.requester, view.grantee, view.target),
    );
    for (place, table) in view.tables.iter().enumerate() {
        field(if place == 0 { "columns" } else { "" }, &table.to_string());
    }
    let shortened = if view.lease_ttl < view.ttl {
        format!(" (shortened to {})", view.lease_ttl)
    } else {
        String::new()
    };
    field("for", &format!("{}{shortened}", view.ttl));
    if view.shortened {
        field(
            "",
            "the rest is left out of your mailbox, which has more than 100 open requests; an operator sees it",
        );
    } else {
        field("reason", &view.reason);
    }
    for (name, value) in [("purpose", &view.purpose), ("ticket", &view.ticket)] {
        if let Some(value) = value {
            field(name, value);
        }
    }
    if let Some(extends) = &view.extends {
        field("extends", &extends.to_string());
    }
    if !view.rules.is_empty() {
        field("rule", &view.rules.join("; "));
    }
    if !view.classes.is_empty() {
        field("class", &view.classes.join(", "));
    }
    field("asked", &ui::when(view.submitted_at, now));
    for approval in &view.approvals {
        let shorter = approval
            .ttl
            .map_or(String::new(), |ttl| format!(", for {ttl}"));
        let note = approval
            .note
            .as_deref()
            .map_or(String::new(), |note| format!(": {note}"));
        field(
            "approved",
            &format!(
                "{} {}{shorter}{note}",
                approval.by,
                ui::when(approval.at, now)
            ),
        );
    }
    if !view.needs.is_empty() {
        field("needs", &needs(view));
        field("lapses", &ui::when(view.lapses_at, now));
    }
    if let Some(at) = view.granted_at {
        field("granted", &ui::when(at, now));
    }
    if let Some(at) = view.expires_at {
        field("expires", &ui::when(at, now));
    }
    if let Some(at) = view.ended_at {
        let how = view.ended.as_deref().unwrap_or_default();
        field("ended", &format!("{} {how}", ui::when(at, now)));
    }
    if let Some(server) = &view.server {
        field("server", server);
    }
    if let Some(outcome) = &view.outcome {
        lines.push(ui::hanging("because", outcome, 11));
    }
    if !view.also_holds.is_empty() {
        lines.push(String::from("they also hold"));
        lines.extend(view.also_holds.iter().map(|held| ui::paragraph(held, 2)));
    }
    if !view.will_read.is_empty() && !view.state.is_final() {
        lines.push(format!(
            "columns of these tables that {} will then be able to read",
            ui::escape(view.grantee.as_str())
        ));
        lines.extend(
            view.will_read
                .iter()
                .map(|table| ui::paragraph(&table.to_string(), 2)),
        );
    }
    if !view.caveats.is_empty() && !view.state.is_final() {
        lines.push("mind".to_owned());
        lines.extend(view.caveats.iter().map(|caveat| ui::paragraph(caveat, 2)));
    }
    if !view.sql.is_empty() {
        lines.push("SQL".to_owned());
        lines.extend(view.sql.iter().map(|sql| ui::paragraph(sql, 2)));
    }
    if !view.leases.is_empty() {
        lines.push("leases".to_owned());
        for lease in &view.leases {
            let what = match (&lease.table, &lease.column, &lease.schema) {
                (Some(table), Some(column), _) => format!("{table}:{column}"),
                (_, _, Some(schema)) => format!("USAGE on schema {schema}"),
                _ => String::new(),
            };
            let why = lease
                .why
                .as_deref()
                .map_or(String::new(), |why| format!(": {why}"));
            lines.push(ui::hanging(
                &format!("  {:<9} ", lease.state),
                &format!("{what}{why}"),
                12,
            ));
        }
    }
    if !view.events.is_empty() {
        lines.push("events".to_owned());
        lines.extend(view.events.iter().map(event_line));
    }
    lines.join("\n")
}

fn event_line(event: &serde_json::Value) -> String {
    let text = |key: &str| {
        event
            .get(key)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
    };
    let at = text("at").get(..19).unwrap_or_default().replace('T', " ");
    let table = text("table");
    let why = text("why");
    let mut line = format!(
        "  {at}Z  #{:<5} {:<13} {}",
        event["seq"],
        text("event"),
        ui::escape(text("actor"))
    );
    if !table.is_empty() {
        line.push_str(&format!("  {}", ui::escape(table)));
    }
    if !why.is_empty() {
        line.push('\n');
        line.push_str(&ui::paragraph(why, 6));
    }
    line
}

/// What is still needed, and who could give it.
pub fn needs(view: &RequestView) -> String {
    ui::escape(&approval(&view.needs, &view.approvers))
}

/// `approval by 1 of group:dba (carol, dave)`
pub fn approval(lines: &[ApprovalLine], who: &[String]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!("{} of {}", line.count, line.by.join(" or ")))
        .collect();
    let who = if who.is_empty() {
        "nobody can give it".to_owned()
    } else {
        who.join(", ")
    };
    format!("approval by {} ({who})", lines.join(", and "))
}

/// The state in words that say what goes on.
pub fn state(view: &RequestView, now: At) -> String {
    match view.state {
        State::Submitted => "submitted, waiting for the target to be looked at".to_owned(),
        State::Approved => "approved, waiting for the next sweep to grant it".to_owned(),
        State::Active => match view.expires_at {
            Some(at) if at > now => format!("active, {} left", ui::coarse(at.since(now))),
            _ => "active, and overdue".to_owned(),
        },
        state => state.to_string(),
    }
}
