//! The live values: what a person may see now, and what of it fits.

use std::cell::RefCell;
use std::collections::BTreeSet;

use anyhow::Result;
use clap_complete::engine::CompletionCandidate;
use foldhash::HashSet;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::{Person, Request, State, TargetName, Ttl};
use crate::audit::event::EventKind;
use crate::identity;
use crate::policy::book::Policy;
use crate::settings::{self, LedgerPlace, Places};
use crate::stores::mailbox::{Mailbox, Mailboxes, Names};
use crate::stores::sqlite::{self, SqliteLedger};
use crate::stores::{FindRequests, Sheet};
use crate::ui;
use crate::workflow::mailbox::{self, PersonView};
use crate::workflow::requestable::{Collect, Columns, Offering, Requestable};
use crate::workflow::view::{self, Protected, RequestView};
use crate::workflow::{Operator, Rules};

use super::super::context::{spelled_out, with_spelled_out};
use super::super::{man, rules};
use super::columns;
use super::line::Line;
use super::wanted::Wanted;

/// At most so many ids; nobody reads more.
const MOST: usize = 200;
const DURATIONS: [&str; 8] = ["15m", "30m", "1h", "2h", "4h", "8h", "1d", "2d"];

/// What can be seen from here without making or changing anything.
pub struct Known {
    me: Person,
    seen: Seen,
}

enum Seen {
    Ledger(Box<Operator>),
    /// The rules are public; there may be no mailbox yet.
    Mailbox(Box<Rules>, Option<Mailbox>),
}

/// A request, as far as completion needs it.
struct Row {
    id: String,
    state: State,
    requester: String,
    grantee: String,
    mine: bool,
    awaiting: bool,
    lease_ttl: Ttl,
    help: String,
}

/// What fits at this place; nothing where anything goes wrong.
pub fn candidates(wanted: Wanted, line: &Line, current: &str) -> Vec<CompletionCandidate> {
    let found = match wanted {
        Wanted::Event => words(event_words(), current),
        Wanted::Page => words(man::names(), current),
        wanted => Known::of(line)
            .and_then(|known| known.candidates(wanted, line, current))
            .unwrap_or_default(),
    };
    let given: BTreeSet<&str> = line.before().iter().map(String::as_str).collect();
    found
        .into_iter()
        // An id that stands there already is not offered again.
        .filter(|candidate| {
            !matches!(
                wanted,
                Wanted::Awaiting | Wanted::Live | Wanted::Hold | Wanted::Event
            ) || !candidate
                .get_value()
                .to_str()
                .is_some_and(|value| given.contains(value))
        })
        .collect()
}

fn words(all: impl IntoIterator<Item = String>, current: &str) -> Vec<CompletionCandidate> {
    all.into_iter()
        .filter(|word| word.starts_with(current))
        .map(CompletionCandidate::new)
        .collect()
}

fn helped(value: String, help: &str) -> CompletionCandidate {
    let help = (!help.is_empty()).then(|| help.to_owned().into());
    CompletionCandidate::new(value).help(help)
}

/// Every kind of event, from the schema that `jit schema event` prints.
pub fn event_words() -> BTreeSet<String> {
    fn gather(value: &Value, words: &mut BTreeSet<String>) {
        let own = value["enum"].as_array().into_iter().flatten();
        words.extend(
            own.chain([&value["const"]])
                .filter_map(|word| word.as_str().map(str::to_owned)),
        );
        for one in value["oneOf"].as_array().into_iter().flatten() {
            gather(one, words);
        }
    }
    let mut words = BTreeSet::new();
    let schema = serde_json::to_value(schemars::schema_for!(EventKind)).unwrap_or_default();
    gather(&schema, &mut words);
    words
}

