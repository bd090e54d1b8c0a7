//! One file a command: its arguments, its words, one call into `workflow`.

mod audit;
mod columns;
mod complete;
mod context;
mod dashboard;
mod decide;
mod doctor;
mod generate;
mod init;
mod ledger;
mod list;
mod lookup;
mod man;
mod missing;
mod policy;
mod request;
mod revoke;
mod rules;
mod settings;
mod setup;
mod show;
mod submit;
mod sweep;
mod walk;
mod withdraw;
mod words;

use anyhow::Result;

use crate::cli::{self, Cli, Command, SchemaOf};
use crate::failure::{Exit, classify};
use crate::ui;

use context::Context;

/// Runs a command and reports what failed; the exit code.
pub fn main(cli: Cli) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ui::note(&format!("jit: cannot start: {error}"));
            return Exit::Failed;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(exit) => exit,
        Err(error) if error.is::<ui::prompt::Stopped>() => {
            let _ = ui::note("Stopped; nothing was handed in.");
            Exit::Interrupted
        }
        Err(error) => {
            let failure = classify(&error);
            complain(&failure);
            failure.exit
        }
    }
}

/// Says what failed and what to do next. Broken at words on a terminal; one line each elsewhere, for grep. What is
/// for typing stays in one piece.
fn complain(failure: &crate::failure::Failure) {
    // Lines are ours; what stands in them may be somebody else's.
    let lines = format!("jit: {}", failure.what);
    for line in lines.lines() {
        let _ = ui::note(&match ui::is_read() {
            true => ui::paragraph(line, 0),
            false => ui::escape(line),
        });
    }
    for hint in &failure.hints {
        // A command is for typing; a sentence stands for itself.
        let _ = ui::note(&match (hint.starts_with("jit "), ui::is_read()) {
            (true, _) => format!("  next: {}", ui::escape(hint)),
            (false, true) => ui::paragraph(hint, 2),
            (false, false) => format!("  {}", ui::escape(hint)),
        });
    }
}

async fn run(cli: Cli) -> Result<Exit> {
    let common = &cli.common;
    let Some(command) = &cli.command else {
        return dashboard::open(common);
    };
    match command {
        Command::Init(arguments) => {
            return init::run(common, arguments, &crate::identity::who_am_i()?.person);
        }
        Command::Ledger(command) => return ledger::run(common, command),
        Command::Audit(command) => return audit::run(common, command),
        Command::Schema { of } => {
            match of {
                SchemaOf::Request => {
                    ui::json(&schemars::schema_for!(crate::workflow::view::RequestView))?
                }
                SchemaOf::Event => ui::json(&schemars::schema_for!(crate::audit::event::Draft))?,
            }
            return Ok(Exit::Done);
        }
        Command::Settings { origin } => {
            return settings::run(&Context::of_rules(common)?, *origin);
        }
        Command::Policy(cli::Policy::Schema) => {
            ui::json(&crate::policy::schema())?;
            return Ok(Exit::Done);
        }
        Command::Policy(command @ (cli::Policy::Check { live: false } | cli::Policy::Test)) => {
            let context = Context::of_rules(common)?;
            let exit = policy::run(&context, command).await;
            context.end();
            return exit;
        }
        Command::Policy(command @ cli::Policy::Explain(_)) => {
            // A ledger, where there is one, knows the columns that globs stand for.
            let context = Context::open(common).or_else(|_| Context::of_rules(common))?;
            return policy::run(&context, command).await;
        }
        Command::Completions { shell } => {
            ui::say(complete::script(*shell).trim_end())?;
            return Ok(Exit::Done);
        }
        Command::Complete { shell, words } => return complete::run(*shell, words),
        Command::Man { page, dir } => return man::run(page.as_deref(), dir.as_deref()),
        Command::Generate { dir } => return generate::run(dir),
        _ => {}
    }
    if let Command::Sweep(arguments) = command
        && let Some(pause) = &arguments.watch
    {
        return sweep::watch(common, arguments, pause).await;
    }
    // What takes access away, or only looks, goes on while the policies cannot be read.
    let context = match command {
        Command::Setup(_)
        | Command::Policy(_)
        | Command::Columns(_)
        | Command::Request(_)
        | Command::Extend(_)
        | Command::Approve(_) => Context::open(common)?,
        _ => Context::open_to_take(common)?,
    };
    let exit = carry_out(&context, command).await;
    context.end();
    exit
}

/// What needs settings and ledger.
async fn carry_out(context: &Context, command: &Command) -> Result<Exit> {
    match command {
        Command::Setup(arguments) => setup::run(context, arguments).await,
        Command::Doctor => doctor::run(context).await,
        Command::Policy(command) => policy::run(context, command).await,
        Command::Columns(arguments) => columns::run(context, arguments).await,
        Command::Request(arguments) => request::run(context, arguments).await,
        Command::List(arguments) => list::run(context, arguments),
        Command::Show { id } => show::run(context, id),
        Command::Approve(arguments) => decide::approve(context, arguments).await,
        Command::Deny { id, reason } => {
            decide::deny(context, id.as_deref(), reason.as_deref()).await
        }
        Command::Cancel { id } => withdraw::cancel(context, id.as_deref()).await,
        Command::Return { id } => withdraw::give_back(context, id.as_deref()).await,
        Command::Revoke(arguments) => revoke::run(context, arguments).await,
        Command::Resume { holds, reason, yes } => {
            revoke::resume(context, holds, reason.as_deref(), *yes).await
        }
        Command::Extend(arguments) => request::extend(context, arguments).await,
        Command::Sweep(arguments) => sweep::run(context, arguments).await,
        Command::Init(_)
        | Command::Ledger(_)
        | Command::Audit(_)
        | Command::Schema { .. }
        | Command::Settings { .. }
        | Command::Completions { .. }
        | Command::Complete { .. }
        | Command::Man { .. }
        | Command::Generate { .. } => Ok(Exit::Done),
    }
}
