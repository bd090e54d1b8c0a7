//! One component of a policy's names: a schema, a table or a column, exact or with wildcards.
//!
//! `*` stands for any characters, `?` for one. A name in double quotes (or backticks) is exact whatever it holds,
//! as on the command line (`access::syntax`). Nothing folds; where a target compares columns without case, the
//! caller says so. The matching is our own because the crate for it knows no escapes, and because the same tokens
//! must answer what two patterns have in common; a test holds it against that crate.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

use crate::access::ShortText;
use crate::access::pattern::{self, NamePattern, TablePattern};
use crate::access::syntax::{self, TypedColumns};

/// Whether letters of either case are the same letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Schemas and tables everywhere, columns on Postgres.
    Exact,
    /// Columns on MySQL and MariaDB.
    Ignored,
}

impl Case {
    pub fn ignored_if(ignored: bool) -> Self {
        if ignored { Self::Ignored } else { Self::Exact }
    }

    /// One letter as it is compared.
    pub(super) fn fold(self, c: char) -> char {
        match self {
            Self::Exact => c,
            // The first letter of the mapping only: a comparison must not change the number of characters.
            Self::Ignored => c.to_lowercase().next().unwrap_or(c),
        }
    }
}

/// A name as it is compared without case: the key of an index.
pub(super) fn folded(name: &str) -> Cow<'_, str> {
    let is_folded = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    match name.bytes().all(is_folded) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.chars().map(|c| Case::Ignored.fold(c)).collect()),
    }
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Token {
    Char(char),
    One,
    Many,
}

/// How exact a pattern is: no wildcard beats a wildcard; then more literal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exactness {
    whole: bool,
    literals: usize,
}

/// An exact name or a pattern of names. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    /// The name itself, or the pattern as written.
    text: ShortText,
    /// `None` for an exact name.
    tokens: Option<Box<[Token]>>,
}

impl Glob {
    /// Reads one component.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(['"', '`']) || !text.contains(['*', '?']) {
            return Ok(Self::exact(exact_name(text)?));
        }
        // The rest of a pattern must be as plain as a bare name; stand-ins for the wildcards let the one reader of
        // names decide it.
        let plain = text.replace(['*', '?'], "x");
        exact_name(&plain).map_err(|why| {
            format!("{text:?} is no pattern: {why}; wildcards stand outside of quotes")
        })?;
        let mut tokens: Vec<Token> = text
            .chars()
            .map(|c| match c {
                '*' => Token::Many,
                '?' => Token::One,
                c => Token::Char(c),
            })
            .collect();
        tokens.dedup_by(|a, b| *a == Token::Many && *b == Token::Many);
        Ok(Self {
            text: text.into(),
            tokens: Some(tokens.into()),
        })
    }

    /// The pattern that only this name matches.
    pub fn exact(name: impl Into<ShortText>) -> Self {
        Self {
            text: name.into(),
            tokens: None,
        }
    }

    /// The name, where there is no wildcard.
    pub fn as_exact(&self) -> Option<&str> {
        self.tokens.is_none().then_some(self.text.as_str())
    }

    pub fn is_exact(&self) -> bool {
        self.tokens.is_none()
    }

    pub fn exactness(&self) -> Exactness {
        match &self.tokens {
            None => Exactness {
                whole: true,
                literals: self.text.chars().count(),
            },
            Some(tokens) => Exactness {
                whole: false,
                literals: tokens
                    .iter()
                    .filter(|token| matches!(token, Token::Char(_)))
                    .count(),
            },
        }
    }

    pub fn matches(&self, name: &str, case: Case) -> bool {
        match &self.tokens {
            None => {
                self.text == name
                    || (case == Case::Ignored
                        && self
                            .text
                            .chars()
                            .map(|c| case.fold(c))
                            .eq(name.chars().map(|c| case.fold(c))))
            }
            Some(tokens) => wild(tokens, name, case),
        }
    }

    /// What every name that matches begins with.
    pub(super) fn literal_start(&self) -> &str {
        match &self.tokens {
            None => &self.text,
            Some(_) => self.text.split(['*', '?']).next().unwrap_or(""),
        }
    }

    /// What a catalog is asked for. `?` becomes `%`: a server may count bytes where this counts characters, and whoever
    /// asks matches again.
    fn for_catalog(&self) -> NamePattern {
        let Some(tokens) = &self.tokens else {
            return NamePattern::Exact(self.text.to_string());
        };
        let of = |token: &Token| match token {
            Token::Char(c) => pattern::escaped(c.encode_utf8(&mut [0; 4])),
            Token::One | Token::Many => "%".to_owned(),
        };
        NamePattern::Like(tokens.iter().map(of).collect())
    }

    /// A name that matches: the shortest, with `filler` for each `*` and its first letter for each `?`.
    pub fn sample(&self, filler: &str) -> String {
        let Some(tokens) = &self.tokens else {
            return self.text.to_string();
        };
        let mut name = String::new();
        for token in tokens {
            match token {
                Token::Char(c) => name.push(*c),
                Token::One => name.push(filler.chars().next().unwrap_or('x')),
                Token::Many => name.push_str(filler),
            }
        }
        if name.is_empty() { "x".into() } else { name }
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        match &self.tokens {
            None => self.text.chars().map(Token::Char).collect(),
            Some(tokens) => tokens.to_vec(),
        }
    }
}

