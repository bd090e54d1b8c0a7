//! PURE. The lines of the dashboard, so many as fit: what is cut says how many more there are, and the command that
//! shows them.

/// One line, and whether it is about something overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    pub is_alarm: bool,
}

impl Line {
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_alarm: false,
        }
    }
}

/// A title and what stands below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub title: String,
    pub lines: Vec<Line>,
    /// The command that shows all of it.
    pub all: &'static str,
}

/// Sections that are not empty, each with at least one line, and the footer whole, in so many rows.
pub fn fitting(sections: &[Section], footer: &[Line], rows: usize) -> Vec<Line> {
    let sections: Vec<&Section> = sections.iter().filter(|s| !s.lines.is_empty()).collect();
    // A title and an empty line belong to each.
    let used = footer.len() + sections.len() * 2;
    let shares = shares(
        &sections.iter().map(|s| s.lines.len()).collect::<Vec<_>>(),
        rows.saturating_sub(used),
    );
    let mut lines = Vec::new();
    for (section, share) in sections.iter().zip(shares) {
        lines.push(Line::plain(section.title.clone()));
        if section.lines.len() <= share {
            lines.extend(section.lines.iter().cloned());
        } else {
            // One row tells of the others.
            let shown = share.saturating_sub(1).max(1);
            let hidden = &section.lines[shown..];
            lines.extend(section.lines[..shown].iter().cloned());
            lines.push(Line {
                text: format!("  … and {} more: {}", hidden.len(), section.all),
                is_alarm: hidden.iter().any(|line| line.is_alarm),
            });
        }
        lines.push(Line::plain(""));
    }
    lines.extend(footer.iter().cloned());
    lines
}

/// Divides rows fairly: nobody gets more than they need while somebody lacks some.
fn shares(needs: &[usize], rows: usize) -> Vec<usize> {
    let mut shares = vec![0; needs.len()];
    let mut left = rows.max(needs.len() * 2);
    while left > 0 {
        let hungry: Vec<usize> = (0..needs.len())
            .filter(|at| shares[*at] < needs[*at])
            .collect();
        if hungry.is_empty() {
            break;
        }
        for at in hungry {
            if left > 0 {
                shares[at] += 1;
                left -= 1;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(title: &str, number: usize) -> Section {
        Section {
            title: title.into(),
            lines: (0..number)
                .map(|n| Line::plain(format!("  {title}{n}")))
                .collect(),
            all: "jit list",
        }
    }

    #[test]
    fn few_lines_are_shown_whole() {
        let lines = fitting(
            &[section("a", 2), section("b", 0), section("c", 1)],
            &[Line::plain("end")],
            23,
        );
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a", "  a0", "  a1", "", "c", "  c0", "", "end"]);
    }

    #[test]
    fn many_lines_are_cut_and_counted() {
        let lines = fitting(
            &[section("a", 200), section("b", 2), section("c", 50)],
            &[Line::plain("end")],
            23,
        );
        assert_eq!(lines.len(), 23);
        let shown = lines
            .iter()
            .filter(|line| line.text.starts_with("  a"))
            .count();
        let more = format!("  … and {} more: jit list", 200 - shown);
        assert!(lines.iter().any(|line| line.text == more), "{lines:#?}");
        assert!(
            lines.iter().any(|line| line.text == "  b1"),
            "a short section is whole"
        );
        assert_eq!(lines.last().map(|line| line.text.as_str()), Some("end"));
    }

    #[test]
    fn an_alarm_that_is_cut_still_shows() {
        let mut long = section("a", 50);
        long.lines[49].is_alarm = true;
        let lines = fitting(&[long], &[], 10);
        assert!(
            lines
                .iter()
                .any(|line| line.is_alarm && line.text.contains("more"))
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_higher_than_the_screen(
            needs in proptest::collection::vec(0usize..300, 0..4),
            footer in 0usize..8,
            rows in 23usize..60,
        ) {
            let sections: Vec<Section> = needs.iter().map(|need| section("s", *need)).collect();
            let footer = vec![Line::plain("end"); footer];
            proptest::prop_assert!(fitting(&sections, &footer, rows).len() <= rows);
        }
    }
}
