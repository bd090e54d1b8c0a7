//! The one quote: how names and texts become SQL. Everything else binds its values.
//!
//! It relies on the session's `sql_mode`, which `connection` pins without ANSI_QUOTES and NO_BACKSLASH_ESCAPES,
//! and on `utf8mb4` as the client's character set. Neither backslash nor NUL can end a quoted text here.

use super::account::Account;

/// `` `name` ``, inner backticks doubled. Any name of the catalog goes in; a backslash means itself here.
pub(super) fn identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('`');
    for c in name.chars() {
        if c == '`' {
            quoted.push('`');
        }
        quoted.push(c);
    }
    quoted.push('`');
    quoted
}

/// `'text'`, with quote and backslash escaped.
pub(super) fn text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\0' => quoted.push_str("\\0"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// `'user'@'host'`.
pub(super) fn account(account: &Account) -> String {
    format!("{}@{}", text(&account.user), text(&account.host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_its_quotes() {
        assert_eq!(identifier("a`b\\"), "`a``b\\`");
        assert_eq!(text("o'neil\\"), "'o''neil\\\\'");
        assert_eq!(account(&Account::new("o'neil", "10.%")), "'o''neil'@'10.%'");
    }
}
