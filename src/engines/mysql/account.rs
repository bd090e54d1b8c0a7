//! Accounts: user and host.

use std::fmt;

use crate::access::names::lowercase;
use crate::access::{Grantee, ShortText};

/// `'user'@'host'`. The user compares with case, the host without; both servers store the host in lower case
/// (their grammar folds it), and so does this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Account {
    pub(super) user: ShortText,
    pub(super) host: ShortText,
}

impl Account {
    pub(super) fn new(user: impl Into<ShortText>, host: impl AsRef<str>) -> Self {
        Self {
            user: user.into(),
            host: lowercase(host.as_ref()).into(),
        }
    }

    /// `user@host`.
    pub(super) fn text(&self) -> ShortText {
        let mut text = self.user.clone();
        text.push('@');
        text.push_str(&self.host);
        text
    }

    /// Whether somebody who comes from where `other` may log in could be served by rights of this account too:
    /// the users are equal and this host pattern covers the other (facts-mysql, finding 6).
    pub(super) fn also_serves(&self, other: &Self) -> bool {
        self.user == other.user
            && self.host != other.host
            && (self.host == "%" || self.host.is_empty() || like(&self.host, &other.host))
    }

    /// Whether a session from `host` (as the process list shows it, the port cut off) may be one of this account.
    /// Where a name stands against a number, that cannot be told, and it counts as one.
    pub(super) fn may_come_from(&self, host: &str) -> bool {
        let host = host.to_lowercase();
        let numeric = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '%' | '_' | '/'))
                && text.chars().any(|c| c.is_ascii_digit())
        };
        self.host.contains('/')
            || like(&self.host, &host)
            || (self.host != "%" && numeric(&self.host) != numeric(&host))
    }
}

impl From<&Grantee> for Account {
    fn from(grantee: &Grantee) -> Self {
        let (user, host) = grantee.user_and_host();
        Self::new(user, host)
    }
}

impl From<&Account> for Grantee {
    fn from(account: &Account) -> Self {
        Self(account.text())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

/// The user of `user@host`; the host begins behind the last `@`.
pub(super) fn user_of(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(user, _)| user)
}

/// SQL's LIKE with `\` as escape, as the servers match host patterns and database patterns of `mysql.db`.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // Where to go on after the last `%`: behind it in the pattern, one further in the text.
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some('%') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some('_') if t < text.len() => Some(1),
            Some('\\') if p + 1 < pattern.len() => (text.get(t) == pattern.get(p + 1)).then_some(2),
            Some(c) => (text.get(t) == Some(c)).then_some(1),
            None if t == text.len() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(width), _) => {
                p += width;
                t += 1;
            }
            (None, Some((behind, from))) if from < text.len() => {
                retry = Some((behind, from + 1));
                p = behind;
                t = from + 1;
            }
            (None, _) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_as_the_servers_do() {
        for (pattern, text, fits) in [
            ("%", "", true),
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("sh%", "shop", true),
            ("%op", "shop", true),
            ("%o%p%", "shoop", true),
            ("sho_", "shop", true),
            ("my_shop", "myXshop", true),
            ("my\\_shop", "myXshop", false),
            ("my\\_shop", "my_shop", true),
            ("10.%", "10.0.0.3", true),
            ("10.%", "11.0.0.3", false),
            ("a%b%c", "aXbYbZc", true),
            ("_", "", false),
        ] {
            assert_eq!(like(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn the_wider_host_serves_the_narrower_one() {
        let wide = Account::new("alice", "%");
        let narrow = Account::new("alice", "127.0.0.1");
        assert!(wide.also_serves(&narrow));
        assert!(!narrow.also_serves(&wide));
        assert!(!wide.also_serves(&Account::new("Alice", "127.0.0.1")));
    }

    #[test]
    fn a_session_is_left_out_only_where_it_certainly_is_another_account() {
        let ten = Account::new("alice", "10.%");
        assert!(ten.may_come_from("10.0.0.3"));
        assert!(!ten.may_come_from("11.0.0.3"));
        assert!(ten.may_come_from("bastion"));
        assert!(Account::new("alice", "127.0.0.1").may_come_from("localhost"));
        assert!(!Account::new("alice", "localhost").may_come_from("bastion"));
    }
}
