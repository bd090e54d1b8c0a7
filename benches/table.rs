//! The one table.

use crate::measure::{Cost, median};

/// No command needs more, whatever the size.
pub const MOST_MEMORY: u64 = 64 * 1024 * 1024;

/// What a ratio is to be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At most so many times the other's time.
    AtMost(f64),
    /// At least so many times faster than the other.
    Faster(f64),
    /// For comparison only: a smaller size of the same.
    None,
}

/// `ours` and `theirs`, measured in turns, and what the issue asks of them.
#[derive(Debug)]
pub struct Row {
    pub what: String,
    pub against: String,
    pub ours: Vec<Cost>,
    pub theirs: Vec<Cost>,
    pub goal: Goal,
}

impl Row {
    /// The median of the ratios of each pair.
    fn ratio(&self) -> f64 {
        median(
            self.ours
                .iter()
                .zip(&self.theirs)
                .map(|(a, b)| a.wall / b.wall),
        )
    }

    fn told(&self) -> [String; 8] {
        let ratio = self.ratio();
        let (ratio_told, goal, met) = match self.goal {
            Goal::AtMost(most) => (format!("{ratio:.2}x"), format!("<= {most}x"), ratio <= most),
            Goal::Faster(least) => (
                format!("1/{:.1}", 1.0 / ratio),
                format!("1/{least}"),
                1.0 / ratio >= least,
            ),
            Goal::None => (format!("{ratio:.2}x"), String::new(), true),
        };
        let peak = self.ours.iter().map(|cost| cost.peak).max().unwrap_or(0);
        let mut missed = Vec::new();
        if !met {
            missed.push("SLOW");
        }
        if peak > MOST_MEMORY {
            missed.push("LARGE");
        }
        let own = median(self.ours.iter().map(|cost| cost.cpu));
        let server = median(self.ours.iter().map(|cost| cost.server));
        [
            self.what.clone(),
            seconds(median(self.ours.iter().map(|cost| cost.wall))),
            if server > 0.0 {
                format!("{} + {}", seconds(own), seconds(server))
            } else {
                seconds(own)
            },
            format!("{} MB", peak / 1_000_000),
            self.against.clone(),
            seconds(median(self.theirs.iter().map(|cost| cost.wall))),
            ratio_told,
            match (goal.as_str(), missed.as_slice()) {
                (goal, []) => goal.to_owned(),
                (goal, missed) => format!("{goal} {}", missed.join(" ")),
            },
        ]
    }
}

fn seconds(value: f64) -> String {
    match value {
        value if value < 0.1 => format!("{:.1} ms", value * 1000.0),
        value if value < 10.0 => format!("{value:.2} s"),
        value => format!("{value:.1} s"),
    }
}

/// Prints all rows, as Markdown, so that it can be kept.
pub fn print(rows: &[Row]) {
    let head = [
        "what",
        "time",
        "work: own + server",
        "peak",
        "against",
        "its time",
        "ratio",
        "goal",
    ]
    .map(str::to_owned);
    let lines: Vec<[String; 8]> = std::iter::once(head)
        .chain(rows.iter().map(Row::told))
        .collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..8).map(|column| width(column).unwrap_or(0)).collect();
    for (place, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        println!("| {} |", cells.join(" | "));
        if place == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            println!("| {} |", rules.join(" | "));
        }
    }
}
