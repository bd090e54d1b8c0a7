//! PURE. Who can read what, from the rows of the grant tables.
//!
//! It answers a superset: shadowing by a more exact host, and MySQL's partial revokes (which stand beside password
//! hashes, where our account may not look), are left out, so that nothing that can be read is missed.
//! Source: facts-mysql, "Other paths", findings 6 and 7; MySQL manual 8.2.7, "Access Control, Stage 2".

use std::collections::BTreeSet;

use foldhash::{HashMap, HashSet};

use super::account::{Account, like};
use crate::access::names::lowercase;
use crate::access::{Identity, PrivilegeKey, ShortText, TableName};

/// A row of `mysql.user`.
#[derive(Clone, Debug)]
pub(super) struct UserRow {
    pub(super) account: Account,
    pub(super) select: bool,
    pub(super) grant: bool,
    pub(super) superuser: bool,
    /// MySQL. MariaDB keeps it beside the password hashes, where our account may not look.
    pub(super) locked: bool,
    /// MariaDB. On MySQL a role is an account like any other.
    pub(super) is_role: bool,
}

/// A row of `mysql.db`.
#[derive(Clone, Debug)]
pub(super) struct DatabaseRow {
    pub(super) account: Account,
    /// A pattern, unless partial revokes are on.
    pub(super) database: String,
    pub(super) select: bool,
    pub(super) grant: bool,
}

/// A row of `mysql.tables_priv`.
#[derive(Clone, Debug)]
pub(super) struct TableRow {
    pub(super) grantor: ShortText,
    pub(super) at: ShortText,
    pub(super) select: bool,
    pub(super) grant: bool,
    /// SELECT on some columns: stands beside rows of `columns_priv`, or should.
    pub(super) columns: bool,
}

/// A row of `mysql.columns_priv` with SELECT.
#[derive(Clone, Debug)]
pub(super) struct ColumnRow {
    pub(super) column: ShortText,
    pub(super) at: ShortText,
}

/// Rows of some tables, by table and account.
pub(super) type ByAccount<T> = HashMap<TableName, HashMap<Account, T>>;

/// `role` is granted to `to`, or `to` may act as `role`.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) role: Account,
    pub(super) to: Account,
}

/// The grant tables, as far as some tables are concerned.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    pub(super) users: HashMap<Account, UserRow>,
    /// By user; the empty user means everybody.
    pub(super) databases: HashMap<String, Vec<DatabaseRow>>,
    pub(super) tables: ByAccount<TableRow>,
    pub(super) columns: ByAccount<Vec<ColumnRow>>,
    pub(super) roles: Vec<Edge>,
    pub(super) proxies: Vec<Edge>,
    pub(super) system_users: HashSet<Account>,
    /// MySQL: `mandatory_roles`. They are active at login on 9.7 and are not in `role_edges`.
    pub(super) mandatory: Vec<Account>,
    /// Database names in `databases` are literal.
    pub(super) literal_databases: bool,
    pub(super) mariadb: bool,
}

/// How one account can read one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    /// Every column, in words.
    pub(super) whole: BTreeSet<String>,
    /// Single columns: name in lower case, the privilege's key, in words.
    pub(super) columns: BTreeSet<(ShortText, PrivilegeKey, String)>,
}

impl Ways {
    /// How a column can be read, without the privileges in `ours`.
    pub(super) fn of(&self, column: &str, ours: &dyn Fn(&PrivilegeKey) -> bool) -> Vec<String> {
        let column = lowercase(column);
        let single = self
            .columns
            .iter()
            .filter(|(name, key, _)| *name == column && !ours(key))
            .map(|(_, _, how)| how.clone());
        self.whole.iter().cloned().chain(single).collect()
    }
}

/// The key of a column's row.
pub(super) fn key(table: &TableName, account: &Account, column: &str) -> PrivilegeKey {
    identity(table, account, column).key()
}

pub(super) fn identity(table: &TableName, account: &Account, column: &str) -> Identity {
    Identity::MysqlColumn {
        database: table.schema.clone(),
        table: table.table.clone(),
        column: column.into(),
        user: account.user.clone(),
        host: account.host.clone(),
    }
}