/// Reads one exact name, quoted or bare, by the reader of the command line.
fn exact_name(text: &str) -> Result<String, String> {
    match syntax::parse_columns(&format!("t:{text}")) {
        Ok((_, TypedColumns::Named(names))) => match <[String; 1]>::try_from(names) {
            Ok([name]) => Ok(name),
            Err(_) => Err(format!("{text:?} is more than one name")),
        },
        Ok((_, TypedColumns::All)) => Ok("*".into()),
        Err(_) if text.is_empty() => Err("a name is missing".into()),
        Err(_) => Err(format!(
            "{text:?} is not one name; put odd names in double quotes inside of single ones: '\"e,mail\"'"
        )),
    }
}

/// Whether the tokens match the whole name: greedy, going back to the last `*` only.
fn wild(tokens: &[Token], name: &str, case: Case) -> bool {
    let mut at = 0;
    let mut rest = name.chars();
    let mut back: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let mut ahead = rest.clone();
        match (tokens.get(at), ahead.next()) {
            (Some(Token::Many), _) => {
                at += 1;
                back = Some((at, rest.clone()));
                continue;
            }
            (Some(Token::One), Some(_)) => {
                at += 1;
                rest = ahead;
                continue;
            }
            (Some(Token::Char(c)), Some(n)) if case.fold(*c) == case.fold(n) => {
                at += 1;
                rest = ahead;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((after, tail)) = &mut back else {
            return false;
        };
        if tail.next().is_none() {
            return false;
        }
        at = *after;
        rest = tail.clone();
    }
}

impl fmt::Display for Glob {
    /// As it is written in a policy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tokens {
            None => f.pad(&syntax::quoted_if_odd(&self.text)),
            Some(_) => f.pad(&self.text),
        }
    }
}

/// `schema.table`, each exact or with wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableGlob {
    pub schema: Glob,
    pub table: Glob,
}

impl TableGlob {
    /// Reads `schema.table`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let dot = outside_quotes(text, '.')
            .ok_or_else(|| format!("{text:?} names no schema (or database); write schema.table"))?;
        if outside_quotes(&text[dot + 1..], '.').is_some() {
            return Err(format!(
                "{text:?} has more than two parts; write schema.table"
            ));
        }
        Ok(Self {
            schema: Glob::parse(&text[..dot])?,
            table: Glob::parse(&text[dot + 1..])?,
        })
    }

    pub fn matches(&self, table: &crate::access::TableName) -> bool {
        self.schema.matches(&table.schema, Case::Exact)
            && self.table.matches(&table.table, Case::Exact)
    }

    /// What a catalog is asked for, so that all tables that match are among the answers.
    pub fn for_catalog(&self) -> TablePattern {
        TablePattern {
            schema: self.schema.for_catalog(),
            table: self.table.for_catalog(),
        }
    }
}

impl fmt::Display for TableGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

fn outside_quotes(text: &str, wanted: char) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == wanted => return Some(at),
            None if matches!(c, '"' | '`') => quote = Some(c),
            None => {}
        }
    }
    None
}

