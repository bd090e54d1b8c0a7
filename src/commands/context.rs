//! What every command starts from: the settings, who I am, and whether I am an operator here.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;
use foldhash::{HashMap, HashMapExt, HashSet};
use serde::de::DeserializeOwned;

use crate::access::{ColumnName, Now, Person, TableName, TargetName};
use crate::cli::Common;
use crate::engines;
use crate::failure::{Exit, Failure};
use crate::identity::{self, Identity};
use crate::policy::KnownTargets;
use crate::settings::{self, LedgerPlace, Places, Settings, Untrusted};
use crate::stores::mailbox::{self, Mailbox, Mailboxes, Names};
use crate::stores::sqlite::{self, SqliteLedger};
use crate::stores::{Fact, Ledger, Sheet, StoreError};
use crate::ui::Format;
use crate::workflow::mailbox::PersonView;
use crate::workflow::requestable::Columns;
use crate::workflow::view::{self, Protected};
use crate::workflow::{Operator, Rules, clock};
use crate::yaml::Problem;

/// How I reach the ledger.
pub enum Reach {
    /// I may write it.
    Operator(Box<Operator>),
    /// I may not: my mailbox shows what concerns me. The rules are public.
    Mailbox(Box<Rules>),
}

pub struct Context {
    pub format: Format,
    pub settings: Settings,
    pub me: Person,
    pub identity: Identity,
    pub reach: Reach,
    /// Whether it was said that the mailbox is still empty.
    told: Cell<bool>,
}

/// Finds and reads the settings, with a warning where two files could be meant.
pub fn load_settings(common: &Common) -> Result<Settings> {
    let places = Places::of_process(common.config.clone());
    let settings = settings::load(&places).map_err(|error| {
        let mut failure = Failure::new(Exit::Settings, error.to_string());
        failure.hints.extend(error.hints());
        failure
    })?;
    for warning in settings.warnings() {
        crate::ui::note(&format!("warning: {warning}"))?;
    }
    Ok(settings)
}

impl Context {
    /// Everything that a command needs, from the command line.
    ///
    /// # Errors
    /// [`Exit::Settings`] for wrong settings, policies, modes or a ledger that belongs to another settings file.
    pub fn open(common: &Common) -> Result<Self> {
        let context = Self::open_to_take(common)?;
        context.policies_are_read()?;
        Ok(context)
    }

    /// The same for what takes access away or gives it back: policies that cannot be read stop none of it.
    pub fn open_to_take(common: &Common) -> Result<Self> {
        Self::with(common, |settings, rules, me| {
            let LedgerPlace::Sqlite(path) = &settings.ledger;
            Ok(if sqlite::may_operate(path)? {
                Reach::Operator(Box::new(operator(settings, rules, me)?))
            } else {
                // Only operators record them.
                rules.texts.take();
                Reach::Mailbox(Box::new(rules))
            })
        })
    }

    fn policies_are_read(&self) -> Result<()> {
        match self.rules().unread.as_slice() {
            [] => Ok(()),
            unread => Err(Failure::new(Exit::Settings, unread.join("\n"))
                .hint("mend it, then: jit policy check")
                .into()),
        }
    }

    /// The same for what settings and policies alone can answer: no ledger is looked for, so that policies can be
    /// checked wherever they are written.
    pub fn of_rules(common: &Common) -> Result<Self> {
        let context = Self::with(common, |_, rules, _| Ok(Reach::Mailbox(Box::new(rules))))?;
        context.policies_are_read()?;
        Ok(context)
    }

    fn with(
        common: &Common,
        reach: impl FnOnce(&Settings, Rules, Person) -> Result<Reach>,
    ) -> Result<Self> {
        let settings = load_settings(common)?;
        let identity = identity::who_am_i()?;
        let rules = super::rules::read(&settings, common.verbose)?;
        let reach = reach(&settings, rules, identity.person.clone())?;
        Ok(Self {
            format: common.output,
            me: identity.person.clone(),
            identity,
            settings,
            reach,
            told: Cell::new(false),
        })
    }

