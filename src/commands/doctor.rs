//! `jit doctor`: one line a check, and the cure for each that fails.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use futures_util::future::join_all;
use serde::Serialize;

use crate::access::{TargetName, Ttl};
use crate::engines::{self, Address, Engine, EngineError};
use crate::failure::Exit;
use crate::settings::LedgerPlace;
use crate::ui::{self, Format};
use crate::workflow::remember;
use crate::workflow::{Operator, clock, publish};

use super::context::{Context, Reach};
use super::lookup::{self, Filter, Which};
use super::setup;

/// A server's clock may differ from ours by this much before it is worth a line: expiry is by our clock.
const SKEW: i64 = 60_000;

#[derive(Serialize)]
struct Line {
    ok: bool,
    what: String,
    saw: String,
    cure: Option<String>,
}

impl Line {
    fn good(what: impl Into<String>, saw: impl Into<String>) -> Self {
        Self {
            ok: true,
            what: what.into(),
            saw: saw.into(),
            cure: None,
        }
    }

    fn bad(what: impl Into<String>, saw: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            ok: false,
            what: what.into(),
            saw: saw.into(),
            cure: Some(cure.into()),
        }
    }
}

pub async fn run(context: &Context) -> Result<Exit> {
    let mut lines = vec![Line::good(
        "settings",
        context.settings.path.display().to_string(),
    )];
    lines.extend(policies(context));
    lines.extend(files(context));
    match &context.reach {
        Reach::Operator(op) => {
            lines.extend(ledger(context, op));
            lines.extend(audit(context, op));
            lines.extend(inbox(context, op));
            lines.extend(sweeps(context, op));
            lines.push(overdue(context));
            lines.extend(targets(context, op).await);
        }
        Reach::Mailbox(_) => {
            lines.push(match context.mailbox_view() {
                Ok(Some(view)) => Line::good(
                    "mailbox",
                    format!("last filled {}", ui::when(view.at, context.now().at)),
                ),
                Ok(None) => Line::good("mailbox", "nothing has been put there yet"),
                Err(error) => Line::bad(
                    "mailbox",
                    format!("{error:#}"),
                    "an operator can see more: ask one to run jit doctor",
                ),
            });
            lines.push(Line::good(
                "ledger",
                "you are no operator here: ledger and targets are checked by those who are",
            ));
        }
    }
    let failed = lines.iter().filter(|line| !line.ok).count();
    if context.format == Format::Json {
        ui::json(&serde_json::json!({ "ok": failed == 0, "checks": lines }))?;
    } else {
        for line in &lines {
            let mark = if line.ok { "ok  " } else { "FAIL" };
            let label = format!("{mark} {:<18} ", ui::escape(&line.what));
            ui::say(&ui::hanging(&label, &line.saw, 24))?;
            if let Some(cure) = &line.cure {
                ui::say(&ui::hanging("     cure:", cure, 11))?;
            }
        }
        ui::say(&if failed > 0 {
            format!("{failed} of {} checks failed", lines.len())
        } else {
            format!("{} checks, all well", lines.len())
        })?;
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Done })
}

const EVERY_MINUTE: &str =
    "systemctl enable --now jit-sweep.timer; or in a crontab of an operator's: * * * * * jit sweep";

/// For a ledger that cannot be read or written.
fn disk(context: &Context) -> String {
    let LedgerPlace::Sqlite(path) = &context.settings.ledger;
    look_at(path)
}

fn look_at(file: &Path) -> String {
    let folder = file.parent().unwrap_or(Path::new("/")).display();
    format!(
        "see whether the disk is full, and who may write there: df -h {folder}; ls -la {folder}"
    )
}

/// What to do about a target that does not let us in. Not what [`crate::failure`] says: that sends people here.
pub fn let_us_in(context: &Context, name: &TargetName, error: &EngineError) -> String {
    let file = context.settings.path.display();
    match error {
        EngineError::Unreachable { .. } => format!(
            "see that the server runs and that this host may reach it; its address is targets.{name}.url in {file}"
        ),
        // The database's name, not the password: 3D000 on Postgres, 1049 on MySQL.
        EngineError::Denied { why, .. } if why.contains("(3D000)") || why.contains("(1049)") => {
            format!("name a database that is there in targets.{name}.url in {file}")
        }
        EngineError::Denied { .. } => format!(
            "give our account the password that targets.{name}.password in {file} names, and let it in from this host; \
             what it needs: jit setup {name}"
        ),
        EngineError::NoPassword { .. } => format!(
            "set targets.{name}.password in {file} to {{file: PATH}}, {{command: […]}} or {{credential: NAME}}"
        ),
        EngineError::Untrusted { .. } => format!(
            "set the host, sslmode= or sslrootcert= in targets.{name}.url in {file}, or give the server another certificate"
        ),
        _ => format!("jit setup {name}"),
    }
}

