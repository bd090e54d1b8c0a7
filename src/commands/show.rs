//! `jit show`: everything about one request.

use anyhow::Result;

use crate::access::{ApprovalLine, At, State, TableColumns};
use crate::failure::Exit;
use crate::ui::{self, Format};
use crate::workflow::view::{ApprovalView, RequestView};

use super::context::Context;
use super::lookup;

pub fn run(context: &Context, id: &str) -> Result<Exit> {
    let view = lookup::find(context, id, true)?;
    match context.format {
        Format::Json => ui::json(&view)?,
        Format::Table => {
            ui::say(&text(&view, context.now().at))?;
            if let Some(next) = next(&view, &context.me.name) {
                ui::note(&format!("\n{}", ui::paragraph(&next, 0)))?;
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
        State::Revoking if view.leases.iter().any(|lease| lease.state == "disputed") => {
            Some(format!(
                "Settle it: jit revoke {0} --keep-standing --reason …, or jit revoke {0} --take --reason …",
                view.id
            ))
        }
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
    for (place, table) in view.with.iter().enumerate() {
        field(if place == 0 { "with" } else { "" }, &table.to_string());
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
            if view.state.is_final() {
                "the rest is left out of your mailbox, for it had more than 50 columns; an operator sees it"
            } else {
                "the rest is left out of your mailbox, which has more than 100 open requests; an operator sees it"
            },
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
        field("approved", &given(approval, now));
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
        lines.extend(
            (view.also_holds.iter()).map(|held| ui::paragraph(&ui::local_times(held, now), 2)),
        );
    }
    if !view.will_read.is_empty() && !view.state.is_final() {
        lines.push(ui::paragraph(
            &format!(
                "columns of these tables that {} will then be able to read",
                view.grantee
            ),
            0,
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

/// `carol 17:04 (2m ago), for 30m: go on`
fn given(approval: &ApprovalView, now: At) -> String {
    let shorter = approval
        .ttl
        .map_or(String::new(), |ttl| format!(", for {ttl}"));
    let note = approval
        .note
        .as_deref()
        .map_or(String::new(), |note| format!(": {note}"));
    format!(
        "{} {}{shorter}{note}",
        approval.by,
        ui::when(approval.at, now)
    )
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
        "{at}Z  #{} {:<13} {}",
        event["seq"],
        text("event"),
        text("actor")
    );
    if !table.is_empty() {
        line.push_str(&format!("  {table}"));
    }
    let mut line = ui::paragraph(&line, 2);
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

/// What an approver must know, short enough for one screen where that can be: nothing of it is ever cut.
pub fn to_decide(view: &RequestView, now: At) -> String {
    let mut lines = Vec::new();
    let mut fields = |name: &str, values: &[String]| {
        for (place, value) in values.iter().enumerate() {
            let label = if place == 0 { name } else { "" };
            lines.push(ui::hanging(label, value, 11));
        }
    };
    let tables = |tables: &[TableColumns]| -> Vec<String> {
        tables.iter().map(ToString::to_string).collect()
    };
    let one = |value: String| [value];
    fields(
        "who",
        &one(format!(
            "{} as {} on {}",
            view.requester, view.grantee, view.target
        )),
    );
    fields("why", &one(view.reason.clone()));
    let told: Vec<String> = [("purpose", &view.purpose), ("ticket", &view.ticket)]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)))
        .collect();
    if !told.is_empty() {
        fields("", &one(told.join(", ")));
    }
    fields("columns", &tables(&view.tables));
    fields("with", &tables(&view.with));
    if !view.classes.is_empty() {
        fields("class", &one(view.classes.join(", ")));
    }
    let shortened = if view.lease_ttl < view.ttl {
        format!(" (shortened; {} was asked for)", view.ttl)
    } else {
        String::new()
    };
    let extends = (view.extends.as_ref()).map_or(String::new(), |id| format!(", extends {id}"));
    fields(
        "for",
        &one(format!("{}{shortened}{extends}", view.lease_ttl)),
    );
    if !view.rules.is_empty() {
        fields("rule", &one(view.rules.join("; ")));
    }
    let given: Vec<String> = view.approvals.iter().map(|by| given(by, now)).collect();
    fields("approved", &given);
    if !view.needs.is_empty() {
        let needs = approval(&view.needs, &view.approvers);
        fields("needs", &one(needs));
    }
    fields("lapses", &one(ui::when(view.lapses_at, now)));
    let holds: Vec<String> = (view.also_holds.iter())
        .map(|held| ui::local_times(held, now))
        .collect();
    fields("also holds", &holds);
    let readable: Vec<String> = tables(&view.will_read);
    fields("then reads", &readable);
    fields("mind", &view.caveats);
    fields("SQL", &view.sql);
    lines.join("\n")
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
