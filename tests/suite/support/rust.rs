//! Reads Rust source well enough to hold the rules of the house: comments away, literals apart, paths spelled out.

/// One source file without its tests.
#[derive(Debug)]
pub struct Source {
    /// As in `src/engines/mod.rs`.
    pub path: String,
    /// Modules of tests that this one declares and that lie in files of their own.
    pub test_files: Vec<String>,
    /// Lines before the tests, comments and blank ones included.
    pub lines: usize,
    /// The code before the tests: comments are gone, literals are empty; lines are where they were.
    pub code: String,
    /// String literals before the tests, with the line that each begins on.
    pub literals: Vec<(usize, String)>,
    /// The code of the tests.
    pub tests: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let (code, literals) = lex(text);
        let modules = test_modules(&code);
        let inline = modules.iter().find(|(_, _, inline)| *inline);
        let cut = inline.map_or(code.len(), |(at, _, _)| *at);
        let lines = code[..cut].lines().count();
        Self {
            path: path.to_owned(),
            test_files: modules
                .into_iter()
                .filter(|(_, _, inline)| !inline)
                .map(|(_, name, _)| name)
                .collect(),
            lines,
            literals: literals
                .into_iter()
                .filter(|(line, _)| *line <= lines)
                .collect(),
            tests: code[cut..].to_owned(),
            code: code[..cut].to_owned(),
        }
    }

    /// Makes all of it tests: its parent declares it under `#[cfg(test)]`.
    pub fn into_tests(mut self) -> Self {
        self.tests = std::mem::take(&mut self.code) + &self.tests;
        self.literals.clear();
        self.lines = 0;
        self
    }

    /// Every path of two or more parts in the code, with its line; trees of `use` are spelled out, and `self` and
    /// `super` resolved: `crate::engines::address::Address`.
    pub fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let begins = is_word(&tokens[at].1)
                && tokens.get(at + 1).is_some_and(|token| token.1 == "::")
                && (at == 0 || tokens[at - 1].1 != "::" && tokens[at - 1].1 != ".");
            if begins {
                let line = tokens[at].0;
                let mut leaves = Vec::new();
                at = tree(&tokens, at, &mut Vec::new(), &mut leaves);
                found.extend(leaves.into_iter().map(|path| (line, self.resolve(path))));
            } else {
                at += 1;
            }
        }
        found
    }

    /// The words that stand before a `!`, with their lines.
    pub fn macros(&self) -> Vec<(usize, String)> {
        macros(&self.code)
    }

    /// The modules that lead to this file: `["engines", "postgres"]` for both `engines/postgres.rs` and
    /// `engines/postgres/mod.rs`.
    pub fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut parts: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if parts
            .last()
            .is_some_and(|last| last == "mod" || last == "lib")
        {
            parts.pop();
        }
        parts
    }

    fn resolve(&self, path: Vec<String>) -> Vec<String> {
        let mut base = self.module();
        let mut rest = path.as_slice();
        match rest[0].as_str() {
            // the program's own main file knows the library by its name
            "jit" if self.path == "src/main.rs" => return with_crate(Vec::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            _ => return path,
        }
        with_crate(base, rest)
    }
}

fn with_crate(base: Vec<String>, rest: &[String]) -> Vec<String> {
    let mut whole = vec!["crate".to_owned()];
    whole.extend(base);
    whole.extend_from_slice(rest);
    whole
}

