//! `jit sweep`: what cron runs.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::access::{State, TargetName, time};
use crate::cli::{self, Common};
use crate::engines::{self, Engine, Verb};
use crate::failure::{Exit, Failure};
use crate::stores::{FindLeases, FindRequests};
use crate::ui::{self, Format};
use crate::workflow::remember::record;
use crate::workflow::revoke::{self, Due};
use crate::workflow::sweep::{Scope, SweepReport, sweep};
use crate::workflow::target::Failing;
use crate::workflow::{Operator, clock};

use super::context::Context;
use super::words;

pub async fn run(context: &Context, arguments: &cli::Sweep) -> Result<Exit> {
    let op = context.operator()?;
    let only = only(op, arguments)?;
    if arguments.dry_run {
        return dry_run(context, op, only.as_ref()).await;
    }
    once(context, op, only, arguments.metrics.as_deref()).await
}

/// The target that was named, where one was.
fn only(op: &Operator, arguments: &cli::Sweep) -> Result<Option<TargetName>> {
    let only = arguments.target.as_deref().map(TargetName::from);
    if let Some(name) = &only
        && !op.rules.targets.contains_key(name)
    {
        return Err(
            Failure::new(Exit::NoSuch, format!("there is no target {name}"))
                .hint("those that there are: jit settings")
                .into(),
        );
    }
    Ok(only)
}

/// `--watch PAUSE`: sweeps until SIGTERM or Ctrl-C, reading the settings anew each time. A sweep under way is finished
/// first, and its settings are gone before they are read again: a company's policies lie in memory once.
///
/// # Errors
/// Where the settings cannot be read at first, or where I am no operator or the target is none. Whatever else goes
/// wrong is told, and tried again.
pub async fn watch(common: &Common, arguments: &cli::Sweep, pause: &str) -> Result<Exit> {
    use tokio::signal::unix::{SignalKind, signal};
    let pause = words::duration(pause, "--watch")?.duration();
    let mut first = true;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut last;
    loop {
        match Context::open_to_take(common) {
            Ok(context) => {
                let op = context.operator()?;
                let metrics = arguments.metrics.as_deref();
                match once(&context, op, only(op, arguments)?, metrics).await {
                    Ok(exit) => last = exit,
                    Err(error) => {
                        last = Exit::Failed;
                        ui::note(&format!("jit: {error:#}"))?;
                    }
                }
            }
            Err(error) if first => return Err(error),
            Err(error) => {
                last = Exit::Settings;
                ui::note(&format!("jit: {error:#}"))?;
            }
        }
        first = false;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = terminate.recv() => return Ok(last),
            _ = interrupt.recv() => return Ok(last),
        }
    }
}

async fn once(
    context: &Context,
    op: &Operator,
    only: Option<TargetName>,
    metrics: Option<&Path>,
) -> Result<Exit> {
    let report = sweep(op, &Scope::Sweep(only)).await;
    match context.format {
        Format::Json => ui::json(&report)?,
        Format::Table => tell(&report)?,
    }
    if let Some(path) = metrics {
        write_metrics(op, &report, path)?;
    }
    let exit = exit(&report);
    if let Some(next) = next(exit) {
        ui::note(&format!("  next: {next}"))?;
    }
    Ok(exit)
}

/// Overdue before unreachable; a broken audit trail or ledger before success.
fn exit(report: &SweepReport) -> Exit {
    let any = |pick: &dyn Fn(&crate::workflow::target::TargetReport) -> bool| {
        report.targets.iter().any(pick)
    };
    if report.overdue().next().is_some() {
        Exit::Overdue
    } else if any(&|t| t.unreachable.is_some()) {
        Exit::Unreachable
    } else if !report.settings_errors.is_empty() {
        Exit::Settings
    } else if !report.audit_errors.is_empty() || any(&|t| !t.audit_errors.is_empty()) {
        Exit::Audit
    } else if !report.ledger_errors.is_empty() || any(&|t| !t.ledger_errors.is_empty()) {
        Exit::Unreachable
    } else if !report.errors.is_empty() || any(&|t| !t.errors.is_empty() || t.locked) {
        Exit::Failed
    } else {
        Exit::Done
    }
}

/// What to type where it did not end well.
fn next(exit: Exit) -> Option<&'static str> {
    match exit {
        Exit::Done => None,
        Exit::Overdue => Some("jit list --overdue, jit show ID, jit doctor"),
        Exit::Settings => Some("jit policy check"),
        _ => Some("jit doctor"),
    }
}