/// Somebody whose rights count for an account, and how to say so.
struct Holder {
    account: Account,
    said: String,
    /// Rights on all databases count too: not those of an account of the same name.
    global: bool,
}

impl Rights {
    /// How an account can read a table, in all ways that the grant tables show.
    pub(super) fn ways(&self, who: &Account, table: &TableName) -> Ways {
        let mut ways = Ways::default();
        for holder in self.holders(who, table) {
            let say = |what: String| {
                if holder.said.is_empty() {
                    what
                } else {
                    format!("{} ({what})", holder.said)
                }
            };
            if holder.global
                && self
                    .users
                    .get(&holder.account)
                    .is_some_and(|user| user.select)
            {
                ways.whole.insert(say("grant on all databases".to_owned()));
            }
            for row in self.database_rows(&holder.account, &table.schema) {
                if row.select {
                    ways.whole.insert(say(format!(
                        "database grant on {}{}",
                        row.database,
                        if row.account.user.is_empty() {
                            " to everybody"
                        } else {
                            ""
                        }
                    )));
                }
            }
            if let Some(row) = self.table_row(table, &holder.account)
                && row.select
            {
                ways.whole
                    .insert(say(format!("table grant by {}", row.grantor)));
            }
            for row in self.column_rows(table, &holder.account) {
                ways.columns.insert((
                    lowercase(&row.column).into(),
                    key(table, &holder.account, &row.column),
                    say(format!("column grant on {}", row.column)),
                ));
            }
        }
        ways
    }

    /// Why an account could hand on what it is given for this table; `None` where it cannot.
    pub(super) fn grant_option(&self, who: &Account, table: &TableName) -> Option<String> {
        self.holders(who, table).into_iter().find_map(|holder| {
            let by = if holder.said.is_empty() {
                String::new()
            } else {
                format!(" by {}", holder.said)
            };
            if holder.global
                && self
                    .users
                    .get(&holder.account)
                    .is_some_and(|user| user.grant)
            {
                return Some(format!("GRANT OPTION on all databases{by}"));
            }
            if let Some(row) = self
                .database_rows(&holder.account, &table.schema)
                .find(|row| row.grant)
            {
                return Some(format!("GRANT OPTION on database {}{by}", row.database));
            }
            self.table_row(table, &holder.account)
                .is_some_and(|row| row.grant)
                .then(|| format!("GRANT OPTION on {table}{by}"))
        })
    }

    /// Whether an account may itself give columns of a table: SELECT and GRANT OPTION that cover it.
    pub(super) fn may_give(&self, who: &Account, table: &TableName) -> bool {
        let ways = self.ways(who, table);
        (!ways.whole.is_empty() || !ways.columns.is_empty())
            && self.grant_option(who, table).is_some()
    }

    /// Those who have an account as their role, or may act as it.
    pub(super) fn members(&self, of: &Account) -> Vec<&Account> {
        self.roles
            .iter()
            .chain(&self.proxies)
            .filter(|edge| edge.role == *of && edge.to != *of)
            .map(|edge| &edge.to)
            .collect()
    }

    /// Other accounts of the same user whose rights count for it, or for which its rights count.
    pub(super) fn namesakes(&self, of: &Account) -> Vec<&Account> {
        let mut found: Vec<_> = self
            .users
            .keys()
            .filter(|other| other.also_serves(of) || of.also_serves(other))
            .collect();
        found.sort();
        found
    }

    /// Roles of an account, with the roles of its roles; mandatory ones and PUBLIC too.
    pub(super) fn roles_of(&self, who: &Account) -> BTreeSet<Account> {
        let mut found = BTreeSet::new();
        let mut open = vec![who.clone()];
        open.extend(self.mandatory.iter().cloned());
        found.extend(self.mandatory.iter().cloned());
        if self.mariadb {
            found.insert(Account::new("PUBLIC", ""));
            open.push(Account::new("PUBLIC", ""));
        }
        while let Some(next) = open.pop() {
            for edge in self.roles.iter().filter(|edge| edge.to == next) {
                if found.insert(edge.role.clone()) {
                    open.push(edge.role.clone());
                }
            }
        }
        found.remove(who);
        found
    }

