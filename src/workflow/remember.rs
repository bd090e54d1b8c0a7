//! What the ledger remembers besides requests: settings, sweeps, and the columns that there are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::{Actor, At, TargetName, Ttl};
use crate::audit::event::{Draft, EventKind};
use crate::engines::Engine;
use crate::stores::{Change, Effect, Fact, StoreError};

use super::sweep::SweepReport;
use super::target::{Failing, TargetReport};
use super::{Operator, view};

/// What the ledger remembers of sweeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SweepRecord {
    /// When each target's revokes were last all done, but for what waits for a person.
    pub done: BTreeMap<TargetName, At>,
    /// Targets that could not be worked on by the last sweep, and why.
    pub unreachable: BTreeMap<TargetName, String>,
    /// When each target's columns were last read, for pickers.
    #[serde(default)]
    pub columns: BTreeMap<TargetName, ColumnsRead>,
}

/// A look at which columns there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnsRead {
    pub at: At,
    /// Those that policies are about.
    pub columns: usize,
    /// The hash of settings and policies then.
    pub rules: String,
}

/// So many columns of a target are read anew at each sweep. To read a company's hundred thousand takes MariaDB more
/// than a second, and they seldom change.
const FEW: usize = 1000;
/// Of more, what was read is good for so long, while settings and policies stay as they are.
const GOOD_FOR: Ttl = Ttl::from_secs(5 * 60);

impl ColumnsRead {
    /// Whether they need not be read again yet.
    fn is_good(&self, rules: &str, now: At) -> bool {
        self.columns > FEW && self.rules == rules && self.at <= now && now.since(self.at) < GOOD_FOR
    }
}

/// When a sweep last did everything that was due on this target.
pub fn last_success(op: &Operator, target: &TargetName) -> Result<Option<At>, StoreError> {
    Ok(record(op)?.done.get(target).copied())
}

/// What the last sweeps left in the ledger.
pub fn record(op: &Operator) -> Result<SweepRecord, StoreError> {
    Ok(op
        .ledger
        .fact(Fact::LastSweepReport)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}

/// Notices a change of settings, groups, people, targets or policies before anything is judged by it.
pub fn note_settings(op: &Operator) -> Result<(), StoreError> {
    let known = op.ledger.fact(Fact::SettingsHash)?;
    if known.as_deref() == Some(op.rules.hash.as_str()) {
        op.rules.texts.take();
        return Ok(());
    }
    let texts = op.rules.texts.borrow();
    let mut change = Change::default();
    for (hash, body) in texts.iter() {
        change.effects.push(Effect::KeepText {
            hash: hash.clone(),
            body: body.clone(),
        });
    }
    change.effects.push(Effect::SetFact {
        fact: Fact::SettingsHash,
        value: op.rules.hash.clone(),
    });
    let mut line = Draft::new(EventKind::SettingsChanged, &Actor::Person(op.me.clone()));
    line.observed = Some(serde_json::json!({
        "old": known,
        "new": op.rules.hash,
        "texts": texts.iter().map(|(hash, _)| hash).collect::<Vec<_>>(),
    }));
    change.events.push(line);
    drop(texts);
    op.ledger.commit(&op.now(), change)?;
    op.rules.texts.take();
    Ok(())
}

/// What the catalog has of the protected tables, for pickers; saved only when it has changed. Many columns are not
/// read at every sweep.
pub async fn remember_columns(
    op: &Operator,
    name: &TargetName,
    engine: &mut dyn Engine,
    report: &mut TargetReport,
) -> Result<(), Failing> {
    let now = op.now();
    if let Some(last) = record(op)?.columns.get(name)
        && last.is_good(&op.rules.hash, now.at)
    {
        return Ok(());
    }
    let catalog = engine.catalog(&op.rules.book.tables(name)).await?;
    let mut columns: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let ignores_case = op.rules.ignores_column_case(name);
    for of in op.rules.book.ruled(name, ignores_case, &catalog) {
        columns
            .entry(of.table)
            .or_insert_with(Vec::new)
            .push(of.column);
    }
    report.columns_read = Some(ColumnsRead {
        at: now.at,
        columns: columns.values().map(Vec::len).sum(),
        rules: op.rules.hash.clone(),
    });
    let mut all: view::Protected = op
        .ledger
        .fact(Fact::Protected)?
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let is_known = all.get(name).is_some_and(|known| {
        known.len() == columns.len()
            && known.iter().zip(&columns).all(|(known, (table, columns))| {
                known.0 == **table && known.1.iter().eq(columns.iter().copied())
            })
    });
    if is_known {
        return Ok(());
    }
    let mine = columns
        .into_iter()
        .map(|(table, columns)| (table.clone(), columns.into_iter().cloned().collect()));
    all.insert(name.clone(), mine.collect());
    all.retain(|target, _| op.rules.targets.contains_key(target));
    op.ledger.commit(
        &now,
        Change {
            effects: vec![Effect::SetFact {
                fact: Fact::Protected,
                value: serde_json::to_string(&all).unwrap_or_default(),
            }],
            events: Vec::new(),
        },
    )?;
    Ok(())
}

/// Records how each target did.
pub fn sweep(op: &Operator, report: &SweepReport) -> Result<(), StoreError> {
    let now = op.now();
    let mut record = record(op)?;
    for target in &report.targets {
        let name = TargetName(target.target.clone().into());
        if target.revokes_done {
            record.done.insert(name.clone(), now.at);
            record.unreachable.remove(&name);
        } else {
            let why = target.undone().unwrap_or("not all of it was done");
            record.unreachable.insert(name.clone(), why.to_owned());
        }
        if let Some(read) = &target.columns_read {
            record.columns.insert(name, read.clone());
        }
    }
    let is_ours = |name: &TargetName| op.rules.targets.contains_key(name);
    record.done.retain(|name, _| is_ours(name));
    record.columns.retain(|name, _| is_ours(name));
    let mut effects = vec![Effect::SetFact {
        fact: Fact::LastSweepReport,
        value: serde_json::to_string(&record).unwrap_or_default(),
    }];
    if report.targets.iter().all(|target| target.revokes_done) {
        effects.push(Effect::SetFact {
            fact: Fact::LastSweep,
            value: now.at.to_string(),
        });
    }
    op.ledger
        .commit(
            &now,
            Change {
                effects,
                events: Vec::new(),
            },
        )
        .map(|_| ())
}
