//! `jit audit …`: needs neither settings nor ledger; with them it checks against the ledger, too.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::access::{At, syntax};
use crate::audit::chain::{Hash, LONGEST_LINE};
use crate::audit::event::EventKind;
use crate::audit::verify::{Head, Verdict, Verifier};
use crate::cli::{self, Common};
use crate::failure::{Exit, Failure};
use crate::settings::LedgerPlace;
use crate::stores::Ledger;
use crate::stores::sqlite::{self, SqliteLedger};
use crate::ui::{self, Format};
use crate::workflow::clock;

use super::context::{Context, load_settings};
use super::words;

pub fn run(common: &Common, command: &cli::Audit) -> Result<Exit> {
    match command {
        cli::Audit::Verify { files, head } => verify(common, files, head),
        cli::Audit::Head => head(common),
        cli::Audit::Search(arguments) => search(common, arguments),
    }
}

/// Every line of a file, without its newline; the last one that has none is told apart.
fn each_line(path: &Path, mut take: impl FnMut(&[u8], bool)) -> Result<()> {
    let shown = path.display();
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        if path.extension().is_some_and(|extension| extension == "gz") {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        }
    };
    let mut reader = BufReader::with_capacity(256 * 1024, reader);
    let broken = |error: std::io::Error| {
        Failure::new(Exit::Audit, format!("cannot read {shown}: {error}"))
            .hint("is it whole, and packed by gzip? gzip -t FILE")
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LONGEST_LINE as u64 + 2;
        let read = reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(broken)?;
        if read == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n');
        if whole {
            line.pop();
        }
        // Longer than any line of ours: its beginning tells that, and what follows is not another line.
        let endless = !whole && line.len() > LONGEST_LINE;
        if endless {
            reader.skip_until(b'\n').map_err(broken)?;
        }
        take(&line, whole || endless);
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let what = format!("cannot read {}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Failure::new(Exit::Refused, what)
            .hint("operators may; an auditor needs a copy, or: setfacl -m u:NAME:r FILE"),
        std::io::ErrorKind::NotFound => {
            Failure::new(Exit::Audit, what).hint("is it rotated away, or not made yet? jit doctor")
        }
        _ => Failure::new(Exit::Audit, what).hint("jit doctor"),
    }
}

/// The file of the settings must be a plain one: a pipe in its place would be waited for without end. (One that is
/// named on the command line may be a pipe: `<(zstdcat …)`.)
fn plain(path: &Path) -> Result<()> {
    let trouble = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => "it is not a regular file".to_owned(),
        Err(error) => return Err(unreadable(path, &error).into()),
    };
    Err(Failure::new(
        Exit::Audit,
        format!("cannot read {}: {trouble}", path.display()),
    )
    .hint("jit doctor")
    .into())
}

fn check(verifier: &mut Verifier, path: &Path) -> Result<()> {
    verifier.file(&path.display().to_string());
    each_line(path, |line, whole| {
        if whole {
            verifier.line(line);
        } else {
            verifier.torn();
        }
    })
}

fn verify(common: &Common, files: &[PathBuf], heads: &[String]) -> Result<Exit> {
    let known = load_settings(common);
    let ledger = known.as_ref().ok().and_then(|settings| {
        let LedgerPlace::Sqlite(path) = &settings.ledger;
        sqlite::may_operate(path)
            .unwrap_or(false)
            .then(|| SqliteLedger::open(path).ok())
            .flatten()
    });
    let own = match (&known, files.is_empty()) {
        (Ok(settings), true) => vec![settings.audit.clone()],
        (Err(_), true) => {
            // Without a file nothing can be checked, and the settings' own error says why there is none.
            known?;
            Vec::new()
        }
        (_, false) => files.to_vec(),
    };
    let mut verifier = match &ledger {
        Some(ledger) => Verifier::of_ledger(ledger.id()),
        None => Verifier::anywhere(),
    };
    for text in heads {
        verifier.expect(&read_head(text)?);
    }
    // Files named by hand may be old ones: only the settings' own must reach the ledger's newest written line.
    if files.is_empty()
        && let Some(ledger) = &ledger
    {
        expect_ledgers(&mut verifier, ledger)?;
    }
    if files.is_empty() {
        own.iter().try_for_each(|file| plain(file))?;
    }
    for file in &own {
        check(&mut verifier, file)?;
    }
    let verdict = verifier.end();
    tell(common, &verdict, ledger.is_some() && files.is_empty())?;
    Ok(if verdict.is_sound() {
        Exit::Done
    } else {
        Exit::Audit
    })
}

