//! `jit setup`: the SQL that a target needs.

use anyhow::Result;

use crate::access::TargetName;
use crate::cli;
use crate::engines::{self, Address, Engine, EngineError, Needs, SetupGroup};
use crate::failure::{Exit, Failure, classify};
use crate::stores::FindLeases;
use crate::ui::{self, Format};
use crate::workflow::Rules;

use super::context::{Context, Reach};
use super::{doctor, words};

pub async fn run(context: &Context, arguments: &cli::Setup) -> Result<Exit> {
    let name = words::target(
        arguments.target.as_deref().map(TargetName::from),
        &context.target_names(),
    )?;
    let own = context.rules().targets[&name].clone();
    if arguments.undo {
        // Who cannot see the leases cannot know that there are none.
        let Reach::Operator(op) = &context.reach else {
            return Err(context.not_operator("undo a set-up").into());
        };
        let live = op.ledger.leases(&FindLeases::Live(Some(name.clone())))?;
        if let Some(lease) = live.first() {
            return Err(Failure::new(
                Exit::NoSuch,
                format!(
                    "setup of {name} cannot be undone while {} there: nobody could take back what they gave",
                    match live.len() {
                        1 => "1 lease lives".to_owned(),
                        number => format!("{number} leases live"),
                    }
                ),
            )
            .hint(format!("see them: jit list --target {name}"))
            .hint(format!("jit revoke {} --reason …", lease.id.request))
            .into());
        }
    }
    // The SQL names our login, whoever runs it.
    if let Some(why) = &own.unresolved {
        return Err(Failure::new(Exit::Unreachable, format!("{name}: {why}")).into());
    }
    let address = match &arguments.as_url {
        Some(url) => privileged(url, &own)?,
        None => own.clone(),
    };
    let mut engine = match connect(&address, arguments).await? {
        Err(error @ EngineError::Denied { .. }) if arguments.as_url.is_none() => {
            return Err(Failure::new(Exit::Unreachable, error.to_string())
                .hint("is that account not there yet? Then connect as somebody who may make it:")
                .hint(format!("jit setup {name} --as-url URL"))
                .into());
        }
        Err(error) if arguments.as_url.is_some() => {
            let hints = as_url_hints(&error);
            let mut failure = classify(&error.into());
            if !hints.is_empty() {
                failure.hints = hints;
            }
            return Err(failure.into());
        }
        connected => connected?,
    };
    let catalog = engine.catalog(&context.rules().book.tables(&name)).await?;
    let ledger = match &context.reach {
        Reach::Operator(op) => Some(op.ledger.id().clone()),
        Reach::Mailbox(_) => None,
    };
    let needs = needs(context.rules(), &name, &catalog, &own, ledger);
    let groups = engine.setup(&needs, arguments.undo).await?;
    if arguments.apply {
        let mut done = 0;
        for group in &groups {
            ui::note(&ui::hanging("--", &group.by, 3))?;
            for statement in &group.statements {
                let lines: Vec<&str> = statement.lines().map(str::trim).collect();
                ui::note(&ui::hanging("  ", &lines.join(" "), 4))?;
            }
            engine.run(&group.statements).await.map_err(|error| {
                let refused = matches!(error, EngineError::Refused { .. });
                let mut failure = classify(&error.into());
                if refused && arguments.as_url.is_none() {
                    failure.hints = vec![format!(
                        "that is for {} to run: jit setup {name} --apply --as-url URL",
                        group.by
                    )];
                }
                failure
            })?;
            done += group.statements.len();
        }
        match context.format {
            Format::Json => ui::json(&groups)?,
            Format::Table if groups.is_empty() => ui::note(&all_there(&name))?,
            Format::Table => {
                ui::say(&format!("{} done on {name}", ui::count(done, "statement")))?;
            }
        }
        if !arguments.undo {
            ui::note(&next(context, &name, &own).await)?;
        }
        return Ok(Exit::Done);
    }
    match context.format {
        Format::Json => ui::json(&groups)?,
        Format::Table => print(&name, &groups)?,
    }
    Ok(Exit::Done)
}