fn policies(context: &Context) -> Vec<Line> {
    let unread = &context.rules().unread;
    if !unread.is_empty() {
        return unread
            .iter()
            .map(|problem| Line::bad("policies", problem.clone(), "jit policy check"))
            .collect();
    }
    let problems = context.lint();
    let errors: Vec<_> = problems
        .iter()
        .filter(|problem| problem.is_error())
        .collect();
    if errors.is_empty() {
        let warnings = problems.len();
        let saw = if warnings == 0 {
            "no complaint".to_owned()
        } else {
            format!("{}: jit policy check", ui::count(warnings, "warning"))
        };
        return vec![Line::good("policies", saw)];
    }
    errors
        .iter()
        .map(|problem| Line::bad("policies", problem.to_string(), "jit policy check"))
        .collect()
}

fn files(context: &Context) -> Vec<Line> {
    let untrusted = context.untrusted();
    if untrusted.is_empty() {
        return vec![Line::good(
            "file modes",
            "settings and policies can be changed by their owner only",
        )];
    }
    untrusted
        .into_iter()
        .map(|problem| {
            Line::bad(
                "file modes",
                format!("{}: {}", problem.path.display(), problem.why),
                problem.cure,
            )
        })
        .collect()
}

fn ledger(context: &Context, op: &Operator) -> Vec<Line> {
    let mut lines = vec![Line::good("ledger", op.ledger.id().to_string())];
    match op.ledger.seen() {
        Ok(seen) => {
            let behind = clock::behind(&op.now(), &seen);
            lines.push(if behind > clock::TOLERANCE {
                Line::bad(
                    "clock",
                    format!(
                        "{behind} behind what the ledger has seen ({}); nothing is granted",
                        seen.at
                    ),
                    "set the clock right; if it is right now: jit ledger clock --accept",
                )
            } else {
                Line::good("clock", "not behind what the ledger has seen")
            });
        }
        Err(error) => lines.push(Line::bad("ledger", error.to_string(), disk(context))),
    }
    match op.ledger.holds(false) {
        Ok(holds) => lines.extend(holds.iter().map(|hold| {
            Line::bad(
                "hold",
                format!(
                    "{}: new requests for {} are refused ({}, {})",
                    hold.number, hold.selector, hold.by, hold.reason
                ),
                format!("jit resume {} --reason …", hold.number),
            )
        })),
        Err(error) => lines.push(Line::bad("ledger", error.to_string(), disk(context))),
    }
    lines
}

fn audit(context: &Context, op: &Operator) -> Vec<Line> {
    let mut lines = Vec::new();
    match publish::prove_writable(op) {
        Ok(()) => lines.push(Line::good(
            "audit file",
            context.settings.audit.display().to_string(),
        )),
        Err(error) => lines.push(Line::bad(
            "audit file",
            error.to_string(),
            format!(
                "nothing is granted until the operators can write it: {}",
                look_at(&context.settings.audit)
            ),
        )),
    }
    let owed = op.ledger.head().and_then(|(seq, _)| {
        op.ledger
            .journal_mark()
            .map(|(mark, _)| seq.saturating_sub(mark))
    });
    match owed {
        Ok(0) => {}
        Ok(count) => lines.push(Line::bad(
            "audit backlog",
            format!("{} not in the file yet", ui::count(count as usize, "event")),
            "jit sweep",
        )),
        Err(error) => lines.push(Line::bad("audit backlog", error.to_string(), disk(context))),
    }
    lines.push(match super::audit::check_default(context) {
        Ok(saw) => Line::good("audit chain", saw),
        Err(error) => Line::bad("audit chain", format!("{error:#}"), "jit audit verify"),
    });
    lines
}

/// The name of what lies there is a stranger's choice: it is shown, and never part of a line to type.
fn inbox(context: &Context, op: &Operator) -> Vec<Line> {
    let path = context.settings.inbox.display();
    match op.inbox.oddities() {
        Ok(odd) if odd.is_empty() => vec![Line::good("inbox", path.to_string())],
        Ok(odd) => odd
            .iter()
            .map(|oddity| {
                Line::bad(
                    "inbox",
                    format!("{} is nobody's mailbox: {}", oddity.name, oddity.why),
                    format!(
                        "nothing in it is read; ask whose it is (ls -la {path}) and remove it as root"
                    ),
                )
            })
            .collect(),
        Err(error) => vec![Line::bad(
            "inbox",
            error.to_string(),
            "see disk and file modes",
        )],
    }
}