/// The newest line that the ledger knows to be in the file must be there.
fn expect_ledgers(verifier: &mut Verifier, ledger: &dyn Ledger) -> Result<()> {
    let (mark, _) = ledger.journal_mark()?;
    if mark == 0 {
        return Ok(());
    }
    let line = ledger
        .lines_after(mark - 1, 1)?
        .into_iter()
        .find(|owed| owed.seq == mark);
    if let Some(owed) = line
        && let Ok(link) = crate::audit::chain::Link::of(owed.line.trim_end().as_bytes())
    {
        verifier.expect(&Head {
            seq: mark,
            hash: link.hash,
        });
    }
    Ok(())
}

fn read_head(text: &str) -> Result<Head> {
    text.split_once(':')
        .and_then(|(seq, hash)| {
            Some(Head {
                seq: seq.parse().ok()?,
                hash: Hash::read(hash.as_bytes())?,
            })
        })
        .ok_or_else(|| {
            Failure::new(Exit::Usage, format!("--head: {text:?} is not SEQ:HASH"))
                .hint("write it as it is printed by: jit audit head")
                .into()
        })
}

fn tell(common: &Common, verdict: &Verdict, against_ledger: bool) -> Result<()> {
    if common.output == Format::Json {
        let findings: Vec<Value> = verdict
            .findings
            .iter()
            .map(|finding| {
                serde_json::json!({
                    "file": finding.place.file, "line": finding.place.line,
                    "what": finding.to_string(), "cure": finding.what.cure()
                })
            })
            .collect();
        ui::json(&serde_json::json!({
            "sound": verdict.is_sound(), "lines": verdict.lines, "first": verdict.first,
            "head": verdict.head.as_ref().map(|head| format!("{}:{}", head.seq, head.hash)),
            "against_ledger": against_ledger, "findings": findings
        }))?;
        return Ok(());
    }
    for finding in &verdict.findings {
        ui::say(&ui::escape(&finding.to_string()))?;
        ui::say(&ui::paragraph(&format!("cure: {}", finding.what.cure()), 2))?;
    }
    let head = verdict.head.as_ref().map_or("no line".to_owned(), |head| {
        format!("head {}:{}", head.seq, head.hash)
    });
    let how = if verdict.is_sound() {
        "sound"
    } else {
        "BROKEN"
    };
    let ledger = if against_ledger {
        ", also against the ledger"
    } else {
        ""
    };
    let lines = ui::count(verdict.lines as usize, "line");
    ui::say(&format!("{how}: {lines}{ledger}\n{head}"))?;
    Ok(())
}

fn head(common: &Common) -> Result<Exit> {
    let settings = load_settings(common)?;
    let mut last: Option<Vec<u8>> = None;
    plain(&settings.audit)?;
    each_line(&settings.audit, |line, whole| {
        if whole {
            last = Some(line.to_vec());
        }
    })?;
    match last.as_deref().map(crate::audit::chain::Link::of) {
        None => {
            ui::note("there is no line yet")?;
            Ok(Exit::NoSuch)
        }
        Some(Ok(link)) => {
            match common.output {
                Format::Json => {
                    ui::json(
                        &serde_json::json!({ "seq": link.seq, "hash": link.hash.to_string() }),
                    )?;
                }
                Format::Table => ui::say(&format!("{}:{}", link.seq, link.hash))?,
            }
            Ok(Exit::Done)
        }
        Some(Err(error)) => Err(Failure::new(
            Exit::Audit,
            format!(
                "the last line of {} is none of ours: {error}",
                settings.audit.display()
            ),
        )
        .hint("jit audit verify")
        .into()),
    }
}

/// What `doctor` says of the trail: sound, or why not.
pub fn check_default(context: &Context) -> Result<String> {
    let op = context.operator()?;
    let mut verifier = Verifier::of_ledger(op.ledger.id());
    expect_ledgers(&mut verifier, op.ledger.as_ref())?;
    plain(&op.audit)?;
    check(&mut verifier, &op.audit)?;
    let verdict = verifier.end();
    match verdict.findings.first() {
        None => Ok(format!(
            "{}, sound, also against the ledger",
            ui::count(verdict.lines as usize, "line")
        )),
        Some(finding) => Err(Failure::new(Exit::Audit, finding.to_string()).into()),
    }
}