/// One line of figures, and what went wrong; silent where there was nothing to do.
fn tell(report: &SweepReport) -> Result<()> {
    let mut said: BTreeSet<&str> = BTreeSet::new();
    for target in &report.targets {
        let troubles = target
            .unreachable
            .iter()
            .chain(&target.errors)
            .chain(&target.ledger_errors)
            .chain(&target.audit_errors);
        for trouble in troubles {
            if !said.insert(trouble) {
                continue;
            }
            ui::note(&format!("{}: {}", target.target, ui::escape(trouble)))?;
        }
        for failure in target.failures.iter().take(20) {
            let failure = ui::escape(&failure.replace('\n', "; "));
            ui::note(&format!("{}: {failure}", target.target))?;
        }
        if let Some(why) = &target.held_back {
            // One trouble is one line, even where it is the reason of another.
            let why = if said.contains(why.as_str()) {
                "for that reason"
            } else {
                why
            };
            ui::note(&format!(
                "{}: no grants: {}",
                target.target,
                ui::escape(why)
            ))?;
        }
        if target.locked {
            ui::note(&format!(
                "{}: another operator is at work there",
                target.target
            ))?;
        }
        for session in &target.ended_sessions {
            ui::note(&format!("{}: ended {}", target.target, ui::escape(session)))?;
        }
        for overdue in target.overdue.iter().take(20) {
            ui::note(&format!(
                "{}: OVERDUE {} {} since {}: {}",
                target.target,
                overdue.request,
                ui::escape(&overdue.what),
                overdue.since,
                ui::escape(&overdue.why)
            ))?;
        }
        if target.overdue.len() > 20 {
            ui::note(&format!(
                "{}: and {} more; jit list --overdue",
                target.target,
                target.overdue.len() - 20
            ))?;
        }
    }
    for trouble in report
        .errors
        .iter()
        .chain(&report.settings_errors)
        .chain(&report.ledger_errors)
        .chain(&report.audit_errors)
    {
        if said.insert(trouble) {
            ui::note(&ui::escape(trouble))?;
        }
    }
    if !report.settings_errors.is_empty() {
        ui::note(
            "the policies are in error (jit policy check): what was due was taken back, and nothing was judged or granted",
        )?;
    }
    if report.is_quiet() {
        return Ok(());
    }
    let sum = |pick: &dyn Fn(&crate::workflow::target::TargetReport) -> usize| -> usize {
        report.targets.iter().map(pick).sum()
    };
    let figures = [
        ("drained", report.accepted),
        ("rejected", report.rejected),
        ("refused", sum(&|t| t.refused)),
        ("granted", sum(&|t| t.granted)),
        ("failed", sum(&|t| t.failed)),
        ("revoked", sum(&|t| t.revoked)),
        ("gone", sum(&|t| t.gone)),
        ("kept", sum(&|t| t.kept)),
        ("lapsed", report.lapsed),
        ("strays", sum(&|t| t.strays)),
        ("sessions", sum(&|t| t.sessions)),
        ("overdue", report.overdue().count()),
        ("left", report.left),
    ];
    let text: Vec<String> = figures
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    ui::say(&format!(
        "swept in {:.1} s: {}",
        report.seconds,
        if text.is_empty() {
            "nothing done".to_owned()
        } else {
            text.join(", ")
        }
    ))?;
    Ok(())
}

/// Prints the plan that a sweep would carry out now; changes nothing anywhere.
async fn dry_run(context: &Context, op: &Operator, only: Option<&TargetName>) -> Result<Exit> {
    let now = op.now();
    let mut plans = Vec::new();
    let mut exit = Exit::Done;
    for (name, address) in op
        .rules
        .targets
        .iter()
        .filter(|(name, _)| only.is_none_or(|o| o == *name))
    {
        let due = Due::read(op, name, &now)?;
        let approved = op.ledger.requests(&FindRequests {
            states: Some(vec![State::Approved]),
            target: Some(name.clone()),
            ..FindRequests::default()
        })?;
        let grants: Vec<_> = approved
            .iter()
            .map(|request| json!({"request": request.id, "grantee": request.grantee, "sql": request.sql}))
            .collect();
        let nothing_due = due.leases.is_empty();
        let planned = if nothing_due {
            Ok((crate::access::plan::Plan::default(), Vec::new()))
        } else {
            plan_of(op, name, &due, &now, address).await
        };
        match planned {
            Ok((plan, sql)) => plans.push(json!({
                "target": name, "plan": plan, "sql": sql, "would_grant": grants
            })),
            Err(error) => {
                exit = Exit::Unreachable;
                ui::note(&format!("{name}: {}", ui::escape(&error.to_string())))?;
                plans.push(
                    json!({"target": name, "error": error.to_string(), "would_grant": grants}),
                );
            }
        }
    }
    let waiting = op.inbox.deposits(1000)?.len();
    if context.format == Format::Json {
        ui::json(&json!({"targets": plans, "inbox": waiting}))?;
        return Ok(exit);
    }
    let mut nothing = true;
    for plan in &plans {
        for sql in plan["sql"].as_array().into_iter().flatten() {
            nothing = false;
            ui::say(&format!(
                "{}: {}",
                plan["target"].as_str().unwrap_or_default(),
                ui::escape(sql.as_str().unwrap_or_default())
            ))?;
        }
        for settled in plan["plan"]["settled"].as_array().into_iter().flatten() {
            nothing = false;
            ui::say(&format!(
                "{}: {} needs no REVOKE: {}",
                plan["target"].as_str().unwrap_or_default(),
                settled["lease"]["request"].as_str().unwrap_or_default(),
                ui::escape(&settled["how"].to_string())
            ))?;
        }
        for grant in plan["would_grant"].as_array().into_iter().flatten() {
            for sql in grant["sql"].as_array().into_iter().flatten() {
                nothing = false;
                ui::say(&format!(
                    "{}: {}",
                    plan["target"].as_str().unwrap_or_default(),
                    ui::escape(sql.as_str().unwrap_or_default())
                ))?;
            }
        }
    }
    if waiting > 0 {
        nothing = false;
        ui::say(&format!(
            "inbox: {} to judge",
            ui::count(waiting, "submission")
        ))?;
    }
    if nothing {
        ui::note("nothing to do")?;
    }
    Ok(exit)
}