/// Connects; where somebody else's password is wanted and none is at hand, a person on a terminal is asked for it,
/// once, as the databases' own clients do.
async fn connect(
    address: &Address,
    arguments: &cli::Setup,
) -> Result<Result<Box<dyn Engine>, EngineError>> {
    let connected = engines::connect(address).await;
    let wants_one = matches!(
        connected,
        Err(EngineError::NoPassword { .. } | EngineError::Denied { .. })
    );
    // A terminal that knows no cursor movements would show what is typed.
    let can_ask = ui::can_ask() && !ui::prompt::is_dumb();
    if arguments.as_url.is_none() || !wants_one || address.knows_password() || !can_ask {
        return Ok(connected);
    }
    let question = format!("Password of {} at {}:", address.user, address.shown());
    let typed = ui::prompt::secret(&question)?;
    let address = Address {
        typed: Some(typed),
        ..address.clone()
    };
    Ok(engines::connect(&address).await)
}

/// What to do where the URL of `--as-url` leads nowhere: the target's own settings are not what is wrong.
fn as_url_hints(error: &EngineError) -> Vec<String> {
    let hint = match error {
        EngineError::NoPassword { .. } => {
            "for --as-url it comes from PGPASSWORD or ~/.pgpass, on MySQL and MariaDB from ~/.my.cnf; on a terminal it \
             is asked for"
        }
        EngineError::Untrusted { .. } => {
            "set the host, sslmode= or sslrootcert= in the URL of --as-url"
        }
        EngineError::Unreachable { .. } | EngineError::Denied { .. } => {
            "check the URL of --as-url, and its password: PGPASSWORD or ~/.pgpass, on MySQL and MariaDB ~/.my.cnf, or \
             typed on a terminal"
        }
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}

/// What to type after a set-up. An account that it made has no password yet.
async fn next(context: &Context, name: &TargetName, own: &Address) -> String {
    match engines::connect(own).await {
        Ok(_) => "Next: jit sweep, jit doctor".to_owned(),
        Err(EngineError::NoPassword { .. } | EngineError::Denied { .. }) => ui::paragraph(
            &format!(
                "Next: give {} a password there, and tell jit where it is (targets.{name}.password in the settings); \
                 then: jit sweep, jit doctor",
                own.user
            ),
            0,
        ),
        Err(error) => ui::paragraph(
            &format!(
                "Our own account, {}, cannot log in yet: {error}. Next: {}; then: jit sweep, jit doctor",
                own.user,
                doctor::let_us_in(context, name, &error)
            ),
            0,
        ),
    }
}

fn all_there(name: &TargetName) -> String {
    format!("{name} has all that it needs")
}

fn print(name: &TargetName, groups: &[SetupGroup]) -> Result<()> {
    if groups.is_empty() {
        ui::note(&all_there(name))?;
    }
    for group in groups {
        ui::say(&format!("-- {name}: to be run by {}", group.by))?;
        for statement in &group.statements {
            ui::say(&format!("{};", statement.trim_end_matches(';')))?;
        }
        ui::say("")?;
    }
    Ok(())
}

/// Somebody else's way in, to the same database; grantor and limits are the target's.
fn privileged(url: &str, own: &Address) -> Result<Address> {
    let mut address =
        Address::parse(url).map_err(|why| Failure::new(Exit::Usage, format!("--as-url: {why}")))?;
    if address.dialect != own.dialect {
        return Err(Failure::new(
            Exit::Usage,
            "--as-url: it is another engine than the target's",
        )
        .hint("the target's: jit settings")
        .into());
    }
    address.grantor.clone_from(&own.grantor);
    address.statement_timeout = own.statement_timeout;
    address.verbose = own.verbose;
    Ok(address)
}

/// What the policies want to be able to lease there: protected columns, what is leased along, and schemas.
pub fn needs(
    rules: &Rules,
    target: &TargetName,
    catalog: &engines::Catalog,
    own: &Address,
    ledger: Option<crate::access::LedgerId>,
) -> Needs {
    let leasable = rules
        .book
        .leasable(target, rules.ignores_column_case(target), catalog);
    Needs {
        tables: leasable.tables,
        usage: leasable.usage,
        end_sessions: leasable.end_sessions,
        login: own.user.as_str().into(),
        ledger,
    }
}
