//! The one place where a name becomes SQL.
//!
//! Everything is quoted, always: a list of keywords would go stale with the next major version, and an unquoted
//! `user` or `current_user` means something else (facts-postgres, "Identifiers").

/// A name that has been quoted and can stand in a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quoted(String);

impl std::fmt::Display for Quoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that must never reach a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("a name is empty")]
    Empty,
    #[error("the name {0:?} holds a zero byte")]
    Zero(String),
    /// The server would cut it, say so in a notice only, and take another object (facts-postgres, "Identifiers").
    #[error("the name {0:?} is longer than the 63 bytes that the server keeps")]
    Long(String),
    /// `"public"` in quotes is everybody (facts-postgres, finding 5); `"none"` is no role at all.
    #[error("a role named {0:?} cannot be told from the keyword")]
    Keyword(String),
}

/// A catalog holds at most 63 bytes of a name, in the *server's* encoding. Counted in characters here, for a name
/// that is longer than 63 bytes in UTF-8 may be shorter in LATIN1; none that has more characters can be there.
const LONGEST: usize = 63;

/// Quotes the name of a schema, table or column that was read from the catalog.
pub fn name(text: &str) -> Result<Quoted, BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.contains('\0') {
        return Err(BadName::Zero(text.to_owned()));
    }
    if text.chars().count() > LONGEST {
        return Err(BadName::Long(text.to_owned()));
    }
    Ok(Quoted(format!("\"{}\"", text.replace('"', "\"\""))))
}

/// Quotes the name of a role that was read from the catalog.
pub fn role(text: &str) -> Result<Quoted, BadName> {
    if matches!(text, "public" | "none") {
        return Err(BadName::Keyword(text.to_owned()));
    }
    name(text)
}

/// Quotes the name of a role that is to be made, and so was never in a catalog.
pub fn new_role(text: &str) -> Result<Quoted, BadName> {
    if text.len() > LONGEST {
        return Err(BadName::Long(text.to_owned()));
    }
    role(text)
}

/// Quotes a text as a literal. The session has `standard_conforming_strings` on.
pub fn literal(text: &str) -> Result<Quoted, BadName> {
    if text.contains('\0') {
        return Err(BadName::Zero(text.to_owned()));
    }
    let escaped = text.replace('\'', "''");
    Ok(Quoted(if escaped.contains('\\') {
        // Right under either setting of standard_conforming_strings, for whoever runs it by hand.
        format!("E'{}'", escaped.replace('\\', "\\\\"))
    } else {
        format!("'{escaped}'")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_quoted_and_its_quotes_doubled() {
        for (text, quoted) in [
            ("email", "\"email\""),
            ("user", "\"user\""),
            ("My \"Shop\"", "\"My \"\"Shop\"\"\""),
            ("a;--", "\"a;--\""),
            ("PUBLIC", "\"PUBLIC\""),
            ("ü", "\"ü\""),
        ] {
            assert_eq!(name(text).unwrap().to_string(), quoted);
        }
    }

    #[test]
    fn what_the_server_would_misread_is_refused() {
        assert_eq!(name(""), Err(BadName::Empty));
        assert!(matches!(name("a\0b"), Err(BadName::Zero(_))));
        assert!(matches!(name(&"x".repeat(64)), Err(BadName::Long(_))));
        assert!(name(&"x".repeat(63)).is_ok());
        assert!(matches!(new_role(&"ü".repeat(32)), Err(BadName::Long(_))));
    }

    #[test]
    fn a_role_called_public_is_never_written() {
        assert!(matches!(role("public"), Err(BadName::Keyword(_))));
        assert!(matches!(role("none"), Err(BadName::Keyword(_))));
        assert_eq!(role("PUBLIC").unwrap().to_string(), "\"PUBLIC\"");
        assert_eq!(
            role("current_user").unwrap().to_string(),
            "\"current_user\""
        );
    }

    #[test]
    fn literals_survive_quotes_and_backslashes() {
        assert_eq!(literal("a'b").unwrap().to_string(), "'a''b'");
        assert_eq!(literal("a\\'b").unwrap().to_string(), "E'a\\\\''b'");
    }
}