async fn plan_of(
    op: &Operator,
    target: &TargetName,
    due: &Due,
    now: &crate::access::Now,
    address: &engines::Address,
) -> Result<(crate::access::plan::Plan, Vec<String>), Failing> {
    let mut engine: Box<dyn Engine> = engines::connect(address).await?;
    let plan = revoke::plan(op, target, due, now, engine.as_mut()).await?;
    let sql = plan
        .steps
        .iter()
        .flat_map(|step| {
            step.grantees.iter().map(|grantee| {
                let of: Vec<_> = step
                    .privileges
                    .iter()
                    .filter(|p| p.named.grantee == *grantee)
                    .cloned()
                    .collect();
                engine.sql(Verb::Revoke, &of)
            })
        })
        .collect();
    Ok((plan, sql))
}

/// Writes the metrics beside the file and renames them into place, so that nobody reads half of them.
fn write_metrics(op: &Operator, report: &SweepReport, path: &Path) -> Result<()> {
    let now = op.now();
    let live = op.ledger.leases(&FindLeases::Live(None))?;
    let pending = op
        .ledger
        .requests(&FindRequests {
            states: Some(State::WAITING.to_vec()),
            ..FindRequests::default()
        })?
        .len();
    let (seq, _) = op.ledger.head()?;
    let (written, _) = op.ledger.journal_mark()?;
    let record = record(op)?;
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, values: Vec<(String, f64)>| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        for (labels, value) in values {
            text.push_str(&format!("{name}{labels} {value}\n"));
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let success = op
        .rules
        .targets
        .keys()
        .map(|name| {
            record
                .done
                .get(name)
                .map_or(0.0, |at| at.millis() as f64 / 1000.0)
        })
        .fold(f64::INFINITY, f64::min);
    gauge(
        "jit_sweep_success_timestamp_seconds",
        "When a sweep last did all that was due on every target.",
        one(if success.is_finite() { success } else { 0.0 }),
    );
    gauge(
        "jit_target_up",
        "Whether the last sweep could work on the target.",
        report
            .targets
            .iter()
            .map(|target| {
                let label = target
                    .target
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                let up = if target.unreachable.is_none() {
                    1.0
                } else {
                    0.0
                };
                (format!("{{target=\"{label}\"}}"), up)
            })
            .collect(),
    );
    gauge(
        "jit_leases_active",
        "Column privileges that are given now.",
        one(live.len() as f64),
    );
    let overdue: Vec<_> = report.overdue().collect();
    gauge(
        "jit_leases_overdue",
        "Column privileges that should be gone and are not.",
        one(overdue.len() as f64),
    );
    let oldest = overdue
        .iter()
        .map(|o| now.at.since(o.since))
        .max()
        .map_or(0.0, time::seconds);
    gauge(
        "jit_overdue_oldest_seconds",
        "How long the oldest of them is overdue.",
        one(oldest),
    );
    gauge(
        "jit_requests_pending",
        "Requests that are not decided or not granted yet.",
        one(pending as f64),
    );
    gauge(
        "jit_audit_backlog",
        "Events that the audit file still owes.",
        one(seq.saturating_sub(written) as f64),
    );
    gauge(
        "jit_audit_seq",
        "Number of the newest event.",
        one(seq as f64),
    );
    let _ = clock::TOLERANCE;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".jit-metrics-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        // For the collector, whatever the umask: figures are no secret.
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot write the metrics to {}: {error}", path.display()),
        )
        .hint("the sweep itself is done; make that folder writable for operators")
        .into()
    })
}
