//! An inbox that somebody floods, with submissions in their own mailbox and with folders beside it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, chown};

use crate::choice;
use crate::measure::cost;
use crate::support::people::{alice, cron, mallory};
use crate::support::postgres;
use crate::support::shop::Shop;
use crate::table::{Goal, Row};

pub fn rows() -> Vec<Row> {
    let server = postgres::fresh(&["log_statement=none"]);
    let calm = Shop::on(&server);
    let flooded = Shop::on(&server);
    let inbox = flooded.jit.path("var/lib/jit/inbox");
    let own = inbox.join(mallory().uid.to_string());
    let mut rows = Vec::new();
    let mut made = 0;
    for size in choice::sizes([1_000, 10_000, 100_000]) {
        for n in made..size {
            // Empty ones are no submissions: each is rejected, and recorded as that.
            let path = own.join(format!("{n:07}"));
            let mut new = OpenOptions::new();
            drop(
                new.write(true)
                    .create_new(true)
                    .mode(0o640)
                    .open(&path)
                    .expect("root may"),
            );
            chown(&path, Some(mallory().uid), None).expect("root may");
            fs::create_dir(inbox.join((5_000_000 + n).to_string())).expect("root may");
        }
        made = size;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..choice::rounds().min(3) {
            for (shop, side) in [(&flooded, &mut ours), (&calm, &mut theirs)] {
                let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
                side.push(cost(&mut shop.jit.command(&cron(), &["sweep"])));
                assert_eq!(shop.state(&id), "active", "a flood delays nobody else");
            }
        }
        rows.push(Row {
            what: format!("sweep, {size} submissions and folders of one flooder"),
            against: "without them".into(),
            ours,
            theirs,
            goal: Goal::None,
        });
    }
    rows
}
