//! What became of a request: told at once, or waited for; then a SELECT that works.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::access::{At, ColumnName, RequestId, State, TableColumns, Ttl};
use crate::commands::context::{Context, Reach};
use crate::commands::{lookup, show};
use crate::engines::Dialect;
use crate::failure::{Exit, Failure};
use crate::ui::live::Live;
use crate::ui::{self, Format};
use crate::workflow::view::RequestView;

/// How often `--wait` looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Says where the request stands now, and what comes next.
pub fn tell(context: &Context, view: &RequestView) -> Result<Exit> {
    let now = context.now().at;
    if context.format == Format::Json {
        ui::json(view)?;
    } else {
        ui::say(view.id.as_str())?;
    }
    if view.state == State::Refused {
        return Err(refused(view.outcome.as_deref().unwrap_or_default()).into());
    }
    if context.format == Format::Json {
        return Ok(exit_of(view));
    }
    match view.state {
        State::Pending => {
            ui::note(&ui::paragraph(
                &format!("pending: {}", show::needs(view)),
                0,
            ))?;
            ui::note(&format!("It lapses {}.", ui::when(view.lapses_at, now)))?;
        }
        State::Active => granted(context, view, now)?,
        _ => ui::note(&show::state(view, now))?,
    }
    for table in view
        .will_read
        .iter()
        .filter(|_| view.state != State::Active)
    {
        ui::note(&ui::paragraph(
            &format!("{} will be able to read {table}", view.grantee),
            0,
        ))?;
    }
    if let Some(why) = &view.outcome {
        ui::note(&ui::paragraph(why, 0))?;
    }
    match view.state {
        State::Submitted | State::Pending | State::Approved => {
            ui::note(&format!("Next: jit show {}", view.id))?;
        }
        State::Active => ui::note(&format!("Give it back early: jit return {}", view.id))?,
        _ => {}
    }
    Ok(exit_of(view))
}

pub fn refused(why: &str) -> Failure {
    let failure = Failure::new(Exit::Refused, format!("refused: {why}"));
    // The words of a policy end with what to try, where anything would do.
    if why.contains("; try ") {
        failure
    } else {
        failure.hint("what you may ask for: jit columns")
    }
}

fn exit_of(view: &RequestView) -> Exit {
    match view.state {
        State::Refused | State::Denied => Exit::Refused,
        State::Failed => Exit::Failed,
        State::Lapsed | State::Cancelled => Exit::NoSuch,
        _ => Exit::Done,
    }
}

fn granted(context: &Context, view: &RequestView, now: At) -> Result<()> {
    if let Some(at) = view.expires_at {
        ui::note(&format!("active until {}", ui::when(at, now)))?;
    }
    let dialect = context
        .rules()
        .targets
        .get(&view.target)
        .map_or(Dialect::Postgres, |address| address.dialect);
    for table in readable(view) {
        // In one piece, however long: it is there to be copied.
        ui::note(&format!("  {}", ui::escape(&select(dialect, &table))))?;
    }
    Ok(())
}

/// What was asked for, and before it what is leased along, such as the key.
fn readable(view: &RequestView) -> Vec<TableColumns> {
    view.tables
        .iter()
        .map(|asked| {
            let mut columns: Vec<ColumnName> = view
                .leases
                .iter()
                .filter(|lease| lease.ended_at.is_none())
                .filter(|lease| lease.table.as_ref() == Some(&asked.table))
                .filter_map(|lease| lease.column.clone())
                .filter(|column| !asked.columns.contains(column))
                .collect();
            columns.extend(asked.columns.iter().cloned());
            TableColumns {
                table: asked.table.clone(),
                columns,
            }
        })
        .collect()
}

/// A SELECT that works now, every name quoted: `user` and `order` are columns, too.
fn select(dialect: Dialect, table: &TableColumns) -> String {
    let mark = match dialect {
        Dialect::Mysql => "`",
        Dialect::Postgres => "\"",
    };
    let quote = |name: &str| format!("{mark}{}{mark}", name.replace(mark, &mark.repeat(2)));
    let columns: Vec<String> = table.columns.iter().map(|c| quote(c.as_str())).collect();
    format!(
        "SELECT {} FROM {}.{} LIMIT 10;",
        columns.join(", "),
        quote(&table.table.schema),
        quote(&table.table.table)
    )
}

/// Waits until it is decided, saying how it stands. Ctrl-C leaves the request as it is.
pub async fn wait_for(context: &Context, id: &RequestId, limit: Ttl) -> Result<Exit> {
    let started = Instant::now();
    let mut live = Live::new();
    ui::note(&format!("{id} is handed in. Ctrl-C leaves it standing."))?;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let view = lookup::by_id(context, id, true)?;
        if let Some(view) = &view
            && (view.state == State::Active || view.state.is_final())
        {
            live.clear()?;
            return tell(context, view);
        }
        let Some(left) = limit.duration().checked_sub(started.elapsed()) else {
            live.clear()?;
            return Err(timed_out(context, id, limit).into());
        };
        let left = Ttl::from_secs(left.as_secs());
        live.show(
            &stands(view.as_ref(), context.now().at),
            &format!("({left} left)"),
        )?;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = &mut interrupted => {
                live.clear()?;
                // The terminal has written ^C.
                ui::note("")?;
                return Err(Failure::new(Exit::Interrupted, format!("request {id} stands as it is"))
                    .hint(format!("jit show {id}"))
                    .hint(format!("withdraw it: jit cancel {id}"))
                    .into());
            }
        }
    }
}

/// Where a request stands while it is waited for.
fn stands(view: Option<&RequestView>, now: At) -> String {
    match view {
        None => "handed in, waiting for the next sweep".to_owned(),
        Some(view) if view.state == State::Pending => format!("pending: {}", show::needs(view)),
        Some(view) => show::state(view, now),
    }
}

fn timed_out(context: &Context, id: &RequestId, limit: Ttl) -> Failure {
    let failure = Failure::new(
        Exit::TimedOut,
        format!("request {id} is not decided after {limit}"),
    )
    .hint(format!("it stands: jit show {id}"));
    failure.hint(if matches!(context.reach, Reach::Operator(_)) {
        "jit sweep".to_owned()
    } else {
        format!("withdraw it: jit cancel {id}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_each_engine_reads_them() {
        let table = TableColumns {
            table: crate::access::TableName::new("my shop", "order"),
            columns: vec!["user".into(), "a\"b`c".into()],
        };
        assert_eq!(
            select(Dialect::Postgres, &table),
            r#"SELECT "user", "a""b`c" FROM "my shop"."order" LIMIT 10;"#
        );
        assert_eq!(
            select(Dialect::Mysql, &table),
            r#"SELECT `user`, `a"b``c` FROM `my shop`.`order` LIMIT 10;"#
        );
    }
}
