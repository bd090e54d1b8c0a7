//! PURE. Tables by pattern, for asking a catalog: what a policy's globs mean where SQL has to know it.

/// A name, or an SQL LIKE pattern (escape `\`) of names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamePattern {
    Exact(String),
    Like(String),
}

impl NamePattern {
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
