//! `jit policy …`.

use anyhow::Result;

use crate::access::{TableName, TargetName};
use crate::cli;
use crate::engines;
use crate::failure::{Exit, Failure};
use crate::policy::Judgement;
use crate::ui::{self, Format};
use crate::workflow::rules::Asked;
use crate::yaml::Problem;

use super::context::{Context, Reach};
use super::words;

pub async fn run(context: &Context, command: &cli::Policy) -> Result<Exit> {
    match command {
        cli::Policy::Check { live } => check(context, *live).await,
        cli::Policy::Explain(arguments) => explain(context, arguments).await,
        cli::Policy::Test => test(context),
        cli::Policy::Schema => Ok(Exit::Done), // needs no settings, so it was answered before
        cli::Policy::Show { hash } => show(context, hash),
    }
}

async fn check(context: &Context, live: bool) -> Result<Exit> {
    let mut problems = context.lint();
    if live {
        for (name, address) in &context.rules().targets {
            let mut engine = engines::connect(address).await?;
            let catalog = engine.catalog(&context.rules().book.tables(name)).await?;
            problems.extend(live_problems(context, name, &catalog));
        }
    }
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    if context.format == Format::Json {
        let list: Vec<_> = problems
            .iter()
            .map(|p| serde_json::json!({
                "level": if p.is_error() { "error" } else { "warning" },
                "file": p.file, "line": p.line, "column": p.column, "what": p.what, "cure": p.cure
            }))
            .collect();
        ui::json(&serde_json::json!({ "ok": errors == 0, "problems": list }))?;
    } else {
        for problem in &problems {
            ui::note(&ui::escape(&problem.to_string()))?;
        }
        let warnings = problems.len() - errors;
        let policies = match context.rules().book.policies().len() {
            1 => "1 policy".to_owned(),
            number => format!("{number} policies"),
        };
        ui::say(&format!(
            "{policies}, {}, {}",
            ui::count(errors, "error"),
            ui::count(warnings, "warning")
        ))?;
    }
    Ok(if errors > 0 {
        Exit::Settings
    } else {
        Exit::Done
    })
}

/// Policies that fit no column of the catalog.
fn live_problems(context: &Context, name: &TargetName, catalog: &engines::Catalog) -> Vec<Problem> {
    let rules = context.rules();
    let fitted: std::collections::BTreeSet<String> = rules
        .book
        .protected(name, rules.ignores_column_case(name), catalog)
        .into_iter()
        .map(|protected| protected.policy)
        .collect();
    rules
        .book
        .policies()
        .iter()
        .filter(|policy| policy.target == *name && !fitted.contains(&policy.name))
        .map(|policy| {
            Problem::error(
                &policy.file,
                policy.place,
                format!("policy {} rules no column that {name} has", policy.name),
            )
            .cure("check the spelling of table and columns, or take the policy out")
        })
        .collect()
}

async fn explain(context: &Context, arguments: &cli::Explain) -> Result<Exit> {
    let (typed_target, typed) = words::split_target(&arguments.what)?;
    let target = words::target(typed_target, &context.target_names())?;
    let protected = if words::needs_columns(&typed) {
        // Without an inbox there is a little less to fill in.
        let told = context.told_columns().unwrap_or_default();
        context.protected(&target, &words::bare_names(&typed), &told)?
    } else {
        Default::default()
    };
    let all = |table: &TableName| protected.get(table).cloned().unwrap_or_default();
    let (tables, filled) = words::resolve(typed, &target, &protected, &all)?;
    for text in filled {
        ui::note(&ui::escape(&text))?;
    }
    let ttl = words::duration(&arguments.ttl, "--for")?;
    let asked = Asked {
        who: &arguments.who,
        target: &target,
        tables: &tables,
        purpose: arguments.purpose.as_deref(),
        ticket: arguments.ticket.as_deref(),
        ttl,
        unbroken: ttl,
    };
    if context.format == Format::Table {
        let explained = context.rules().explain(&asked);
        for column in &explained.columns {
            let also = if column.also.is_empty() {
                String::new()
            } else {
                format!(" (more exact than {})", column.also.join(", "))
            };
            ui::say(&ui::escape(&format!(
                "{}:{} is ruled by {}{also}",
                column.table,
                column.column,
                column.policy.as_deref().unwrap_or("no policy")
            )))?;
        }
        for tried in &explained.tried {
            let mark = if tried.fits { "fits " } else { "no   " };
            ui::say(&ui::escape(&format!(
                "{mark} {}: {}",
                tried.rule, tried.why
            )))?;
        }
    }
    let judgement = context.rules().judge(&asked);
    print_judgement(context, &judgement)?;
    Ok(match judgement {
        Judgement::Allowed(_) => Exit::Done,
        Judgement::Refused(_) => Exit::Refused,
    })
}

