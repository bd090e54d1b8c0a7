//! What these servers cannot keep, said before it is approved.

use std::collections::BTreeSet;

use super::account::Account;
use super::survey::Look;
use crate::access::{Privilege, TableName};

impl Look<'_> {
    /// What these servers cannot keep. Sources: facts-mysql, findings 4, 5 and 6, "To read a granted column".
    pub(super) fn caveats(
        &self,
        account: &Account,
        tables: &BTreeSet<TableName>,
        privileges: &[Privilege],
    ) -> Vec<String> {
        let mut caveats = Vec::new();
        for table in tables {
            if self.server.is_mariadb() {
                caveats.push(format!(
                    "MariaDB shows whole rows of {table}, every column, to anybody who has one of its columns: by \
                     HANDLER … READ. A handler that is open goes on reading after the privilege is gone, until its \
                     session ends."
                ));
            }
            caveats.push(format!(
                "NATURAL JOIN and USING are not checked: whoever has one column of {table} can test guesses at the \
                 others."
            ));
            for other in self.rights.namesakes(account) {
                if account.also_serves(other) {
                    caveats.push(format!(
                        "Sessions of {other} get these columns of {table} too: the server takes grants to {account} \
                         for both."
                    ));
                } else if self.rights.table_row(table, other).is_some() {
                    caveats.push(format!(
                        "While this lasts, {account} may lose what {other} has on {table}: the server looks at the \
                         more exact host only."
                    ));
                }
            }
        }
        for privilege in privileges {
            if let (Some(table), Some(column)) = (privilege.named.table(), privilege.named.column())
                && let Some(expression) = self
                    .shapes
                    .get(table)
                    .and_then(|shape| shape.column(&column.0))
                    .and_then(|column| column.generated.as_deref())
            {
                caveats.push(format!(
                    "{table}:{column} is made from other columns and shows what is in them: {expression}."
                ));
            }
        }
        if self.rights.users.keys().any(|other| other.user.is_empty()) {
            caveats.push(format!(
                "The server has an anonymous account: a login as {account} may end as that one, without these \
                 columns."
            ));
        }
        caveats
    }
}