impl Known {
    fn of(line: &Line) -> Result<Self> {
        let config = line.flag("config").map(|path| {
            let home = std::env::var("HOME").unwrap_or_default();
            path.strip_prefix("~/")
                .map_or_else(|| path.into(), |rest| format!("{home}/{rest}"))
                .into()
        });
        let settings = settings::load(&Places::of_process(config))?;
        let me = identity::who_am_i()?.person;
        let rules = rules::read(&settings, false)?;
        let LedgerPlace::Sqlite(path) = &settings.ledger;
        if sqlite::may_operate(path).unwrap_or(false) {
            let operator = Operator {
                ledger: Box::new(SqliteLedger::glance(path)?),
                inbox: Box::new(Mailboxes::open(
                    &settings.inbox,
                    Names {
                        name_of: Box::new(identity::name_of),
                        local: Box::new(identity::local_uids),
                    },
                )?),
                audit: settings.audit.clone(),
                rules,
                shares: RefCell::default(),
                me: me.clone(),
            };
            let seen = Seen::Ledger(Box::new(operator));
            return Ok(Self { me, seen });
        }
        let mailbox = Mailbox::open(&settings.inbox).ok().flatten();
        let seen = Seen::Mailbox(Box::new(rules), mailbox);
        Ok(Self { me, seen })
    }

    fn rules(&self) -> &Rules {
        match &self.seen {
            Seen::Ledger(op) => &op.rules,
            Seen::Mailbox(rules, _) => rules,
        }
    }

    /// What operators put into my mailbox; `None` where I am one, or where there is nothing to read.
    fn told<T: DeserializeOwned>(&self, sheet: Sheet) -> Option<T> {
        let Seen::Mailbox(_, Some(mailbox)) = &self.seen else {
            return None;
        };
        let sheet = mailbox.sheet(sheet).ok().flatten()?;
        serde_json::from_slice(&sheet.bytes).ok()
    }

    fn candidates(
        &self,
        wanted: Wanted,
        line: &Line,
        current: &str,
    ) -> Result<Vec<CompletionCandidate>> {
        Ok(match wanted {
            Wanted::Awaiting
            | Wanted::MyOpen
            | Wanted::MyActive
            | Wanted::Live
            | Wanted::AnyRequest => self.ids(wanted, current)?,
            Wanted::Target => self.targets(current),
            Wanted::Requestable => {
                let columns = self.requestable()?;
                let mut found = self.targets_before_columns(line, current);
                if let Some(target) = self.target(line) {
                    found.extend(columns::of_list(&columns, &target, current));
                }
                found
            }
            Wanted::Columns => {
                let columns = self.protected()?;
                let mut found = self.targets_before_columns(line, current);
                if let Some(target) = self.target(line) {
                    found.extend(columns::of_list(&columns, &target, current));
                }
                found
            }
            Wanted::Column => {
                let target = line.flag("target").map(TargetName::from);
                columns::of_one(&self.protected()?, target.as_ref(), current)
            }
            Wanted::Table => {
                let columns = self.requestable()?;
                self.target(line)
                    .map(|target| columns::tables(&columns, &target, current))
                    .unwrap_or_default()
            }
            Wanted::Person => words(self.people()?, current),
            Wanted::Account => {
                let accounts: BTreeSet<String> =
                    self.rows()?.into_iter().map(|row| row.grantee).collect();
                words(accounts, current)
            }
            Wanted::Purpose => words(self.purposes(line)?, current),
            Wanted::Duration => self.durations(line, current)?,
            Wanted::Hold => self.holds(current)?,
            Wanted::Event | Wanted::Page | Wanted::File | Wanted::Folder | Wanted::Free => {
                Vec::new()
            }
        })
    }

    fn rows(&self) -> Result<Vec<Row>> {
        Ok(match &self.seen {
            Seen::Ledger(op) => op
                .ledger
                .requests(&FindRequests {
                    limit: Some(MOST),
                    ..FindRequests::default()
                })?
                .iter()
                .map(|request| self.row_of_request(op, request))
                .collect(),
            Seen::Mailbox(..) => {
                let Some(seen) = self.told::<PersonView>(Sheet::View) else {
                    return Ok(Vec::new());
                };
                let row = |view: &RequestView, awaiting| row_of_view(view, awaiting, &self.me.name);
                let mine = seen.requests.iter().map(|view| row(view, false));
                let awaiting = seen.awaiting.iter().map(|view| row(view, true));
                let others = seen.others.iter().map(|view| row(view, false));
                mine.chain(awaiting).chain(others).take(MOST).collect()
            }
        })
    }