fn sweeps(context: &Context, op: &Operator) -> Vec<Line> {
    let record = match remember::record(op) {
        Ok(record) => record,
        Err(error) => {
            return vec![Line::bad("last sweep", error.to_string(), disk(context))];
        }
    };
    let now = op.now().at;
    op.rules
        .targets
        .keys()
        .map(|name| {
            let what = format!("sweep of {name}");
            match record.done.get(name) {
                None => Line::bad(what, "never", EVERY_MINUTE),
                Some(at) if now.since(*at) > op.rules.sweep_within => Line::bad(
                    what,
                    format!(
                        "{}, longer than sweep_within ({}); nothing is granted{}",
                        ui::when(*at, now),
                        op.rules.sweep_within,
                        record
                            .unreachable
                            .get(name)
                            .map_or(String::new(), |why| format!(": {why}"))
                    ),
                    EVERY_MINUTE,
                ),
                Some(at) => Line::good(what, ui::when(*at, now)),
            }
        })
        .collect()
}

fn overdue(context: &Context) -> Line {
    let filter = Filter {
        which: Which::Overdue,
        ..Filter::default()
    };
    match lookup::list(context, &filter) {
        Ok(views) if views.is_empty() => Line::good("overdue", "nothing"),
        Ok(views) => {
            let ids: Vec<&str> = views.iter().map(|view| view.id.as_str()).collect();
            Line::bad(
                "overdue",
                format!("should be gone and is not: {}", ids.join(" ")),
                "jit list --overdue, jit show ID, then jit sweep",
            )
        }
        Err(error) => Line::bad("overdue", format!("{error:#}"), disk(context)),
    }
}

async fn targets(context: &Context, op: &Operator) -> Vec<Line> {
    let checks = join_all(op.rules.targets.iter().map(|(name, address)| async move {
        (name.clone(), target(context, op, name, address).await)
    }))
    .await;
    let mut systems: BTreeMap<String, TargetName> = BTreeMap::new();
    let mut lines = Vec::new();
    for (name, (system, found)) in checks {
        lines.extend(found);
        if let Some(system) = system
            && let Some(twin) = systems.insert(system, name.clone())
        {
            lines.push(Line::bad(
                format!("{name}"),
                format!("it is the same database as {twin}"),
                "take one of them out of the settings",
            ));
        }
    }
    lines
}

async fn target(
    context: &Context,
    op: &Operator,
    name: &TargetName,
    address: &Address,
) -> (Option<String>, Vec<Line>) {
    let mut engine = match engines::connect(address).await {
        Ok(engine) => engine,
        Err(error) => {
            return (
                None,
                vec![Line::bad(
                    name.to_string(),
                    error.to_string(),
                    let_us_in(context, name, &error),
                )],
            );
        }
    };
    let server = engine.server().clone();
    let flavour = engine.flavour().clone();
    let mut lines = vec![Line::good(
        name.to_string(),
        format!("{} {} at {server}", flavour.kind.word(), flavour.version),
    )];
    let found = examine(context, op, name, address, engine.as_mut()).await;
    match found {
        Ok(found) => lines.extend(found),
        Err(error) => lines.push(Line::bad(
            name.to_string(),
            error.to_string(),
            format!("jit setup {name}"),
        )),
    }
    (Some(server.system.to_string()), lines)
}

async fn examine(
    context: &Context,
    op: &Operator,
    name: &TargetName,
    address: &Address,
    engine: &mut dyn Engine,
) -> Result<Vec<Line>, engines::EngineError> {
    let catalog = engine.catalog(&context.rules().book.tables(name)).await?;
    let needs = setup::needs(
        context.rules(),
        name,
        &catalog,
        address,
        Some(op.ledger.id().clone()),
    );
    let mut lines: Vec<Line> = engine
        .check(&needs)
        .await?
        .into_iter()
        .map(|finding| Line {
            ok: finding.ok,
            what: format!("{name} {}", finding.what),
            saw: finding.saw,
            cure: (!finding.ok)
                .then(|| finding.cure.unwrap_or_else(|| format!("jit setup {name}"))),
        })
        .collect();
    let skew = engine.clock_skew().await?;
    lines.push(if skew.abs() > SKEW {
        Line::bad(
            format!("{name} clock"),
            format!(
                "the server's clock differs from ours by {} s; expiry is by ours",
                skew / 1000
            ),
            "set both clocks by NTP",
        )
    } else {
        Line::good(
            format!("{name} clock"),
            format!(
                "within {} of ours",
                Ttl::from_millis(skew.unsigned_abs().max(1))
            ),
        )
    });
    Ok(lines)
}
