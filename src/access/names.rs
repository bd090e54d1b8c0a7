//! Names as the catalog stores them: exact spelling, no folding, no quoting.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::syntax;
use super::text::one_text;

/// A text that is short nearly always, as names are: up to 24 bytes need no room of their own. A sweep of thousands of
/// leases reads, copies and compares some twenty of them a lease.
pub use compact_str::CompactString as ShortText;

/// A text that thousands of leases share, and that is too long to lie in each of them.
pub type SharedText = Arc<str>;

/// As `str::to_lowercase`, without a copy of what is so already.
pub fn lowercase(text: &str) -> Cow<'_, str> {
    let is_lower = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    match text.bytes().all(is_lower) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.to_lowercase()),
    }
}

/// Whether they are equal in lower case: as MySQL and MariaDB compare columns and hosts.
pub fn same_but_for_case(a: &str, b: &str) -> bool {
    match a.is_ascii() && b.is_ascii() {
        true => a.eq_ignore_ascii_case(b),
        false => a.to_lowercase() == b.to_lowercase(),
    }
}

/// The name of a target in the settings file, for example `shop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetName(pub ShortText);

/// A column's name, exactly as the catalog spells it.
///
/// MySQL compares columns without case but stores privileges with it
/// (facts-mysql, finding 1), so the spelling is kept everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnName(pub ShortText);

/// A database account as its engine writes it: `alice` on Postgres, `alice@%` on MySQL and MariaDB.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grantee(pub ShortText);

impl Grantee {
    /// User and host of a MySQL account; the host starts behind the *last* `@`, and is `%` where there is none.
    pub fn user_and_host(&self) -> (&str, &str) {
        self.0.rsplit_once('@').unwrap_or((&self.0, "%"))
    }
}

/// `schema.table` on Postgres, `database.table` on MySQL and MariaDB.
///
/// Its text form quotes what needs quoting (`"My Shop"."Order"`), and parses back to the same value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    pub schema: ShortText,
    pub table: ShortText,
}

impl TableName {
    pub fn new(schema: impl Into<ShortText>, table: impl Into<ShortText>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&syntax::quoted_if_odd(&self.schema))?;
        f.write_str(".")?;
        f.write_str(&syntax::quoted_if_odd(&self.table))
    }
}

impl FromStr for TableName {
    type Err = syntax::SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::parse_table(text)
    }
}

one_text!(TableName);

macro_rules! shown_as_is {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
    )*};
}
shown_as_is!(TargetName, ColumnName, Grantee);

/// Some columns of one table. Columns are in the order they were asked for, without doubles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableColumns {
    pub table: TableName,
    pub columns: Vec<ColumnName>,
}

impl fmt::Display for TableColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.table)?;
        for (place, column) in self.columns.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}", syntax::quoted_if_odd(&column.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_in_lower_case_is_the_same() {
        let texts = [
            "", "ssn", "SSN", "Ssn", "K", "k", "\u{212a}", "straße", "STRAẞE", "strasse",
        ];
        for a in texts {
            assert_eq!(lowercase(a), a.to_lowercase());
            for b in texts {
                assert_eq!(
                    same_but_for_case(a, b),
                    a.to_lowercase() == b.to_lowercase(),
                    "{a} {b}"
                );
            }
        }
    }
}
