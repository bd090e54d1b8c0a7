//! The `[client]` group of an option file of MySQL and MariaDB (the manual's "Using Option Files").
//!
//! `!include` is not followed.

use secrecy::SecretString;

/// What a `[client]` group says of us.
#[derive(Debug, Default)]
pub struct Client {
    pub user: Option<String>,
    pub password: Option<SecretString>,
}

pub fn client(text: &str) -> Client {
    let mut inside = false;
    let mut found = Client::default();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';', '!']) {
            continue;
        }
        if line.starts_with('[') {
            inside = line == "[client]";
        } else if inside && let Some((key, text)) = line.split_once('=') {
            // The last one counts.
            match key.trim() {
                "user" => found.user = Some(value(text)).filter(|user| !user.is_empty()),
                "password" => {
                    found.password = Some(value(text))
                        .filter(|password| !password.is_empty())
                        .map(Into::into);
                }
                _ => {}
            }
        }
    }
    found
}

/// Quotes are taken off, escapes read, and outside of quotes a `#` ends it.
fn value(text: &str) -> String {
    let text = text.trim();
    let inner = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text[1..].rfind(quote).map_or(text, |end| &text[1..=end]),
        _ => text.split('#').next().unwrap_or(text).trim_end(),
    };
    let mut read = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            read.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => read.push('\n'),
            Some('t') => read.push('\t'),
            Some('r') => read.push('\r'),
            Some('b') => read.push('\u{8}'),
            Some('s') => read.push(' '),
            Some(same @ ('\\' | '"' | '\'')) => read.push(same),
            // Any other letter stands as it is written, with its backslash.
            Some(other) => read.extend(['\\', other]),
            None => read.push('\\'),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn reads_the_client_group_only() {
        let text = "[mysqld]\npassword=no\n[client]\nuser=x\n#password=c\npassword = \"yes=1\"\n[mysql]\npassword=late\n";
        let found = client(text);
        assert_eq!(found.password.unwrap().expose_secret(), "yes=1");
        assert_eq!(found.user.as_deref(), Some("x"));
        assert!(client("[mysqld]\npassword=no\n").password.is_none());
    }

    #[test]
    fn values_are_read_as_the_servers_own_clients_read_them() {
        for (written, meant) in [
            ("plain", "plain"),
            (" a b ", "a b"),
            ("pass # comment", "pass"),
            ("\"pa#ss\" # comment", "pa#ss"),
            ("'it''s'", "it''s"),
            (r"a\\b\s", r"a\b "),
            (r"a\Sb", r"a\Sb"),
            ("", ""),
        ] {
            assert_eq!(value(written), meant, "{written:?}");
        }
    }
}