/// The words that stand before a `!` in a piece of code, with their lines.
pub fn macros(code: &str) -> Vec<(usize, String)> {
    tokens(code)
        .windows(2)
        .filter(|pair| is_word(&pair[0].1) && pair[1].1 == "!")
        .map(|pair| pair[0].clone())
        .collect()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads a path, or a tree of them in braces, from `at`; gives the place after it.
fn tree(
    tokens: &[(usize, String)],
    mut at: usize,
    before: &mut Vec<String>,
    leaves: &mut Vec<Vec<String>>,
) -> usize {
    let depth = before.len();
    loop {
        match tokens.get(at).map(|token| token.1.as_str()) {
            Some("{") => {
                at += 1;
                while let Some((_, token)) = tokens.get(at) {
                    match token.as_str() {
                        "}" => {
                            at += 1;
                            break;
                        }
                        "," => at += 1,
                        _ => at = tree(tokens, at, before, leaves),
                    }
                }
                break;
            }
            Some(word) if is_word(word) || word == "*" => {
                before.push(word.to_owned());
                at += 1;
                if tokens.get(at).is_some_and(|token| token.1 == "::") {
                    at += 1;
                } else {
                    leaves.push(before.clone());
                    break;
                }
            }
            // something else, such as the `<` of a turbofish: the path ends here
            _ => {
                if before.len() > depth {
                    leaves.push(before.clone());
                }
                at += 1;
                break;
            }
        }
    }
    before.truncate(depth);
    if tokens.get(at).is_some_and(|token| token.1 == "as") {
        at += 2;
    }
    at
}

fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = code.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => line += 1,
            c if c.is_whitespace() => {}
            ':' if rest.peek() == Some(&':') => {
                rest.next();
                found.push((line, "::".to_owned()));
            }
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                found.push((line, word));
            }
            other => found.push((line, other.to_string())),
        }
    }
    found
}

/// What follows each `#[cfg(test)]`: the place of the mark, and whether a module begins there: its name, and whether
/// its body follows (`mod tests {`) or lies in a file of its own (`mod laws;`).
fn test_modules(code: &str) -> Vec<(usize, String, bool)> {
    let mark = "#[cfg(test)]";
    code.match_indices(mark)
        .filter_map(|(at, _)| {
            let after = tokens(&code[at + mark.len()..]);
            let words: Vec<&str> = after.iter().take(8).map(|token| token.1.as_str()).collect();
            let module = words.iter().position(|word| *word == "mod")?;
            // only a visibility may stand before it: pub, pub(crate)
            let visible = words[..module]
                .iter()
                .all(|word| ["pub", "(", "crate", "super", ")"].contains(word));
            let name = words.get(module + 1)?;
            visible.then(|| (at, (*name).to_owned(), words.get(module + 2) == Some(&"{")))
        })
        .collect()
}

/// Code without comments and with empty literals, and the string literals with their lines.
fn lex(text: &str) -> (String, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut literals = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied().unwrap_or_default();
        let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        let begin = at;
        match (c, next) {
            ('/', '/') => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                while at < chars.len() {
                    match (chars[at], chars.get(at + 1)) {
                        ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
                        ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
                        _ => at += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            ('r', '"' | '#') if !in_word || chars[at - 1] == 'b' => {
                let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
                if chars.get(at + 1 + hashes) == Some(&'"') {
                    let from = at + 2 + hashes;
                    let mut end = from;
                    while end < chars.len()
                        && !(chars[end] == '"'
                            && chars[end + 1..].iter().take(hashes).all(|&c| c == '#')
                            && chars.len() > end + hashes)
                    {
                        end += 1;
                    }
                    literals.push((line, chars[from..end].iter().collect()));
                    code.push_str("\"\"");
                    at = end + 1 + hashes;
                } else {
                    code.push(c);
                    at += 1;
                    continue;
                }
            }
            ('"', _) => {
                let mut literal = String::new();
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    if chars[at] == '\\' {
                        at += 1;
                        if chars.get(at) == Some(&'\n') {
                            // a line that goes on: its indentation is not part of it
                            while chars.get(at + 1).is_some_and(|c| c.is_whitespace()) {
                                at += 1;
                            }
                            at += 1;
                            continue;
                        }
                    }
                    literal.push(chars.get(at).copied().unwrap_or_default());
                    at += 1;
                }
                at += 1;
                literals.push((line, literal));
                code.push_str("\"\"");
            }
            ('\'', '\\') => {
                at += 3;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            }
            ('\'', _) if chars.get(at + 2) == Some(&'\'') => at += 3,
            _ => {
                code.push(c);
                at += 1;
                if c == '\n' {
                    line += 1;
                }
                continue;
            }
        }
        for _ in chars[begin..at.min(chars.len())]
            .iter()
            .filter(|&&c| c == '\n')
        {
            code.push('\n');
            line += 1;
        }
    }
    (code, literals)
}