    /// The end of the process, after which nothing is asked any more. Taking a whole company's policies apart would
    /// cost a tenth of reading them; the system has the memory back in any case.
    pub fn end(self) {
        let rules = match self.reach {
            Reach::Operator(op) => op.rules,
            Reach::Mailbox(rules) => *rules,
        };
        std::mem::forget(rules);
    }

    pub fn now(&self) -> Now {
        clock::now()
    }

    pub fn rules(&self) -> &Rules {
        match &self.reach {
            Reach::Operator(op) => &op.rules,
            Reach::Mailbox(rules) => rules,
        }
    }

    /// # Errors
    /// [`Exit::Refused`] where I am none.
    pub fn operator(&self) -> Result<&Operator> {
        match &self.reach {
            Reach::Operator(op) => Ok(op),
            Reach::Mailbox(_) => Err(self.not_operator("sweep").into()),
        }
    }

    pub fn not_operator(&self, what: &str) -> Failure {
        let LedgerPlace::Sqlite(path) = &self.settings.ledger;
        if path.parent().is_some_and(|folder| !folder.exists()) {
            return Failure::new(
                Exit::Unreachable,
                format!("there is no ledger at {}", path.display()),
            )
            .hint("make it: jit ledger init");
        }
        Failure::new(
            Exit::Refused,
            format!(
                "{} is no operator of {} and may not {what}",
                self.me,
                path.display()
            ),
        )
        .hint(match path.parent().and_then(identity::group_of) {
            Some(group) => {
                format!("operators are root and the members of its group, {group}; you are: id")
            }
            None => "operators are who may write that folder: jit doctor".to_owned(),
        })
    }

    pub fn target_names(&self) -> Vec<&TargetName> {
        self.rules().targets.keys().collect()
    }

    /// What operators last put into my mailbox; `None` before the first time.
    pub fn mailbox_view(&self) -> Result<Option<PersonView>> {
        let view = self.mailbox_as_it_is()?;
        if view.is_none() && !self.told.replace(true) {
            crate::ui::note(
                "Nothing has been put into your mailbox yet; the next sweep does that.",
            )?;
        }
        Ok(view)
    }

    /// The same, without a word where there is none.
    pub fn mailbox_as_it_is(&self) -> Result<Option<PersonView>> {
        // Not cached: who waits looks again and again.
        self.sheet(Sheet::View)
    }

    /// The columns that operators told me I may ask for; none before the first time, and where I am an operator.
    pub fn told_columns(&self) -> Result<Columns> {
        match &self.reach {
            Reach::Operator(_) => Ok(Columns::default()),
            Reach::Mailbox(_) => Ok(self.sheet(Sheet::Columns)?.unwrap_or_default()),
        }
    }

    fn sheet<T: DeserializeOwned>(&self, sheet: Sheet) -> Result<Option<T>> {
        let inbox = self.settings.inbox.clone();
        // One's first command makes the mailbox, so that the next sweep has somewhere to put things.
        let view = self.as_myself(move || Mailbox::open_or_make(&inbox)?.sheet(sheet))?;
        let Some(view) = view else {
            return Ok(None);
        };
        match serde_json::from_slice(&view.bytes) {
            Ok(sheet) => Ok(Some(sheet)),
            Err(error) => Err(Failure::new(
                Exit::Failed,
                format!("what operators put into your mailbox cannot be read: {error}"),
            )
            .hint("is this the same jit as theirs? jit --version")
            .into()),
        }
    }

    /// Behind sudo the mailbox is the person's own, and the kernel must see the person.
    fn as_myself<T: Send>(
        &self,
        act: impl FnOnce() -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        if !self.identity.behind_sudo {
            return act();
        }
        let uid = self.me.uid;
        let (gid, groups) = identity::groups_of(uid).ok_or_else(|| StoreError::Unwritable {
            path: format!("the mailbox of uid {uid}"),
            why: "that user has no groups on this host".into(),
        })?;
        mailbox::as_person(&mailbox::Credentials { uid, gid, groups }, act)
    }