    fn row_of_request(&self, op: &Operator, request: &Request) -> Row {
        let tables: Vec<String> = request.tables.iter().map(ToString::to_string).collect();
        Row {
            id: request.id.to_string(),
            state: request.state,
            requester: request.requester.name.clone(),
            grantee: request.grantee.to_string(),
            mine: request.requester.uid == self.me.uid,
            awaiting: mailbox::awaits(op, request, &self.me),
            lease_ttl: request.lease_ttl(),
            help: told(
                request.state,
                &request.requester.name,
                &tables.join(" "),
                &request.reason,
            ),
        }
    }

    fn ids(&self, wanted: Wanted, current: &str) -> Result<Vec<CompletionCandidate>> {
        let fits = |row: &Row| match wanted {
            Wanted::Awaiting => row.awaiting,
            Wanted::MyOpen => {
                row.mine
                    && matches!(
                        row.state,
                        State::Submitted | State::Pending | State::Approved
                    )
            }
            Wanted::MyActive => row.mine && row.state == State::Active,
            Wanted::Live => row.state.may_hold(),
            _ => true,
        };
        Ok(self
            .rows()?
            .into_iter()
            .filter(|row| row.id.starts_with(current) && fits(row))
            .map(|row| helped(row.id, &row.help))
            .collect())
    }

    fn targets(&self, current: &str) -> Vec<CompletionCandidate> {
        words(
            self.rules().targets.keys().map(ToString::to_string),
            current,
        )
    }

    /// The target stands before the columns, and only there; where there is just one it need not be said.
    fn targets_before_columns(&self, line: &Line, current: &str) -> Vec<CompletionCandidate> {
        let named = line
            .before()
            .iter()
            .skip(1)
            .any(|word| word.contains(':') || self.is_target(word));
        if named || self.rules().targets.len() < 2 {
            return Vec::new();
        }
        self.targets(current)
    }

    fn is_target(&self, word: &str) -> bool {
        self.rules().targets.contains_key(&TargetName::from(word))
    }

    /// The target that the line means, if it can be known.
    fn target(&self, line: &Line) -> Option<TargetName> {
        let named = line
            .before()
            .iter()
            .skip(2)
            .find(|word| self.is_target(word))
            .cloned();
        let only = || match self.rules().targets.keys().collect::<Vec<_>>().as_slice() {
            [only] => Some(only.to_string()),
            _ => None,
        };
        named
            .or_else(|| {
                std::env::var("JIT_TARGET")
                    .ok()
                    .filter(|name| self.is_target(name))
            })
            .or_else(only)
            .map(TargetName::from)
    }

    /// The protected columns as far as they are known without asking a database.
    fn known(&self) -> Result<Protected> {
        let mut known = match &self.seen {
            Seen::Ledger(op) => view::known_columns(op)?,
            Seen::Mailbox(..) => Protected::new(),
        };
        let unknown = |name: &TargetName| !known.contains_key(name);
        let mut spelled = spelled_out(self.rules(), unknown);
        known.append(&mut spelled);
        Ok(known)
    }

    /// What I may ask for.
    fn requestable(&self) -> Result<Columns> {
        if let Seen::Ledger(_) = &self.seen {
            return Ok(view::columns(self.rules(), &self.known()?, &self.me.name));
        }
        let told: Columns = self.told(Sheet::Columns).unwrap_or_default();
        Ok(with_spelled_out(self.rules(), told, &self.me.name))
    }

    /// All protected columns; those that I may not ask for, without offers.
    fn protected(&self) -> Result<Columns> {
        let mine = self.requestable()?;
        let told: HashSet<_> = mine
            .iter()
            .map(|of| (of.target, of.table, of.column))
            .collect();
        let known = self.known()?;
        let mut others = Columns::default();
        let mut last: Option<(&Policy, usize)> = None;
        for (target, catalog) in &known {
            let fold = self.rules().ignores_column_case(target);
            for of in self.rules().book.ruled(target, fold, catalog) {
                if told.contains(&(target, of.table, of.column)) {
                    continue;
                }
                let place = match last {
                    Some((policy, place)) if std::ptr::eq(policy, of.policy) => place,
                    _ => others.offering(Offering {
                        policy: of.policy.name.clone(),
                        class: of.policy.class.clone(),
                        max: Ttl::ZERO,
                        offers: Vec::new(),
                    }),
                };
                last = Some((of.policy, place));
                others.push(target, of.table, of.column, place);
            }
        }
        let mut all = mine.clone();
        all.append(others);
        Ok(all)
    }