/// The judgement, in words or as JSON.
pub fn print_judgement(context: &Context, judgement: &Judgement) -> Result<()> {
    match (context.format, judgement) {
        (Format::Json, Judgement::Allowed(terms)) => {
            ui::json(&serde_json::json!({ "allowed": true, "terms": terms }))?;
        }
        (Format::Json, Judgement::Refused(refusals)) => {
            ui::json(&serde_json::json!({ "allowed": false, "refusals": refusals }))?;
        }
        (Format::Table, Judgement::Refused(refusals)) => {
            for refusal in refusals {
                ui::say(&format!("refused: {}", ui::escape(&refusal.to_string())))?;
            }
        }
        (Format::Table, Judgement::Allowed(terms)) => {
            for grouping in &terms.rules {
                ui::say(&format!(
                    "allowed: {} by {}, entry {}",
                    ui::escape(&grouping.columns.to_string()),
                    grouping.rule.policy,
                    grouping.rule.entry
                ))?;
            }
            for along in &terms.along {
                ui::say(&format!("along:   {}", ui::escape(&along.to_string())))?;
            }
            if terms.is_automatic() {
                ui::say("approval: automatic")?;
            }
            for line in &terms.lines {
                ui::say(&format!(
                    "approval: {} of {}",
                    line.count,
                    line.by.join(" or ")
                ))?;
            }
            ui::say(&format!(
                "up to {} at a time, {} without a break; lapses {} after the request",
                terms.max, terms.max_total, terms.within
            ))?;
        }
    }
    Ok(())
}

fn test(context: &Context) -> Result<Exit> {
    let results = context
        .rules()
        .book
        .run_tests(context.rules().people.directory(), &context.known_targets());
    let failed = results.iter().filter(|result| !result.passed).count();
    if context.format == Format::Json {
        ui::json(
            &serde_json::json!({ "passed": results.len() - failed, "failed": failed, "tests": results }),
        )?;
    } else {
        for result in results.iter().filter(|result| !result.passed) {
            ui::say(&format!(
                "FAIL {}:{} {} test {}",
                ui::escape(&result.file),
                result.line,
                result.policy,
                result.number
            ))?;
            ui::say(&ui::paragraph(&told(result), 5))?;
        }
        ui::say(&format!(
            "{} passed, {failed} failed",
            results.len() - failed
        ))?;
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Done })
}

fn told(result: &crate::policy::TestResult) -> String {
    format!(
        "{}; expected {}, got {}",
        result.asked,
        format!("{:?}", result.expected).to_lowercase(),
        result.got
    )
}

fn show(context: &Context, hash: &str) -> Result<Exit> {
    let Reach::Operator(op) = &context.reach else {
        return Err(context.not_operator("read the ledger").into());
    };
    match op.ledger.text(hash)? {
        Some(body) => {
            ui::say(body.trim_end())?;
            Ok(Exit::Done)
        }
        None => Err(Failure::new(
            Exit::NoSuch,
            format!("the ledger keeps no text with the hash {hash}"),
        )
        .hint("jit audit search --event settings_changed")
        .into()),
    }
}