    /// Drops a submission into my mailbox; its digest.
    pub fn deposit(&self, bytes: &[u8]) -> Result<String> {
        let inbox = self.settings.inbox.clone();
        let receipt = self.as_myself(move || Mailbox::open_or_make(&inbox)?.submit(bytes))?;
        Ok(receipt.digest)
    }

    /// How many submissions wait in the inbox for a sweep, as far as I may see it.
    pub fn waiting(&self) -> Result<usize> {
        match &self.reach {
            Reach::Operator(op) => Ok(op.inbox.deposits(1000)?.len()),
            Reach::Mailbox(_) => Ok(0),
        }
    }

    /// The protected columns that this person may ask for. An operator who has none yet looks at the targets; anybody
    /// else, and where a target is away, takes those that the policies spell out: they are public.
    pub async fn columns_of(&self, user: &str) -> Result<Columns> {
        match &self.reach {
            Reach::Mailbox(rules) => {
                let told = match user == self.me.name {
                    true => self.told_columns()?,
                    false => Columns::default(),
                };
                Ok(with_spelled_out(rules, told, user))
            }
            Reach::Operator(op) => {
                let mut known = view::known_columns(op)?;
                for (name, address) in &op.rules.targets {
                    if known.contains_key(name) {
                        continue;
                    }
                    if let Ok(mut engine) = engines::connect(address).await
                        && let Ok(catalog) = engine.catalog(&op.rules.book.tables(name)).await
                    {
                        known.insert(name.clone(), catalog);
                    }
                }
                let unknown = |name: &TargetName| !known.contains_key(name);
                known.append(&mut spelled_out(&op.rules, unknown));
                Ok(view::columns(&op.rules, &known, user))
            }
        }
    }

    /// The protected columns of a target, whoever may ask for them, beside those that I was told of: for filling in
    /// names only. Of tables with these bare names, or of all where none has one.
    pub fn protected(
        &self,
        target: &TargetName,
        named: &[&str],
        told: &Columns,
    ) -> Result<BTreeMap<TableName, Vec<ColumnName>>> {
        let rules = self.rules();
        let mut known = Protected::new();
        if let Reach::Operator(op) = &self.reach {
            known = view::known_columns(op)?;
        }
        let mut known = match known.remove(target) {
            Some(observed) => observed,
            None => spelled_out(rules, |of| of == target)
                .remove(target)
                .unwrap_or_default(),
        };
        let is_named = |table: &TableName| named.contains(&table.table.as_str());
        let here = || told.tables().filter(|(of, _)| *of == target);
        let known_names = known.iter().map(|(table, _)| table);
        let some = known_names
            .chain(here().map(|(_, table)| table))
            .any(is_named);
        let wanted = |table: &TableName| !some || is_named(table);
        known.retain(|(table, _)| wanted(table));
        let mut tables: BTreeMap<TableName, Vec<ColumnName>> = BTreeMap::new();
        for (_, table) in here().filter(|(_, table)| wanted(table)) {
            let columns = told.of(target, table).map(|of| of.column.clone());
            tables.insert(table.clone(), columns.collect());
        }
        let fold = rules.ignores_column_case(target);
        for of in rules.book.ruled(target, fold, &known) {
            let columns = tables.entry(of.table.clone()).or_default();
            if !columns.contains(of.column) {
                columns.push(of.column.clone());
            }
        }
        Ok(tables)
    }

    /// What lint says of policies and settings.
    pub fn lint(&self) -> Vec<Problem> {
        let rules = self.rules();
        rules
            .book
            .check(rules.people.directory(), &self.known_targets())
    }

    pub fn known_targets(&self) -> KnownTargets {
        self.settings.target_kinds()
    }

    /// Files that others could change.
    pub fn untrusted(&self) -> Vec<Untrusted> {
        let LedgerPlace::Sqlite(path) = &self.settings.ledger;
        settings::untrusted(&self.settings, &trusted(path))
    }
}

