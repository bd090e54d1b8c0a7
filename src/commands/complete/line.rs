//! PURE. The line so far, as words.

/// Where a quote is open at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    None,
    Single,
    Double,
}

/// The words up to the cursor, without their quotes; the last one is unfinished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub words: Vec<String>,
    /// How the last word is quoted at its end.
    pub quote: Quote,
    /// How many characters of the last word the shell leaves alone, and does not want repeated.
    pub kept: usize,
}

impl Line {
    /// Of words that a shell has split but not unquoted.
    pub fn of_words(words: &[String]) -> Self {
        let mut line = Self {
            words: Vec::new(),
            quote: Quote::None,
            kept: 0,
        };
        for word in words {
            let (unquoted, quote) = unquoted(word);
            line.words.push(unquoted);
            line.quote = quote;
        }
        line
    }

    /// Splits a line as a POSIX shell does, without expanding anything.
    pub fn split(text: &str) -> Self {
        let mut words: Vec<String> = vec![String::new()];
        let mut begun = false;
        let mut quote = Quote::None;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if quote == Quote::None && c.is_whitespace() {
                if begun {
                    words.push(String::new());
                }
                begun = false;
                continue;
            }
            begun = true;
            if let Some(word) = words.last_mut() {
                step(c, &mut chars, &mut quote, word);
            }
        }
        Self {
            words,
            quote,
            kept: 0,
        }
    }

    pub fn current(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }

    /// The words before the one that is being typed.
    pub fn before(&self) -> &[String] {
        self.words.split_last().map_or(&[], |(_, before)| before)
    }

    /// The value of a flag: `--name VALUE` or `--name=VALUE`.
    pub fn flag(&self, name: &str) -> Option<&str> {
        let before = self.before();
        before.iter().enumerate().find_map(|(place, word)| {
            let rest = word.strip_prefix("--")?.strip_prefix(name)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(value),
                None if rest.is_empty() => before.get(place + 1).map(String::as_str),
                None => None,
            }
        })
    }
}

fn step(c: char, chars: &mut std::str::Chars<'_>, quote: &mut Quote, word: &mut String) {
    match (*quote, c) {
        (Quote::None, '\'') => *quote = Quote::Single,
        (Quote::None, '"') => *quote = Quote::Double,
        (Quote::Single, '\'') | (Quote::Double, '"') => *quote = Quote::None,
        (Quote::None, '\\') => word.extend(chars.next()),
        (Quote::Double, '\\') => match chars.next() {
            Some(next @ ('"' | '\\' | '$' | '`')) => word.push(next),
            Some(next) => word.extend(['\\', next]),
            None => {}
        },
        _ => word.push(c),
    }
}

fn unquoted(word: &str) -> (String, Quote) {
    let mut plain = String::new();
    let mut quote = Quote::None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        step(c, &mut chars, &mut quote, &mut plain);
    }
    (plain, quote)
}

/// For bash: what stands for `text`, whose first characters stand on the line already.
pub fn quoted(text: &str, quote: Quote) -> String {
    match quote {
        Quote::Single => text.replace('\'', r"'\''"),
        Quote::Double => {
            let mut quoted = String::new();
            for c in text.chars() {
                if matches!(c, '"' | '\\' | '$' | '`') {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            quoted
        }
        Quote::None => {
            let mut quoted = String::new();
            for c in text.chars() {
                let plain = c.is_alphanumeric() || "_-.,:/=@%+~^".contains(c);
                if !plain {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            quoted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_splits_them() {
        for (text, words, quote) in [
            ("jit approve ", vec!["jit", "approve", ""], Quote::None),
            ("jit  show k3", vec!["jit", "show", "k3"], Quote::None),
            (
                r"jit request a\ b:c",
                vec!["jit", "request", "a b:c"],
                Quote::None,
            ),
            (
                r#"jit request '"My Shop".t:e"#,
                vec!["jit", "request", r#""My Shop".t:e"#],
                Quote::Single,
            ),
            (
                r#"jit request "\"x\"."#,
                vec!["jit", "request", r#""x"."#],
                Quote::Double,
            ),
            ("jit ''", vec!["jit", ""], Quote::None),
            ("", vec![""], Quote::None),
        ] {
            let line = Line::split(text);
            assert_eq!(line.words, words, "{text}");
            assert_eq!(line.quote, quote, "{text}");
        }
    }

    #[test]
    fn a_flags_value_is_found_in_both_forms() {
        let line = Line::split("jit --config a.yaml list --target=shop --user ");
        assert_eq!(line.flag("config"), Some("a.yaml"));
        assert_eq!(line.flag("target"), Some("shop"));
        assert_eq!(line.flag("user"), None);
        assert_eq!(line.flag("use"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_quoted_reads_back(text in "[^\0\n]{0,20}") {
            for (open, quote) in [("", Quote::None), ("'", Quote::Single), ("\"", Quote::Double)] {
                let line = Line::split(&format!("x {open}{}", quoted(&text, quote)));
                proptest::prop_assert_eq!(line.current(), &text);
            }
        }
    }
}
