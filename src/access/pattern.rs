//! PURE. Tables by pattern, for asking a catalog: what a policy's globs mean where SQL has to know it.

use foldhash::{HashSet, HashSetExt};

use super::names::TableName;

/// A name, or an SQL LIKE pattern (escape `\`) of names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamePattern {
    Exact(String),
    Like(String),
}

impl NamePattern {
    /// What all that it matches begins with.
    fn start(&self) -> String {
        let pattern = match self {
            Self::Exact(name) => return name.clone(),
            Self::Like(pattern) => pattern,
        };
        let mut start = String::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' | '_' => break,
                '\\' => start.extend(chars.next()),
                c => start.push(c),
            }
        }
        start
    }

    /// As a LIKE pattern.
    pub fn like(&self) -> String {
        match self {
            Self::Exact(name) => escaped(name),
            Self::Like(pattern) => pattern.clone(),
        }
    }
}

/// Tables, by their schemas' names and their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TablePattern {
    pub schema: NamePattern,
    pub table: NamePattern,
}

impl TablePattern {
    /// Every table.
    pub fn any() -> Self {
        let any = || NamePattern::Like("%".to_owned());
        Self {
            schema: any(),
            table: any(),
        }
    }
}

/// Many of them, for looking through many tables.
pub struct Patterns<'p> {
    exact: HashSet<(&'p str, &'p str)>,
    /// What the names of the schema and of the table begin with.
    loose: Vec<(String, String)>,
}

impl<'p> Patterns<'p> {
    pub fn of(patterns: &'p [TablePattern]) -> Self {
        let mut exact = HashSet::new();
        let mut loose = Vec::new();
        for of in patterns {
            match (&of.schema, &of.table) {
                (NamePattern::Exact(schema), NamePattern::Exact(table)) => {
                    exact.insert((schema.as_str(), table.as_str()));
                }
                (schema, table) => loose.push((schema.start(), table.start())),
            }
        }
        Self { exact, loose }
    }

    /// Whether one of them can match the table. Every table that one matches is among those, and others may be.
    pub fn may_match(&self, table: &TableName) -> bool {
        self.exact
            .contains(&(table.schema.as_str(), table.table.as_str()))
            || self.loose.iter().any(|(schema, name)| {
                table.schema.starts_with(schema.as_str()) && table.table.starts_with(name.as_str())
            })
    }
}

/// A text that LIKE takes for itself.
pub fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_may_match_by_their_names_or_by_what_their_names_begin_with() {
        let exact = |text: &str| NamePattern::Exact(text.into());
        let like = |text: &str| NamePattern::Like(text.into());
        let pattern = |schema, table| TablePattern { schema, table };
        let patterns = [
            pattern(exact("shop"), exact("orders")),
            pattern(exact("shop"), like(r"c\_%s")),
            pattern(like(r"a\%b_c%"), exact("x")),
        ];
        let patterns = Patterns::of(&patterns);
        let may = |schema: &str, table: &str| patterns.may_match(&TableName::new(schema, table));
        assert!(may("shop", "orders"));
        assert!(!may("shop", "orders_old"));
        assert!(may("shop", "c_customers"));
        assert!(may("shop", "c_one"), "matched again by whoever asked");
        assert!(!may("shop", "customers"));
        assert!(may("a%b1c", "x"));
        assert!(!may("axb1c", "x"));
        assert!(!may("SHOP", "orders"), "tables never fold");
        assert!(Patterns::of(&[TablePattern::any()]).may_match(&TableName::new("a", "b")));
    }
}