    fn holders(&self, who: &Account, table: &TableName) -> Vec<Holder> {
        let mut holders = vec![Holder {
            account: who.clone(),
            said: String::new(),
            global: true,
        }];
        holders.extend(self.roles_of(who).into_iter().map(|role| Holder {
            said: role_in_words(&role),
            account: role,
            global: true,
        }));
        let mut namesakes: BTreeSet<Account> = BTreeSet::new();
        let rows = self
            .tables
            .get(table)
            .into_iter()
            .flat_map(HashMap::keys)
            .chain(self.columns.get(table).into_iter().flat_map(HashMap::keys))
            .chain(
                self.databases
                    .get(who.user.as_str())
                    .into_iter()
                    .flatten()
                    .map(|row| &row.account),
            );
        namesakes.extend(rows.filter(|other| other.also_serves(who)).cloned());
        holders.extend(namesakes.into_iter().map(|other| Holder {
            said: format!("{other}, which serves this account too"),
            account: other,
            global: false,
        }));
        for edge in self.proxies.iter().filter(|edge| edge.to == *who) {
            let proxied = edge.role.clone();
            // `''@''` stands for whomever an authentication plugin names; that is root's own row.
            if proxied.user.is_empty() {
                continue;
            }
            for account in self.roles_of(&proxied).into_iter().chain([proxied.clone()]) {
                holders.push(Holder {
                    account,
                    said: format!("as proxy for {proxied}"),
                    global: true,
                });
            }
        }
        holders
    }

    fn database_rows<'r>(
        &'r self,
        who: &'r Account,
        database: &'r str,
    ) -> impl Iterator<Item = &'r DatabaseRow> {
        let own = self
            .databases
            .get(who.user.as_str())
            .into_iter()
            .flatten()
            .filter(move |row| row.account.host == who.host);
        // A row without a user is everybody's, from the hosts that it names.
        let everybodys = self
            .databases
            .get("")
            .into_iter()
            .flatten()
            .filter(move |row| {
                !who.user.is_empty()
                    && (row.account.host == "%"
                        || row.account.host.is_empty()
                        || row.account.host == who.host
                        || like(&row.account.host, &who.host))
            });
        own.chain(everybodys).filter(move |row| {
            row.database == database || (!self.literal_databases && like(&row.database, database))
        })
    }

    pub(super) fn table_row(&self, table: &TableName, who: &Account) -> Option<&TableRow> {
        self.tables.get(table)?.get(who)
    }

    fn column_rows<'r>(
        &'r self,
        table: &TableName,
        who: &Account,
    ) -> impl Iterator<Item = &'r ColumnRow> {
        self.columns
            .get(table)
            .and_then(|accounts| accounts.get(who))
            .into_iter()
            .flatten()
    }
}

fn role_in_words(role: &Account) -> String {
    match (role.user.as_str(), role.host.as_str()) {
        ("PUBLIC", "") => "PUBLIC".to_owned(),
        (user, "") => format!("role {user}"),
        _ => format!("role {role}"),
    }
}

/// Reads `mandatory_roles`: `` r1, `r2`@`%`, 'r3'@'h' ``. A missing host is `%`.
pub(super) fn mandatory_roles(text: &str) -> Vec<Account> {
    let mut roles = Vec::new();
    let mut letters = text.chars().peekable();
    let mut parts = vec![String::new()];
    let finish = |parts: &mut Vec<String>, roles: &mut Vec<Account>| {
        let user = parts[0].trim().to_owned();
        let host = parts.get(1).map_or("%", |host| host.trim());
        if !user.is_empty() {
            roles.push(Account::new(user, host));
        }
        *parts = vec![String::new()];
    };
    while let Some(c) = letters.next() {
        match c {
            '`' | '\'' | '"' => {
                while let Some(inner) = letters.next() {
                    if inner == c {
                        if letters.peek() != Some(&c) {
                            break;
                        }
                        letters.next();
                    }
                    if let Some(part) = parts.last_mut() {
                        part.push(inner);
                    }
                }
            }
            '@' => parts.push(String::new()),
            ',' => finish(&mut parts, &mut roles),
            c => {
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    finish(&mut parts, &mut roles);
    roles
}

#[cfg(test)]
mod tests;
