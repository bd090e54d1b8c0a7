//! A shop in which every sweep has something of everything to do, and what must be so when nothing breaks any more.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use jit::access::{Now, RequestId, State};
use jit::stores::{FindRequests, Ledger};
use serde_json::{Value, json};

use crate::support::forge::submission;
use crate::support::invariant::{self, Before};
use crate::support::people::{Person, alice, bob, cron, dave, mallory};
use crate::support::server::Server;
use crate::support::shop::Shop;
use crate::support::torture::{self, Chance};

const POLICY: &str = r"
version: 1
policies:
  - name: contact
    target: shop
    table: '{schema}.customers'
    columns: [email, phone, ssn]
    allow:
      - {who: [jitalice, jitbob, jitmallory], purposes: [support], max: 4h, max_total: 1000h, approval: auto}
";

// How the requests of all loads of this program ended, and how often something broke.
torture::figures!(rounds, disturbed, requests, active, ended, failed);

/// What was asked for, as the people know it.
struct Asked {
    by: Person,
    id: RequestId,
}

/// One shop for some rounds. Its clock goes ahead of the machine's, so that leases end without anybody waiting.
pub struct Load<'s> {
    pub shop: Shop<'s>,
    before: Before,
    minutes: u64,
    asked: Vec<Asked>,
}

impl<'s> Load<'s> {
    /// People can read something already, some of it in the very table that is leased.
    pub fn new(server: &'s Server) -> Self {
        let shop = Shop::with_policy(server, POLICY);
        for (what, account) in [
            ("SELECT (name)", "jitalice"),
            ("SELECT (email)", "jitbob"),
            ("SELECT (name, ssn), UPDATE (phone)", "jitcarol"),
        ] {
            shop.dba(&format!(
                "GRANT {what} ON {} TO {}",
                shop.table("customers"),
                shop.account(account)
            ));
        }
        let before = Before::of(&shop);
        Self {
            shop,
            before,
            minutes: 0,
            asked: Vec::new(),
        }
    }

    /// What people hand in before the next sweep, and time that passes.
    pub fn more(&mut self, chance: &mut Chance) {
        self.minutes += [0, 1, 20, 70][chance.below(4)];
        for _ in 0..2 + chance.below(4) {
            match chance.below(8) {
                0 if !self.asked.is_empty() => {
                    let nth = chance.below(self.asked.len());
                    let (by, id) = (self.asked[nth].by.clone(), self.asked[nth].id.clone());
                    self.hand_in(&by, json!({"do": "return", "id": id}));
                }
                1 if !self.asked.is_empty() => {
                    let id = self.asked[chance.below(self.asked.len())].id.clone();
                    let act = json!({"do": "revoke", "ids": [id], "reason": "a test"});
                    self.hand_in(&dave(), act);
                }
                _ => self.ask(chance),
            }
        }
    }

    fn ask(&mut self, chance: &mut Chance) {
        let by = [alice(), bob(), mallory()][chance.below(3)].clone();
        let sets: [&[&str]; 5] = [
            &["email"],
            &["phone"],
            &["ssn"],
            &["email", "phone"],
            &["email", "phone", "ssn"],
        ];
        // bob can read it already
        let columns = match by.name.as_str() {
            "jitbob" => sets[1 + chance.below(2)],
            _ => sets[chance.below(5)],
        };
        let ttl = ["5m", "30m", "2h"][chance.below(3)];
        let bytes = self.hand_in(&by, self.shop.ask_act(columns, ttl));
        let id = RequestId::of_submission(by.uid, &bytes);
        self.asked.push(Asked { by, id });
        FIGURES.requests.one_more();
    }

    fn hand_in(&self, person: &Person, act: Value) -> Vec<u8> {
        let bytes = submission(act);
        let name = format!("{:013}-a.json", crate::support::unique());
        self.shop.drop_into(person, &name, &bytes);
        bytes
    }

