//! Names that look alike, for those who mistyped one.

/// The names nearest to a wrong one, nearest first, at most three, and none that is too far to be meant.
pub fn near<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    const MOST: usize = 3;
    const ALIKE: f64 = 0.75;
    let folded = wrong.to_lowercase();
    let mut alike: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&folded, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    alike.dedup_by_key(|(_, name)| *name);
    alike
        .into_iter()
        .take(MOST)
        .map(|(_, name)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn the_nearest_name_comes_first_and_far_ones_do_not_come() {
        let names = ["email", "e_mail", "phone", "Email"];
        let found = near("emial", names.into_iter());
        assert_eq!(found[0].to_lowercase(), "email");
        assert!(!found.contains(&"phone".to_owned()));
    }
}
