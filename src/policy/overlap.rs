//! Which names two patterns have in common, and which of those no third pattern takes.

use std::collections::VecDeque;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

use super::glob::{Case, Glob, Token};

/// A name that both patterns match, or `None` where there is none.
///
/// It is a shortest one; wherever both patterns have a `*` at once, `filler` is put in: by fillers that nobody
/// would write one finds names that no other pattern takes, mostly.
pub fn common_name(a: &Glob, b: &Glob, case: Case, filler: &str) -> Option<String> {
    match (a.as_exact(), b.as_exact()) {
        (Some(name), _) => return b.matches(name, case).then(|| name.to_owned()),
        (_, Some(name)) => return a.matches(name, case).then(|| name.to_owned()),
        _ => {}
    }
    let (a, b) = (a.tokens(), b.tokens());
    if differ_before_a_star(a.iter(), b.iter(), case)
        || differ_before_a_star(a.iter().rev(), b.iter().rev(), case)
    {
        return None;
    }
    // A walk through pairs of places; each step says what it adds to the name.
    let mut from: HashMap<(usize, usize), ((usize, usize), Added)> = HashMap::new();
    let mut queue = VecDeque::from([(0, 0)]);
    let mut found = false;
    while let Some((i, j)) = queue.pop_front() {
        if (i, j) == (a.len(), b.len()) {
            found = true;
            break;
        }
        let mut go = |next: (usize, usize), added: Added| {
            if next != (0, 0) && !from.contains_key(&next) {
                from.insert(next, ((i, j), added));
                queue.push_back(next);
            }
        };
        let (x, y) = (a.get(i).copied(), b.get(j).copied());
        if x == Some(Token::Many) && y == Some(Token::Many) {
            go((i + 1, j), Added::Filler);
            go((i, j + 1), Added::Filler);
            continue;
        }
        if x == Some(Token::Many) {
            go((i + 1, j), Added::Nothing);
            if let Some(token) = y {
                go((i, j + 1), Added::of(token));
            }
            continue;
        }
        if y == Some(Token::Many) {
            go((i, j + 1), Added::Nothing);
            if let Some(token) = x {
                go((i + 1, j), Added::of(token));
            }
            continue;
        }
        if let (Some(x), Some(y)) = (x, y)
            && let Some(letter) = both(x, y, case)
        {
            go((i + 1, j + 1), Added::Letter(letter));
        }
    }
    if !found {
        return None;
    }
    let mut parts = Vec::new();
    let mut at = (a.len(), b.len());
    while let Some((before, added)) = from.get(&at) {
        parts.push(*added);
        at = *before;
    }
    let mut name = String::new();
    for added in parts.into_iter().rev() {
        match added {
            Added::Nothing => {}
            Added::Filler => name.push_str(filler),
            Added::Letter(c) => name.push(c),
            Added::Any => name.push(filler.chars().next().unwrap_or('x')),
        }
    }
    // Only two patterns of nothing but stars have the empty name in common, and then every other name too.
    Some(if name.is_empty() { "x".into() } else { name })
}

#[derive(Clone, Copy)]
enum Added {
    Nothing,
    Filler,
    Letter(char),
    Any,
}

impl Added {
    fn of(token: Token) -> Self {
        match token {
            Token::Char(c) => Self::Letter(c),
            Token::One => Self::Any,
            Token::Many => Self::Nothing,
        }
    }
}

fn both(x: Token, y: Token, case: Case) -> Option<char> {
    match (x, y) {
        (Token::Char(x), Token::Char(y)) => (case.fold(x) == case.fold(y)).then_some(x),
        (Token::Char(c), Token::One) | (Token::One, Token::Char(c)) => Some(c),
        (Token::One, Token::One) => Some('x'),
        (Token::Many, _) | (_, Token::Many) => None,
    }
}

fn differ_before_a_star<'t>(
    a: impl Iterator<Item = &'t Token>,
    b: impl Iterator<Item = &'t Token>,
    case: Case,
) -> bool {
    for (x, y) in a.zip(b) {
        if *x == Token::Many || *y == Token::Many {
            return false;
        }
        if both(*x, *y, case).is_none() {
            return true;
        }
    }
    false
}

/// Patterns that are too entangled to be told apart within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooTangled;

/// States that are looked at in one dimension.
const MOST_STATES: usize = 4_000;