    /// A sweep by the shop's own clock. By chance it takes its time, so that faults hit all of its steps.
    pub fn sweep_command(&self, chance: &mut Chance) -> Command {
        let ahead = format!("+{}m", self.minutes);
        let mut command = self.shop.jit.command_at(&ahead, &cron(), &["sweep"]);
        match chance.below(3) {
            0 => {}
            nth => {
                command.env("JIT_FAILPOINT", ["any=slow:4", "any=slow:20"][nth - 1]);
            }
        }
        command
    }

    /// A sweep that is not waited for.
    pub fn start_sweep(&self, chance: &mut Chance) -> Child {
        self.sweep_command(chance)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is there")
    }

    /// The faults have stopped: one sweep, then the invariant. Nobody's request is left without an answer either. When
    /// the sweep began.
    #[track_caller]
    pub fn nothing_is_left_behind(&self) -> Now {
        let swept = self
            .before
            .nothing_is_left_behind_at(&self.shop, 60 * self.minutes);
        let ledger = invariant::ledger(&self.shop);
        for asked in &self.asked {
            let request = ledger.request(&asked.id).expect("readable");
            let request = request.unwrap_or_else(|| panic!("{} was lost", asked.id));
            assert!(
                request.state == State::Active || request.state.is_final(),
                "{} is {}",
                asked.id,
                request.state
            );
        }
        FIGURES.rounds.one_more();
        swept
    }

    /// Nothing has come since that sweep, which saw it.
    #[track_caller]
    pub fn is_still_so(&self, swept: &Now) {
        self.before.is_kept(&self.shop, swept);
    }

    /// Whatever can be read beyond what could be before has its intent in the ledger and in the audit file: law 1.
    #[track_caller]
    pub fn everything_given_is_written_down(&self) {
        let ledger = invariant::ledger(&self.shop);
        let text = fs::read_to_string(self.shop.jit.audit()).expect("the audit file");
        let mut events: Vec<Value> = Vec::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            match serde_json::from_str(line) {
                Ok(event) => events.push(event),
                // A write that no fsync followed may be torn; the next sweep writes that line anew.
                Err(why) => assert!(lines.peek().is_none(), "{why} in the middle: {line}"),
            }
        }
        for (cell, requests) in self.before.given_since(&self.shop, &ledger) {
            assert!(!requests.is_empty(), "no lease of {cell:?} in the ledger");
            // Another lease of the same column may be on its way, and not be told yet.
            let told = events.iter().any(|event| {
                event["event"] == "granting"
                    && requests.iter().any(|id| event["request"] == id.as_str())
                    && event["columns"]
                        .as_array()
                        .is_some_and(|all| all.contains(&json!(cell.2)))
            });
            assert!(
                told,
                "no intent of {cell:?} by {requests:?} in the audit file"
            );
        }
    }

    /// Counts how the requests ended.
    pub fn end(self) {
        let ledger = invariant::ledger(&self.shop);
        let requests = ledger.requests(&FindRequests::default()).expect("readable");
        for request in requests {
            let figure = match request.state {
                State::Active => &FIGURES.active,
                State::Ended => &FIGURES.ended,
                _ => &FIGURES.failed,
            };
            figure.one_more();
        }
    }
}

/// Says how often faults struck, which must be often.
#[track_caller]
pub fn struck(server: &Server, begun: Instant, strikes: usize, faults: usize) {
    eprintln!(
        "{server:?}: from seed {}, {:.0} s; {strikes} of {faults} faults struck; {FIGURES}",
        torture::seed(),
        begun.elapsed().as_secs_f64()
    );
    assert!(strikes * 2 > faults, "the faults hit nothing");
}

/// What a sweep says under a fault is its own affair, but it ends by itself and in order.
#[track_caller]
pub fn ends_in_order(sweep: Child) {
    let output = sweep.wait_with_output().expect("our own child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code().is_some_and(|code| code < 10),
        "{}: {said}",
        output.status
    );
    assert!(!said.contains("panicked"), "{said}");
    if output.status.code() != Some(0) {
        FIGURES.disturbed.one_more();
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "so far {} rounds, {} sweeps that did not end well, {} requests ({} active at the end, {} ended, {} refused or failed)",
            self.rounds, self.disturbed, self.requests, self.active, self.ended, self.failed
        )
    }
}