struct TextVisitor<T>(&'static str, fn(&str) -> Result<T, String>);

impl<T> de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("a name", Self::parse))
    }
}

impl<'de> Deserialize<'de> for TableGlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("schema.table", Self::parse))
    }
}

impl JsonSchema for Glob {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "A name, or a pattern with * (any characters) and ? (one). In double quotes, exactly that name.",
            "examples": ["email", "*_email", "\"e,mail\""],
        })
    }
}

impl JsonSchema for TableGlob {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Table".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 3,
            "description": "schema.table on Postgres, database.table on MySQL; each part may have wildcards.",
            "examples": ["public.customers", "public.*", "\"My Shop\".\"Order\""],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    #[test]
    fn wildcards_match_as_people_expect() {
        for (pattern, yes, no) in [
            (
                "email",
                vec!["email"],
                vec!["Email", "e-mail", "email2", ""],
            ),
            ("*", vec!["a", "a.b", "*"], vec![]),
            (
                "*_email",
                vec!["home_email", "_email"],
                vec!["email", "home_email2"],
            ),
            (
                "c?st*",
                vec!["cust", "customers"],
                vec!["cst", "cost_"[..2].into()],
            ),
            ("a**b", vec!["ab", "axb"], vec!["a", "b"]),
        ] {
            for name in yes {
                assert!(glob(pattern).matches(name, Case::Exact), "{pattern} {name}");
            }
            for name in no {
                assert!(
                    !glob(pattern).matches(name, Case::Exact),
                    "{pattern} {name}"
                );
            }
        }
    }

    #[test]
    fn case_counts_only_where_it_is_said() {
        assert!(!glob("SSN").matches("ssn", Case::Exact));
        assert!(glob("SSN").matches("ssn", Case::Ignored));
        assert!(glob("*_NR").matches("card_nr", Case::Ignored));
    }

    #[test]
    fn quoted_names_are_exact_whatever_they_hold() {
        assert_eq!(glob(r#""a*b""#).as_exact(), Some("a*b"));
        assert_eq!(glob("`we``ird`").as_exact(), Some("we`ird"));
        assert!(!glob(r#""*""#).matches("x", Case::Exact));
        assert_eq!(glob(r#""a*b""#).to_string(), r#""a*b""#);
        assert_eq!(glob("a*b").to_string(), "a*b");
    }

    #[test]
    fn bad_names_are_refused() {
        for text in [
            "", "a b", "a,b", "a:b", "a.b", r#""a"#, r#""a"b"#, r#""a"*"#, "a b*", "'a'",
        ] {
            assert!(Glob::parse(text).is_err(), "{text:?} was read");
        }
        for text in ["customers", "a.b.c", "a.", ".b", "\"a.b\"", "a b.c"] {
            assert!(TableGlob::parse(text).is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn table_patterns_split_at_the_dot_outside_of_quotes() {
        let table = TableGlob::parse(r#""a.b".*"#).unwrap();
        assert_eq!(table.schema.as_exact(), Some("a.b"));
        assert!(table.matches(&crate::access::TableName::new("a.b", "x.y")));
    }

    #[test]
    fn no_wildcard_beats_a_wildcard_then_more_letters_do() {
        assert!(glob("id").exactness() > glob("customer_*").exactness());
        assert!(glob("ema*").exactness() > glob("e*").exactness());
        assert_eq!(glob("*ema").exactness(), glob("em?a").exactness());
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_crate(pattern in "[ab?*]{1,8}", name in "[ab]{0,10}") {
            let ours = glob(&pattern).matches(&name, Case::Exact);
            prop_assert_eq!(ours, wildmatch::WildMatch::new(&pattern).matches(&name));
        }

        #[test]
        fn a_sample_matches(pattern in "[aB?*]{1,8}", filler in "[cd]{0,3}") {
            let glob = glob(&pattern);
            prop_assert!(glob.matches(&glob.sample(&filler), Case::Exact));
        }

        #[test]
        fn what_is_shown_reads_back(name in "[^\0]{1,12}") {
            let exact = Glob::exact(name);
            prop_assert_eq!(glob(&exact.to_string()), exact);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = Glob::parse(&text);
            let _ = TableGlob::parse(&text);
        }
    }
}