/// One name for each kind of name that both `a` and `b` match, where names are of a kind if the same `others` match
/// them. Each comes with the places of those others.
pub fn kinds(
    a: &Glob,
    b: &Glob,
    others: &[&Glob],
    case: Case,
) -> Result<Vec<(String, Vec<usize>)>, TooTangled> {
    let patterns: Vec<Vec<Token>> = [a, b]
        .into_iter()
        .chain(others.iter().copied())
        .map(|glob| {
            let fold = |token| match token {
                Token::Char(c) => Token::Char(case.fold(c)),
                other => other,
            };
            glob.tokens().into_iter().map(fold).collect()
        })
        .collect();
    let mut letters: Vec<char> = patterns
        .iter()
        .flatten()
        .filter_map(|token| match token {
            Token::Char(c) => Some(*c),
            _ => None,
        })
        .collect();
    letters.sort_unstable();
    letters.dedup();
    // One letter stands for all that no pattern names.
    letters.extend(
        ('a'..='z')
            .chain('\u{e000}'..)
            .find(|c| !letters.contains(c)),
    );

    let start: State = patterns.iter().map(|p| closure(p, [0].into())).collect();
    // The start is not seen yet: a longer name may lead back to it, and the empty one is no name.
    let mut seen: HashSet<State> = HashSet::new();
    let mut queue = VecDeque::from([(start, String::new())]);
    let mut kinds: Vec<(String, Vec<usize>)> = Vec::new();
    let mut known: HashSet<Vec<usize>> = HashSet::new();
    while let Some((state, name)) = queue.pop_front() {
        let accepts = |which: usize| state[which].last() == Some(&patterns[which].len());
        if !name.is_empty() && accepts(0) && accepts(1) {
            let matching: Vec<usize> = (0..others.len()).filter(|o| accepts(o + 2)).collect();
            if known.insert(matching.clone()) {
                kinds.push((name.clone(), matching));
            }
        }
        for letter in &letters {
            let next: State = patterns
                .iter()
                .zip(&state)
                .map(|(pattern, places)| step(pattern, places, *letter))
                .collect();
            if next[0].is_empty() || next[1].is_empty() || seen.contains(&next) {
                continue;
            }
            if seen.len() >= MOST_STATES {
                return Err(TooTangled);
            }
            seen.insert(next.clone());
            let mut longer = name.clone();
            longer.push(*letter);
            queue.push_back((next, longer));
        }
    }
    Ok(kinds)
}

/// For each pattern the places it may be at, sorted.
type State = Vec<Vec<usize>>;

fn step(pattern: &[Token], places: &[usize], letter: char) -> Vec<usize> {
    let mut next = Vec::new();
    for place in places {
        match pattern.get(*place) {
            Some(Token::Many) => next.push(*place),
            Some(Token::One) => next.push(place + 1),
            Some(Token::Char(c)) if *c == letter => next.push(place + 1),
            _ => {}
        }
    }
    closure(pattern, next)
}

/// With the places that are reached by letting a `*` stand for nothing.
fn closure(pattern: &[Token], mut places: Vec<usize>) -> Vec<usize> {
    let mut at = 0;
    while let Some(place) = places.get(at).copied() {
        if pattern.get(place) == Some(&Token::Many) && !places.contains(&(place + 1)) {
            places.push(place + 1);
        }
        at += 1;
    }
    places.sort_unstable();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    /// All names over two letters and a strange one, up to a length.
    fn names(length: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut from = 0;
        for _ in 0..length {
            let to = all.len();
            for at in from..to {
                for letter in ['a', 'b', 'z'] {
                    all.push(format!("{}{letter}", all[at]));
                }
            }
            from = to;
        }
        all.remove(0);
        all
    }

    #[test]
    fn what_patterns_have_in_common() {
        for (a, b, common) in [
            ("a*", "*b", true),
            ("a*", "b*", false),
            ("*a", "*b", false),
            ("email", "e*", true),
            ("email", "f*", false),
            ("??", "???", false),
            ("a?c", "*", true),
            ("*a*", "b?b", true),
            ("*", "*", true),
        ] {
            assert_eq!(
                common_name(&glob(a), &glob(b), Case::Exact, "").is_some(),
                common,
                "{a} {b}"
            );
        }
        assert!(common_name(&glob("A*"), &glob("a*"), Case::Exact, "").is_none());
        assert!(common_name(&glob("A*"), &glob("a*"), Case::Ignored, "").is_some());
    }

    proptest! {
        #[test]
        fn a_common_name_is_found_exactly_where_there_is_one(
            a in "[ab?*]{1,5}", b in "[ab?*]{1,5}", filler in "z{0,2}",
        ) {
            let (a, b) = (glob(&a), glob(&b));
            let found = common_name(&a, &b, Case::Exact, &filler);
            if let Some(name) = &found {
                prop_assert!(a.matches(name, Case::Exact) && b.matches(name, Case::Exact), "{}", name);
            }
            // Patterns of at most five tokens that meet at all meet in a name of at most ten letters; six show it
            // for those without much in them, and the other direction is checked by the name itself.
            let brute = names(6).into_iter().any(|n| a.matches(&n, Case::Exact) && b.matches(&n, Case::Exact));
            prop_assert!(!brute || found.is_some());
        }

        #[test]
        fn kinds_of_names_are_complete(
            a in "[ab*]{1,4}", b in "[ab*]{1,4}", c in "[ab?*]{1,3}", d in "[ab?*]{1,3}",
        ) {
            let (a, b, c, d) = (glob(&a), glob(&b), glob(&c), glob(&d));
            let kinds = kinds(&a, &b, &[&c, &d], Case::Exact).unwrap();
            let of = |n: &str| -> Vec<usize> {
                [&c, &d].iter().enumerate().filter(|(_, g)| g.matches(n, Case::Exact)).map(|(i, _)| i).collect()
            };
            for (name, matching) in &kinds {
                prop_assert!(a.matches(name, Case::Exact) && b.matches(name, Case::Exact));
                prop_assert_eq!(&of(name), matching);
            }
            for name in names(5).iter().filter(|n| a.matches(n, Case::Exact) && b.matches(n, Case::Exact)) {
                prop_assert!(kinds.iter().any(|(_, matching)| *matching == of(name)), "{}", name);
            }
        }
    }
}
