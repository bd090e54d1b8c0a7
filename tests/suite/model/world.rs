//! PURE. Who may read what: what the people asked for, what the DBA did, and what sweeps must have made of it.
//!
//! A world is one way in which things may stand. A sweep that was killed, or a server that cannot tell whose grant
//! a row is, leaves several; what is then seen on the real server and in the ledger rules out all but the true ones.
//! If none is left, a law is broken.

use std::collections::{BTreeMap, BTreeSet};

use super::step::{ACCOUNTS, COLUMNS, Dba, TABLES};

/// One privilege: account, table, and column (`None`: the whole table). On Postgres by identity, elsewhere by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub account: String,
    pub table: String,
    pub column: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// In a mailbox.
    Handed,
    /// Never became a request.
    Rejected,
    Submitted,
    Pending,
    Approved,
    Granting,
    Active,
    Revoking,
    Ended,
    Refused,
    Denied,
    Cancelled,
    Lapsed,
    Failed,
}

impl State {
    /// As the ledger writes it; empty where there is no such request in it.
    pub fn word(self) -> String {
        match self {
            Self::Handed | Self::Rejected => String::new(),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lease {
    Live {
        /// A DBA has been at this account's rights on the table since.
        touched: bool,
        /// A person decided that it goes.
        settled: bool,
        /// A DBA has granted this very column since it was given: it must not be taken before a person says so.
        doubled: bool,
    },
    Disputed {
        settled: bool,
    },
    Ended,
}

impl Lease {
    fn is_live(&self) -> bool {
        !matches!(self, Self::Ended)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    pub who: usize,
    pub columns: Vec<&'static str>,
    pub minutes: u64,
    pub auto: bool,
    pub extends: Option<usize>,
    pub state: State,
    pub lapses_at: u64,
    pub expires_at: u64,
    /// What the columns were when they were looked at first.
    pub keys: Vec<Key>,
    pub leases: BTreeMap<Key, Lease>,
    /// The grant did not come about.
    pub fails: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    Ask(usize),
    Approve(usize),
    Deny(usize),
    Cancel(usize),
    Return(usize),
    Revoke(usize),
    Stop(u8),
    Resume,
    Settle(usize, bool),
}

impl Act {
    pub fn urgency(&self) -> u8 {
        match self {
            Self::Ask(_) | Self::Resume => 1,
            Self::Approve(_) => 2,
            _ => 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    pub id: String,
    pub columns: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct World {
    pub by_identity: bool,
    /// Minutes.
    pub now: u64,
    next: u32,
    pub accounts: BTreeMap<String, String>,
    pub tables: BTreeMap<String, Table>,
    /// What DBAs gave.
    pub standing: BTreeSet<Key>,
    /// What `jit` gave. Where a row has only a name, the same one may be in both.
    pub ours: BTreeSet<Key>,
    /// Table and column that our grantor may give (Postgres).
    pub grantable: BTreeSet<(String, String)>,
    pub requests: Vec<Request>,
    /// Who handed it in, oldest first.
    pub inbox: Vec<(&'static str, Act)>,
    pub holds: Vec<u8>,
    pub phone: bool,
    pub broken: bool,
}

impl World {
    /// The shop's own state: `customers` with its columns, two accounts that may read nothing of it.
    pub fn new(by_identity: bool) -> Self {
        let mut world = Self {
            by_identity,
            now: 0,
            next: 0,
            accounts: BTreeMap::new(),
            tables: BTreeMap::new(),
            standing: BTreeSet::new(),
            ours: BTreeSet::new(),
            grantable: BTreeSet::new(),
            requests: Vec::new(),
            inbox: Vec::new(),
            holds: Vec::new(),
            phone: true,
            broken: false,
        };
        for account in ACCOUNTS {
            let id = world.identity(account);
            world.accounts.insert(account.to_owned(), id);
        }
        world.dba(&Dba::CreateTable { table: 0 });
        world.set_up();
        world
    }

    fn identity(&mut self, name: &str) -> String {
        self.next += 1;
        if self.by_identity {
            format!("{name}#{}", self.next)
        } else {
            name.to_owned()
        }
    }

    /// Every account, table and column of today, with its privilege.
    pub fn cells(&self) -> Vec<((String, String, String), Key)> {
        let mut cells = Vec::new();
        for (account, account_id) in &self.accounts {
            for (table, inner) in &self.tables {
                for (column, column_id) in &inner.columns {
                    let key = Key {
                        account: account_id.clone(),
                        table: inner.id.clone(),
                        column: Some(column_id.clone()),
                    };
                    cells.push(((account.clone(), table.clone(), column.clone()), key));
                }
            }
        }
        cells
    }

    pub fn readable(&self) -> BTreeSet<(String, String, String)> {
        self.cells()
            .into_iter()
            .filter(|(_, key)| self.ours.contains(key) || self.stands(key))
            .map(|(cell, _)| cell)
            .collect()
    }

    /// Whether a DBA gave this column, alone or with its table.
    pub fn stands(&self, key: &Key) -> bool {
        let whole = Key {
            column: None,
            ..key.clone()
        };
        self.standing.contains(key) || self.standing.contains(&whole)
    }

    pub fn key(&self, account: &str, table: &str, column: Option<&str>) -> Option<Key> {
        let inner = self.tables.get(table)?;
        let column = match column {
            None => None,
            Some(column) => Some(inner.columns.get(column)?.clone()),
        };
        Some(Key {
            account: self.accounts.get(account)?.clone(),
            table: inner.id.clone(),
            column,
        })
    }

    pub fn states(&self) -> Vec<String> {
        self.requests
            .iter()
            .map(|request| request.state.word())
            .collect()
    }

    pub fn disputes(&self) -> bool {
        self.requests
            .iter()
            .flat_map(|request| request.leases.values())
            .any(|lease| matches!(lease, Lease::Disputed { .. }))
    }

    pub fn protects(&self, column: &str) -> bool {
        column == "email" || (column == "phone" && self.phone)
    }

    /// Our grantor may give what the policies name today (Postgres); no more is taken from it here than that.
    fn set_up(&mut self) {
        if let Some(table) = self.tables.get(TABLES[0]) {
            for (name, id) in &table.columns {
                if self.protects(name) {
                    self.grantable.insert((table.id.clone(), id.clone()));
                }
            }
        }
    }

    /// Whether this can be done now; the driver asks before it tries.
    pub fn can(&self, dba: &Dba) -> bool {
        let has = |table: usize, column: usize| {
            self.tables
                .get(TABLES[table])
                .is_some_and(|t| t.columns.contains_key(COLUMNS[column]))
        };
        let there = |table: usize| self.tables.contains_key(TABLES[table]);
        let account = |who: usize| self.accounts.contains_key(ACCOUNTS[who]);
        match dba {
            Dba::Grant { who, table, column } | Dba::Take { who, table, column } => {
                account(*who) && there(*table) && column.is_none_or(|column| has(*table, column))
            }
            Dba::TakeOurs { who, column } => self.by_identity && account(*who) && has(0, *column),
            Dba::GiveAsUs { who, column } => {
                self.by_identity
                    && account(*who)
                    && self
                        .tables
                        .get(TABLES[0])
                        .and_then(|t| {
                            Some((t.id.clone(), t.columns.get(COLUMNS[*column])?.clone()))
                        })
                        .is_some_and(|pair| self.grantable.contains(&pair))
            }
            Dba::RenameColumn { table, from, to } => has(*table, *from) && !has(*table, *to),
            Dba::SwapColumns { table } => has(*table, 0) && has(*table, 1),
            Dba::AddColumn { table, column } => there(*table) && !has(*table, *column),
            Dba::DropColumn { table, column } => has(*table, *column),
            Dba::RenameTable { from, to } => there(*from) && !there(*to),
            Dba::SwapTables => there(0) && there(1),
            Dba::CreateTable { table } => !there(*table),
            Dba::DropTable { table } => there(*table),
            Dba::DropAccount { who } => account(*who),
            Dba::CreateAccount { who } => !account(*who),
            Dba::SwapAccounts => self.by_identity && account(0) && account(1),
            Dba::SetUp => self.by_identity && !self.broken,
        }
    }

    /// What a DBA did. Must be possible.
    pub fn dba(&mut self, dba: &Dba) {
        match dba {
            Dba::Grant { who, table, column } => {
                let column = column.map(|column| COLUMNS[column]);
                if let Some(key) = self.key(ACCOUNTS[*who], TABLES[*table], column) {
                    self.touch(&key);
                    self.double(&key);
                    self.standing.insert(key);
                }
            }
            Dba::Take { who, table, column } => {
                let column = column.map(|column| COLUMNS[column]);
                if let Some(key) = self.key(ACCOUNTS[*who], TABLES[*table], column) {
                    self.touch(&key);
                    let goes = |other: &Key| {
                        other.account == key.account
                            && other.table == key.table
                            && (key.column.is_none() || key.column == other.column)
                    };
                    self.standing.retain(|other| !goes(other));
                    if !self.by_identity {
                        self.ours.retain(|other| !goes(other));
                    }
                    for (own, lease) in self.requests.iter_mut().flat_map(|r| &mut r.leases) {
                        if let Lease::Live { doubled, .. } = lease
                            && goes(own)
                        {
                            *doubled = false;
                        }
                    }
                }
            }
            Dba::TakeOurs { who, column } => {
                if let Some(key) = self.key(ACCOUNTS[*who], TABLES[0], Some(COLUMNS[*column])) {
                    self.ours.remove(&key);
                }
            }
            Dba::GiveAsUs { who, column } => {
                if let Some(key) = self.key(ACCOUNTS[*who], TABLES[0], Some(COLUMNS[*column])) {
                    self.ours.insert(key);
                }
            }
            Dba::RenameColumn { table, from, to } => self.in_table(*table, |world, columns| {
                let Some(id) = columns.remove(COLUMNS[*from]) else {
                    return;
                };
                let id = if world.by_identity {
                    id
                } else {
                    COLUMNS[*to].to_owned()
                };
                columns.insert(COLUMNS[*to].to_owned(), id);
            }),
            Dba::SwapColumns { table } => self.in_table(*table, |world, columns| {
                if world.by_identity
                    && let (Some(a), Some(b)) =
                        (columns.remove(COLUMNS[0]), columns.remove(COLUMNS[1]))
                {
                    columns.insert(COLUMNS[0].to_owned(), b);
                    columns.insert(COLUMNS[1].to_owned(), a);
                }
            }),
            Dba::AddColumn { table, column } => self.in_table(*table, |world, columns| {
                let id = world.identity(COLUMNS[*column]);
                columns.insert(COLUMNS[*column].to_owned(), id);
            }),
            Dba::DropColumn { table, column } => self.in_table(*table, |_, columns| {
                columns.remove(COLUMNS[*column]);
            }),
            Dba::RenameTable { from, to } => {
                if let Some(mut table) = self.tables.remove(TABLES[*from]) {
                    if !self.by_identity {
                        table.id = TABLES[*to].to_owned();
                    }
                    self.tables.insert(TABLES[*to].to_owned(), table);
                }
            }
            Dba::SwapTables => {
                if let (Some(mut a), Some(mut b)) =
                    (self.tables.remove(TABLES[0]), self.tables.remove(TABLES[1]))
                {
                    if !self.by_identity {
                        std::mem::swap(&mut a.id, &mut b.id);
                    }
                    self.tables.insert(TABLES[0].to_owned(), b);
                    self.tables.insert(TABLES[1].to_owned(), a);
                }
            }
            Dba::CreateTable { table } => {
                let id = self.identity(TABLES[*table]);
                let mut columns = BTreeMap::new();
                for column in ["id", "email", "phone"] {
                    let id = self.identity(column);
                    columns.insert(column.to_owned(), id);
                }
                self.tables
                    .insert(TABLES[*table].to_owned(), Table { id, columns });
            }
            Dba::DropTable { table } => {
                self.tables.remove(TABLES[*table]);
            }
            Dba::DropAccount { who } => {
                if let Some(id) = self.accounts.remove(ACCOUNTS[*who]) {
                    self.standing.retain(|key| key.account != id);
                    self.ours.retain(|key| key.account != id);
                }
            }
            Dba::CreateAccount { who } => {
                let id = self.identity(ACCOUNTS[*who]);
                self.accounts.insert(ACCOUNTS[*who].to_owned(), id);
            }
            Dba::SwapAccounts => {
                if let (Some(a), Some(b)) = (
                    self.accounts.remove(ACCOUNTS[0]),
                    self.accounts.remove(ACCOUNTS[1]),
                ) {
                    self.accounts.insert(ACCOUNTS[0].to_owned(), b);
                    self.accounts.insert(ACCOUNTS[1].to_owned(), a);
                }
            }
            Dba::SetUp => self.set_up(),
        }
        self.forget();
    }

    fn in_table(
        &mut self,
        table: usize,
        change: impl FnOnce(&mut Self, &mut BTreeMap<String, String>),
    ) {
        let Some(mut inner) = self.tables.remove(TABLES[table]) else {
            return;
        };
        change(self, &mut inner.columns);
        self.tables.insert(TABLES[table].to_owned(), inner);
    }

    /// A DBA was at an account's rights on a table: what is leased there may be said to be disputed from now on.
    fn touch(&mut self, key: &Key) {
        for lease in self.requests.iter_mut().flat_map(|r| &mut r.leases) {
            if let (own, Lease::Live { touched, .. }) = lease
                && own.account == key.account
                && own.table == key.table
            {
                *touched = true;
            }
        }
    }

    /// A DBA granted the very column that is leased, where a row is not told apart from ours.
    fn double(&mut self, key: &Key) {
        if self.by_identity || !self.ours.contains(key) {
            return;
        }
        for request in &mut self.requests {
            if request.state == State::Active
                && let Some(Lease::Live { doubled, .. }) = request.leases.get_mut(key)
            {
                *doubled = true;
            }
        }
    }

    /// On Postgres a privilege goes with its column or table.
    fn forget(&mut self) {
        if !self.by_identity {
            return;
        }
        let columns: BTreeSet<(&String, &String)> = self
            .tables
            .values()
            .flat_map(|t| t.columns.values().map(move |column| (&t.id, column)))
            .collect();
        let tables: BTreeSet<&String> = self.tables.values().map(|t| &t.id).collect();
        let lives = |key: &Key| match &key.column {
            None => tables.contains(&key.table),
            Some(column) => columns.contains(&(&key.table, column)),
        };
        self.standing.retain(&lives);
        self.ours.retain(&lives);
        self.grantable
            .retain(|(table, column)| columns.contains(&(table, column)));
    }

    pub fn live_lease_on(&self, key: &Key) -> bool {
        self.requests
            .iter()
            .any(|request| request.leases.get(key).is_some_and(Lease::is_live))
    }
}