fn search(common: &Common, arguments: &cli::Search) -> Result<Exit> {
    let settings = load_settings(common)?;
    let now = clock::now().at;
    let wanted = Wanted::read(arguments, now)?;
    let mut found = Vec::new();
    plain(&settings.audit)?;
    each_line(&settings.audit, |line, _| {
        if let Ok(event) = serde_json::from_slice::<Value>(line)
            && wanted.fits(&event)
        {
            found.push((String::from_utf8_lossy(line).into_owned(), event));
        }
    })?;
    match common.output {
        Format::Json => ui::json(&found.iter().map(|(_, event)| event).collect::<Vec<_>>())?,
        Format::Table => {
            // A program gets the very bytes, which carry the hash; a terminal gets nothing that it would obey.
            let obeys = std::io::IsTerminal::is_terminal(&std::io::stdout());
            for (line, _) in &found {
                ui::say(&if obeys {
                    ui::escape(line)
                } else {
                    line.clone()
                })?;
            }
            if found.is_empty() {
                ui::note("no line fits")?;
            }
        }
    }
    Ok(Exit::Done)
}

/// What lines must have. All of it.
struct Wanted {
    texts: Vec<(&'static str, String)>,
    user: Option<String>,
    events: Vec<String>,
    table: Option<String>,
    column: Option<String>,
    since: Option<At>,
    until: Option<At>,
}

impl Wanted {
    fn read(arguments: &cli::Search, now: At) -> Result<Self> {
        let mut texts = Vec::new();
        for (key, value) in [
            ("requester", &arguments.requester),
            ("grantee", &arguments.grantee),
            ("target", &arguments.target),
        ] {
            texts.extend(value.clone().map(|value| (key, value)));
        }
        texts.extend(arguments.request.clone().map(|id| ("request", id)));
        let (mut table, mut column) = (None, None);
        if let Some(text) = &arguments.column {
            match syntax::parse_columns(text) {
                Ok((typed, syntax::TypedColumns::Named(names))) if names.len() == 1 => {
                    table = Some(name_of(&typed));
                    column = names.into_iter().next();
                }
                _ => match syntax::parse_typed_table(text) {
                    Ok(typed) => table = Some(name_of(&typed)),
                    Err(error) => {
                        return Err(Failure::new(Exit::Usage, format!("--column: {error}")).into());
                    }
                },
            }
        }
        for name in &arguments.event {
            let known = serde_json::from_value::<EventKind>(Value::from(name.as_str()));
            if known.is_err() {
                let why = format!("--event: there is no event {name:?}");
                return Err(Failure::new(Exit::Usage, why)
                    .hint("such as requested, granted, revoked; all of them: jit schema event")
                    .into());
            }
        }
        let instant = |text: &Option<String>, flag| {
            text.as_deref()
                .map(|text| words::instant(text, now, flag))
                .transpose()
        };
        Ok(Self {
            texts,
            user: arguments.user.clone(),
            events: arguments.event.clone(),
            table,
            column,
            since: instant(&arguments.since, "--since")?,
            until: instant(&arguments.until, "--until")?,
        })
    }

    fn fits(&self, event: &Value) -> bool {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        let has = |key: &str, wanted: &str| {
            event[key]
                .as_array()
                .is_some_and(|list| list.iter().any(|item| item == wanted))
        };
        let at = text("at").parse::<At>().ok();
        self.texts.iter().all(|(key, value)| {
            if *key == "request" {
                text(key).starts_with(value.as_str())
            } else {
                text(key) == value
            }
        }) && self.user.as_ref().is_none_or(|user| {
            text("requester") == user || text("actor") == user || has("approvers", user)
        }) && (self.events.is_empty() || self.events.iter().any(|name| name == text("event")))
            && self.table.as_ref().is_none_or(|table| {
                text("table") == table || text("table").ends_with(&format!(".{table}"))
            })
            && self
                .column
                .as_ref()
                .is_none_or(|column| has("columns", column))
            && self
                .since
                .is_none_or(|since| at.is_some_and(|at| at >= since))
            && self
                .until
                .is_none_or(|until| at.is_some_and(|at| at < until))
    }
}

fn name_of(typed: &syntax::TypedTable) -> String {
    match &typed.schema {
        Some(schema) => format!(
            "{}.{}",
            syntax::quoted_if_odd(schema),
            syntax::quoted_if_odd(&typed.table)
        ),
        None => syntax::quoted_if_odd(&typed.table).into_owned(),
    }
}