/// The columns that policies of these targets name without wildcards: what can be known of a target that nobody has
/// looked at.
pub(super) fn spelled_out(rules: &Rules, wanted: impl Fn(&TargetName) -> bool) -> Protected {
    let mut known = Protected::new();
    let mut places: HashMap<(TargetName, TableName), usize> = HashMap::new();
    for policy in (rules.book.policies().iter()).filter(|policy| wanted(&policy.target)) {
        let (Some(schema), Some(table)) = (
            policy.table.schema.as_exact(),
            policy.table.table.as_exact(),
        ) else {
            continue;
        };
        let table = TableName::new(schema, table);
        let tables = known.entry(policy.target.clone()).or_default();
        let place = *places
            .entry((policy.target.clone(), table.clone()))
            .or_insert_with(|| {
                tables.push((table, Vec::new()));
                tables.len() - 1
            });
        let columns = &mut tables[place].1;
        for name in policy.columns.iter().filter_map(|column| column.as_exact()) {
            let name = ColumnName(name.into());
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    known
}

/// What somebody was told, and those of [`spelled_out`] that they may ask for besides: of targets that nobody has
/// looked at, and, where not all columns fitted into the mailbox, of other tables.
pub(super) fn with_spelled_out(rules: &Rules, mut told: Columns, user: &str) -> Columns {
    let looked_at: BTreeSet<&TargetName> = told.tables().map(|(target, _)| target).collect();
    let mut spelled = spelled_out(rules, |target| {
        told.left_out > 0 || !looked_at.contains(target)
    });
    let tables: HashSet<(&TargetName, &TableName)> = told.tables().collect();
    for (target, catalog) in &mut spelled {
        catalog.retain(|(table, _)| !tables.contains(&(target, table)));
    }
    let more = view::columns(rules, &spelled, user);
    told.left_out = told.left_out.saturating_sub(more.iter().count());
    told.append(more);
    told
}

/// Root, and who owns the ledger.
fn trusted(ledger: &std::path::Path) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt;
    let mut uids = vec![0];
    if let Ok(metadata) = std::fs::metadata(ledger) {
        uids.push(metadata.uid());
    }
    uids
}

/// Opens the ledger as its operator.
fn operator(settings: &Settings, rules: Rules, me: Person) -> Result<Operator> {
    let LedgerPlace::Sqlite(path) = &settings.ledger;
    let untrusted = settings::untrusted(settings, &trusted(path));
    if let Some(first) = untrusted.first() {
        return Err(Failure::new(
            Exit::Settings,
            format!("{} cannot be trusted: {}", first.path.display(), first.why),
        )
        .hint(first.cure.clone())
        .into());
    }
    let ledger = SqliteLedger::open(path)?;
    belongs(&ledger, settings)?;
    Ok(Operator {
        inbox: Box::new(Mailboxes::open(
            &settings.inbox,
            Names {
                name_of: Box::new(identity::name_of),
                local: Box::new(identity::local_uids),
            },
        )?),
        audit: settings.audit.clone(),
        ledger: Box::new(ledger),
        rules,
        shares: RefCell::default(),
        me,
    })
}

/// A ledger belongs to one settings file: an operator that comes with another would revoke and grant by other rules.
fn belongs(ledger: &dyn Ledger, settings: &Settings) -> Result<()> {
    let mine = canonical(&settings.path);
    match ledger.fact(Fact::SettingsPath)? {
        Some(theirs) if theirs != mine => Err(Failure::new(
            Exit::Settings,
            format!("this ledger belongs to the settings {theirs}, not to {mine}"),
        )
        .hint(format!("jit --config {theirs} …"))
        .hint("if it has moved: jit ledger adopt")
        .into()),
        _ => Ok(()),
    }
}

/// The path by which a ledger remembers its settings.
pub fn canonical(path: &std::path::Path) -> String {
    std::fs::canonicalize(path)
        .unwrap_or_else(|_| PathBuf::from(path))
        .display()
        .to_string()
}