    fn people(&self) -> Result<BTreeSet<String>> {
        let directory = self.rules().people.directory();
        let mut people: BTreeSet<String> = directory
            .groups()
            .iter()
            .flat_map(|group| directory.members(group))
            .collect();
        let entries = self.rules().book.policies().iter().flat_map(|p| &p.entries);
        let named = entries.flat_map(|entry| entry.who.iter().cloned());
        people.extend(named.filter(|who| !who.contains(':')));
        people.extend(self.rows()?.into_iter().map(|row| row.requester));
        Ok(people)
    }

    /// What may be had of the columns that the line names so far; of all that I may ask for where it names none.
    fn asked(&self, line: &Line) -> Result<Vec<Offering>> {
        let all = self.requestable()?;
        let named = match self.target(line) {
            Some(target) => columns::named(&all, &target, line.before()),
            None => Vec::new(),
        };
        let asked: Vec<Requestable<'_>> = if named.is_empty() {
            all.iter().collect()
        } else {
            named
        };
        let mut offerings: Vec<&Offering> = asked.iter().map(|of| of.by).collect();
        offerings.dedup_by(|a, b| std::ptr::eq(*a, *b));
        Ok(offerings.into_iter().cloned().collect())
    }

    fn purposes(&self, line: &Line) -> Result<BTreeSet<String>> {
        let asked = self.asked(line)?;
        let offers = asked.into_iter().flat_map(|of| of.offers);
        Ok(offers.flat_map(|offer| offer.purposes).collect())
    }

    fn durations(&self, line: &Line, current: &str) -> Result<Vec<CompletionCandidate>> {
        let command = line
            .before()
            .iter()
            .skip(1)
            .find(|word| !word.starts_with('-'));
        let longest = match command.map(String::as_str) {
            Some("request") => self.asked(line)?.iter().map(|of| of.max).min(),
            // An approver may shorten only.
            Some("approve") => {
                let given: BTreeSet<&String> = line.before().iter().collect();
                let rows = self.rows()?;
                let named = rows.iter().filter(|row| given.contains(&row.id));
                named.map(|row| row.lease_ttl).min()
            }
            _ => None,
        };
        let fits = |text: &&str| {
            Ttl::parse(text).is_ok_and(|ttl| longest.is_none_or(|longest| ttl <= longest))
        };
        Ok(words(
            DURATIONS.iter().copied().filter(fits).map(str::to_owned),
            current,
        ))
    }

    fn holds(&self, current: &str) -> Result<Vec<CompletionCandidate>> {
        let holds: Vec<(String, String)> = match &self.seen {
            Seen::Ledger(op) => op
                .ledger
                .holds(false)?
                .iter()
                .map(|hold| (hold.number.to_string(), hold.selector.to_string()))
                .collect(),
            // As `workflow::mailbox` words them: `hold 3: …`.
            Seen::Mailbox(..) => (self.told::<PersonView>(Sheet::View).iter())
                .flat_map(|seen| &seen.holds)
                .filter_map(|text| text.strip_prefix("hold ")?.split_once(": "))
                .map(|(number, rest)| (number.to_owned(), rest.to_owned()))
                .collect(),
        };
        Ok(holds
            .into_iter()
            .filter(|(number, _)| number.starts_with(current))
            .map(|(number, help)| helped(number, &ui::escape(&help)))
            .collect())
    }
}

fn row_of_view(view: &RequestView, awaiting: bool, me: &str) -> Row {
    let tables: Vec<String> = view.tables.iter().map(ToString::to_string).collect();
    Row {
        id: view.id.to_string(),
        state: view.state,
        requester: view.requester.clone(),
        grantee: view.grantee.to_string(),
        mine: view.requester == me,
        awaiting,
        lease_ttl: view.lease_ttl,
        help: told(view.state, &view.requester, &tables.join(" "), &view.reason),
    }
}

fn told(state: State, requester: &str, tables: &str, reason: &str) -> String {
    let text = format!("{}, {requester}, {tables}, {reason}", state.word());
    let short: String = text.chars().take(60).collect();
    ui::escape(&short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_events_are_known_by_their_words() {
        let words = event_words();
        assert!(words.contains(&EventKind::Granted.word()), "{words:?}");
        assert!(words.contains(&EventKind::SettingsChanged.word()));
        assert!(words.len() >= 22, "{words:?}");
    }
}
