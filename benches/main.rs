//! What the claims of speed rest on: `make bench`, see README.md in this folder.
//!
//! Each pair is measured in turns, side by side, in one run; the table shows medians, and the median of each pair's
//! ratio.

mod catalog;
mod choice;
mod company;
mod flood;
mod history;
mod measure;
mod open;
mod outage;
mod policies;
mod start;
mod sweep;
mod table;
mod targets;
mod trail;

#[path = "../tests/suite/support/mod.rs"]
mod support;

use table::Row;

/// What measures one group of figures.
type Group = fn() -> Vec<Row>;

fn main() {
    measure::run_if_small();
    let groups: [(&str, Group); 11] = [
        ("start", start::rows),
        ("trail", trail::rows),
        ("policies", policies::rows),
        ("targets", targets::rows),
        ("flood", flood::rows),
        ("history", history::rows),
        ("outage", outage::rows),
        ("catalog", catalog::rows),
        ("company", company::rows),
        ("open", open::rows),
        ("sweep", sweep::rows),
    ];
    let mut rows = Vec::new();
    for (name, make) in groups {
        if choice::wanted(name) {
            eprintln!("--- {name}");
            let some = make();
            table::print(&some);
            rows.extend(some);
        }
    }
    println!();
    table::print(&rows);
}
