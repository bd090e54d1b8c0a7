//! What is measured: all of it, or what the environment narrows it to.

use crate::support::server::Kind;

fn listed(variable: &str) -> Option<Vec<String>> {
    let text = std::env::var(variable).unwrap_or_default();
    let words: Vec<String> = text
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    (!words.is_empty()).then_some(words)
}

/// Whether this group of figures is wanted: `ONLY=sweep,start`.
pub fn wanted(group: &str) -> bool {
    listed("ONLY").is_none_or(|only| only.iter().any(|one| one == group))
}

/// `SERVERS=postgres`.
pub fn kinds() -> Vec<Kind> {
    let all = [Kind::Postgres, Kind::Mysql, Kind::Mariadb];
    let chosen = listed("SERVERS");
    all.into_iter()
        .filter(|kind| {
            chosen
                .as_ref()
                .is_none_or(|some| some.iter().any(|one| one == kind.word()))
        })
        .collect()
}

/// `SIZE=1` is the smallest alone, `SIZE=3` the largest alone.
pub fn sizes<T>(all: [T; 3]) -> Vec<T> {
    match std::env::var("SIZE")
        .ok()
        .and_then(|size| size.parse::<usize>().ok())
    {
        Some(size @ 1..=3) => all.into_iter().skip(size - 1).take(1).collect(),
        _ => all.into(),
    }
}

/// How often each pair is measured: `ROUNDS=3`.
pub fn rounds() -> usize {
    std::env::var("ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5)
}

/// Whether what takes minutes and is far from its goal is measured too: not with `SLOW=no`.
pub fn slow() -> bool {
    std::env::var("SLOW").as_deref() != Ok("no")
}
