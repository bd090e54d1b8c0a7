//! The column syntax of the command line: `TABLE:COL,COL`, with `"` (or `` ` ``) around odd names.

use std::borrow::Cow;

use super::names::TableName;

/// A text that is not a table or a list of columns. It names the text and what was expected at which place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {text:?} as {wanted}: {why}")]
pub struct SyntaxError {
    pub text: String,
    pub wanted: &'static str,
    pub why: String,
}

/// What a person typed for a table: the schema may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedTable {
    pub schema: Option<String>,
    pub table: String,
}

/// What a person typed for columns: names, or `*` for all that may be requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypedColumns {
    All,
    Named(Vec<String>),
}

/// The longest text that is looked at, in bytes. The server's limit of arguments is far above; nobody types this.
const LONGEST: usize = 64 * 1024;

/// Reads `TABLE:COL,COL` or `TABLE:*`.
///
/// Names are taken exactly as typed: nothing folds. Inside quotes the quote is doubled to mean itself.
pub fn parse_columns(text: &str) -> Result<(TypedTable, TypedColumns), SyntaxError> {
    const WANTED: &str = "TABLE:COLUMN,COLUMN";
    let mut reader = Reader::new(text, WANTED)?;
    let table = reader.table()?.typed();
    reader.expect(':')?;
    if reader.rest() == "*" {
        return Ok((table, TypedColumns::All));
    }
    let mut columns = vec![reader.name()?.into_owned()];
    while !reader.at_end() {
        reader.expect(',')?;
        let next = reader.name()?.into_owned();
        if columns.contains(&next) {
            return Err(reader.error(format!("column {next:?} is named twice")));
        }
        columns.push(next);
    }
    Ok((table, TypedColumns::Named(columns)))
}

/// Reads `schema.table` or `table`.
pub fn parse_typed_table(text: &str) -> Result<TypedTable, SyntaxError> {
    let mut reader = Reader::new(text, "a table")?;
    let table = reader.table()?;
    reader.end()?;
    Ok(table.typed())
}

/// Reads `schema.table`; both parts are needed.
pub fn parse_table(text: &str) -> Result<TableName, SyntaxError> {
    const WANTED: &str = "schema.table";
    let mut reader = Reader::new(text, WANTED)?;
    let read = reader.table()?;
    reader.end()?;
    match read.schema {
        Some(schema) => Ok(TableName::new(schema, read.table)),
        None => Err(reader.error("the schema (or database) is missing".into())),
    }
}

/// The name as it must be typed: bare where that reads back, otherwise in double quotes.
pub fn quoted_if_odd(name: &str) -> Cow<'_, str> {
    let bare = !name.is_empty() && name != "*" && name.chars().all(is_bare);
    match bare {
        true => Cow::Borrowed(name),
        false => Cow::Owned(format!("\"{}\"", name.replace('"', "\"\""))),
    }
}

fn is_bare(c: char) -> bool {
    !matches!(c, '.' | ':' | ',' | '"' | '`' | '*' | '?' | '\'' | '\\')
        && !c.is_whitespace()
        && !c.is_control()
}

/// A table as it stands in the text.
struct ReadTable<'t> {
    schema: Option<Cow<'t, str>>,
    table: Cow<'t, str>,
}

