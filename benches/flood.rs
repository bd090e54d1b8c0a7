//! An inbox that somebody floods, with submissions in their own mailbox and with folders beside it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, chown};

use jit::access::{ColumnName, TableColumns, TableName, Ttl};
use jit::stores::mailbox::LARGEST_SUBMISSION;
use jit::workflow::submission::{Act, AskAct, Submission};

use crate::choice;
use crate::measure::cost;
use crate::support::people::{alice, cron, mallory};
use crate::support::postgres;
use crate::support::shop::Shop;
use crate::sweep::drop_in;
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
    rows.push(large(&Shop::on(&server), &calm));
    rows
}

/// Submissions as large as they may be, of as many columns as a request may name.
fn large(flooded: &Shop<'_>, calm: &Shop<'_>) -> Row {
    let own = flooded
        .jit
        .path("var/lib/jit/inbox")
        .join(mallory().uid.to_string());
    let columns: Vec<ColumnName> = (0..1000)
        .map(|n| ColumnName::from(format!("{n:054}")))
        .collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..choice::rounds().min(3) {
        for n in 0..1000 {
            let submission = Submission {
                v: 1,
                nonce: format!("{round:016}{n:016}"),
                act: Act::Request(AskAct {
                    target: "shop".into(),
                    tables: vec![TableColumns {
                        table: TableName::new(flooded.schema(), "customers"),
                        columns: columns.clone(),
                    }],
                    ttl: Ttl::from_secs(3600),
                    reason: "a flood".into(),
                    purpose: None,
                    ticket: None,
                    extends: None,
                }),
            };
            let bytes = serde_json::to_vec(&submission).expect("plain data");
            assert!(
                (55 * 1024..LARGEST_SUBMISSION).contains(&bytes.len()),
                "{}",
                bytes.len()
            );
            drop_in(&own, &mallory(), &format!("{n:06}"), &bytes);
        }
        for (shop, side) in [(flooded, &mut ours), (calm, &mut theirs)] {
            let id = shop.ask(&alice(), "email", "1h", &["--purpose", "support"]);
            side.push(cost(&mut shop.jit.command(&cron(), &["sweep"])));
            assert_eq!(shop.state(&id), "active", "a flood delays nobody else");
        }
    }
    Row {
        what: "sweep, 1000 submissions of 1,000 columns of one flooder".into(),
        against: "without them".into(),
        ours,
        theirs,
        goal: Goal::None,
    }
}