impl ReadTable<'_> {
    fn typed(self) -> TypedTable {
        TypedTable {
            schema: self.schema.map(Cow::into_owned),
            table: self.table.into_owned(),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    wanted: &'static str,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, wanted: &'static str) -> Result<Self, SyntaxError> {
        if text.len() > LONGEST {
            return Err(SyntaxError {
                text: text.chars().take(40).collect::<String>() + "…",
                wanted,
                why: format!("it is {} bytes long", text.len()),
            });
        }
        Ok(Self {
            text,
            at: 0,
            wanted,
        })
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn error(&self, why: String) -> SyntaxError {
        SyntaxError {
            text: self.text.to_owned(),
            wanted: self.wanted,
            why,
        }
    }

    fn place(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn expect(&mut self, wanted: char) -> Result<(), SyntaxError> {
        match self.rest().chars().next() {
            Some(c) if c == wanted => {
                self.at += c.len_utf8();
                Ok(())
            }
            Some(c) => Err(self.error(format!(
                "{wanted:?} was expected at character {}, not {c:?}",
                self.place()
            ))),
            None => Err(self.error(format!("it ends where {wanted:?} was expected"))),
        }
    }

    fn end(&self) -> Result<(), SyntaxError> {
        match self.rest().chars().next() {
            None => Ok(()),
            Some(c) => Err(self.error(format!("{c:?} at character {} is too much", self.place()))),
        }
    }

    fn table(&mut self) -> Result<ReadTable<'t>, SyntaxError> {
        let first = self.name()?;
        if !self.rest().starts_with('.') {
            return Ok(ReadTable {
                schema: None,
                table: first,
            });
        }
        self.at += 1;
        let table = self.name()?;
        Ok(ReadTable {
            schema: Some(first),
            table,
        })
    }

    fn name(&mut self) -> Result<Cow<'t, str>, SyntaxError> {
        match self.rest().chars().next() {
            Some(quote @ ('"' | '`')) => self.quoted(quote).map(Cow::Owned),
            _ => self.bare().map(Cow::Borrowed),
        }
    }

    fn bare(&mut self) -> Result<&'t str, SyntaxError> {
        let rest = self.rest();
        let end = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
        if end == 0 {
            let why = match rest.chars().next() {
                None => "it ends where a name was expected".to_owned(),
                Some('*') => "\"*\" stands alone behind the colon: TABLE:*".to_owned(),
                Some(c) => format!(
                    "a name was expected at character {}, not {c:?}; put odd names in double quotes",
                    self.place()
                ),
            };
            return Err(self.error(why));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let opened = self.place();
        self.at += 1;
        let mut name = String::new();
        loop {
            let mut rest = self.rest().chars();
            match rest.next() {
                None => {
                    return Err(self.error(format!(
                        "the quote opened at character {opened} is never closed"
                    )));
                }
                Some(c) if c == quote => {
                    self.at += 1;
                    if rest.next() != Some(quote) {
                        break;
                    }
                    self.at += 1;
                    name.push(quote);
                }
                Some('\0') => return Err(self.error("a name cannot hold a zero byte".into())),
                Some(c) => {
                    self.at += c.len_utf8();
                    name.push(c);
                }
            }
        }
        if name.is_empty() {
            return Err(self.error(format!("the name at character {opened} is empty")));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> TypedColumns {
        TypedColumns::Named(names.iter().map(|n| (*n).to_owned()).collect())
    }

    #[test]
    fn reads_what_the_spec_shows() {
        let (table, columns) = parse_columns("public.customers:email,phone").unwrap();
        assert_eq!(table.schema.as_deref(), Some("public"));
        assert_eq!(columns, named(&["email", "phone"]));
        let (table, columns) = parse_columns(r#""My Shop"."Order":"e,mail""#).unwrap();
        assert_eq!(table.schema.as_deref(), Some("My Shop"));
        assert_eq!(table.table, "Order");
        assert_eq!(columns, named(&["e,mail"]));
        let (table, _) = parse_columns("`we``ird`:*").unwrap();
        assert_eq!(table.table, "we`ird");
    }

    #[test]
    fn names_do_not_fold() {
        let (table, columns) = parse_columns("Public.Customers:Email").unwrap();
        assert_eq!(table.table, "Customers");
        assert_eq!(columns, named(&["Email"]));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, why) in [
            ("", "ends where a name"),
            ("a.b", "':'"),
            ("a.b:", "ends where a name"),
            ("a.b:c,", "ends where a name"),
            ("a.b:c,c", "named twice"),
            ("a.b:\"c", "never closed"),
            ("a.b:\"\"", "is empty"),
            ("a.b:c,*", "stands alone"),
            ("a b:c", "':'"),
            ("a.b.c:d", "':'"),
        ] {
            let error = parse_columns(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?} gave {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_reads_back(schema in "[^\0]{1,30}", table in "[^\0]{1,30}") {
            let name = TableName::new(schema, table);
            proptest::prop_assert_eq!(parse_table(&name.to_string()).unwrap(), name);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,60}") {
            let _ = parse_columns(&text);
        }
    }
}
