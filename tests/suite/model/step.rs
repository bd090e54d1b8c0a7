//! What can happen, as data: a person's act, a DBA's statement, a sweep, a fault. Every step may come at any time;
//! where it makes no sense it does nothing, so that a failing sequence stays one when steps are taken out of it.

use jit::failpoint::PLACES;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Names that a table or a column may have. The policies are about the first table.
pub const TABLES: [&str; 3] = ["customers", "archive", "spare"];
pub const COLUMNS: [&str; 3] = ["email", "phone", "extra"];
/// The accounts of the two people who ask.
pub const ACCOUNTS: [&str; 2] = ["jitalice", "jitbob"];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Bit 0 of `columns` is `email`, bit 1 `phone`. `auto`: the policy approves it; otherwise dave or carol must.
    Ask {
        who: usize,
        columns: u8,
        minutes: u16,
        auto: bool,
    },
    Extend {
        request: usize,
        minutes: u16,
    },
    Approve {
        request: usize,
    },
    Deny {
        request: usize,
    },
    Cancel {
        request: usize,
    },
    Return {
        request: usize,
    },
    Revoke {
        request: usize,
    },
    /// The kill switch: everything (0), all of alice's (1), the column `email` (2).
    Stop {
        scope: u8,
    },
    Resume,
    /// A person decides about what is disputed.
    Settle {
        request: usize,
        keep: bool,
    },
    Wait {
        minutes: u16,
    },
    /// The policies protect `phone`, or do not.
    Policy {
        phone: bool,
    },
    /// The policy file cannot be read any more.
    Break,
    Mend,
    Sweep,
    TwoSweeps,
    /// SIGKILL at the `nth` time that this place is reached; then what a DBA does; then a sweep.
    KilledAt {
        place: String,
        nth: usize,
        then: Option<Dba>,
    },
    /// SIGKILL after so many milliseconds.
    KilledAfter {
        millis: u16,
        then: Option<Dba>,
    },
    /// `kill -9` of the server so many milliseconds after a sweep began; it starts again; a sweep.
    ServerDies {
        millis: u16,
    },
    Dba(Dba),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dba {
    /// SELECT on a column, or on the whole table.
    Grant {
        who: usize,
        table: usize,
        column: Option<usize>,
    },
    Take {
        who: usize,
        table: usize,
        column: Option<usize>,
    },
    /// Postgres: takes, or gives, as our own grantor.
    TakeOurs {
        who: usize,
        column: usize,
    },
    GiveAsUs {
        who: usize,
        column: usize,
    },
    RenameColumn {
        table: usize,
        from: usize,
        to: usize,
    },
    SwapColumns {
        table: usize,
    },
    AddColumn {
        table: usize,
        column: usize,
    },
    DropColumn {
        table: usize,
        column: usize,
    },
    RenameTable {
        from: usize,
        to: usize,
    },
    SwapTables,
    CreateTable {
        table: usize,
    },
    DropTable {
        table: usize,
    },
    DropAccount {
        who: usize,
    },
    CreateAccount {
        who: usize,
    },
    /// Postgres: the two accounts exchange their names.
    SwapAccounts,
    /// `jit setup --apply`, as after every change of tables.
    SetUp,
}

/// A sequence of steps.
pub fn sequence(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), longest / 2..=longest)
}

fn step() -> impl Strategy<Value = Step> {
    let request = 0..12_usize;
    // Never a multiple of the waits: whether a lease is over must not depend on how long the test takes.
    let minutes = || prop_oneof![3 => Just(62_u16), 2 => Just(10_u16)];
    let ask = (0..2_usize, 1..4_u8, minutes(), prop::bool::weighted(0.7)).prop_map(
        |(who, columns, minutes, auto)| Step::Ask {
            who,
            columns,
            minutes,
            auto,
        },
    );
    let act =
        (0..7_u8, request, minutes(), prop::bool::ANY).prop_map(|(act, request, minutes, keep)| {
            match act {
                0 | 1 => Step::Approve { request },
                2 => Step::Deny { request },
                3 => Step::Cancel { request },
                4 => Step::Revoke { request },
                5 => Step::Extend { request, minutes },
                _ => Step::Settle { request, keep },
            }
        });
    let give_back = (0..12_usize).prop_map(|request| Step::Return { request });
    let house = prop_oneof![
        4 => prop_oneof![Just(4_u16), Just(8), Just(12), Just(64)].prop_map(|minutes| Step::Wait { minutes }),
        1 => (0..3_u8).prop_map(|scope| Step::Stop { scope }),
        2 => Just(Step::Resume),
        1 => prop::bool::weighted(0.7).prop_map(|phone| Step::Policy { phone }),
        1 => prop_oneof![1 => Just(Step::Break), 3 => Just(Step::Mend)],
    ];
    let fault = prop_oneof![
        1 => Just(Step::TwoSweeps),
        5 => (1..60_usize, prop::option::weighted(0.4, dba()))
            .prop_map(|(nth, then)| Step::KilledAt { place: "any".to_owned(), nth, then }),
        2 => (prop::sample::select(PLACES), 1..4_usize, prop::option::weighted(0.4, dba()))
            .prop_map(|(place, nth, then)| Step::KilledAt { place: place.to_owned(), nth, then }),
        2 => (20..250_u16, prop::option::weighted(0.4, dba()))
            .prop_map(|(millis, then)| Step::KilledAfter { millis, then }),
        1 => (20..250_u16).prop_map(|millis| Step::ServerDies { millis }),
    ];
    prop_oneof![
        5 => ask,
        4 => act,
        2 => give_back,
        3 => house,
        5 => Just(Step::Sweep),
        4 => fault,
        5 => dba().prop_map(Step::Dba),
    ]
}

fn dba() -> impl Strategy<Value = Dba> {
    // Mostly about the protected table and its columns.
    let table = || prop_oneof![4 => Just(0_usize), 1 => 1..3_usize];
    let column = || 0..3_usize;
    let privilege = (
        0..2_usize,
        table(),
        prop::option::weighted(0.75, column()),
        prop::bool::ANY,
    )
        .prop_map(|(who, table, column, give)| {
            if give {
                Dba::Grant { who, table, column }
            } else {
                Dba::Take { who, table, column }
            }
        });
    let as_us = (0..2_usize, 0..2_usize, prop::bool::ANY).prop_map(|(who, column, give)| {
        if give {
            Dba::GiveAsUs { who, column }
        } else {
            Dba::TakeOurs { who, column }
        }
    });
    let columns =
        (table(), column(), column(), 0..4_u8).prop_map(|(table, from, to, what)| match what {
            0 => Dba::RenameColumn { table, from, to },
            1 => Dba::SwapColumns { table },
            2 => Dba::AddColumn {
                table,
                column: from,
            },
            _ => Dba::DropColumn {
                table,
                column: from,
            },
        });
    let tables = (table(), table(), 0..5_u8).prop_map(|(from, to, what)| match what {
        0 => Dba::RenameTable { from, to },
        1 => Dba::SwapTables,
        2 | 3 => Dba::CreateTable { table: from },
        _ => Dba::DropTable { table: from },
    });
    let accounts = (0..2_usize, 0..4_u8).prop_map(|(who, what)| match what {
        0 => Dba::DropAccount { who },
        1 | 2 => Dba::CreateAccount { who },
        _ => Dba::SwapAccounts,
    });
    prop_oneof![
        5 => privilege,
        2 => as_us,
        3 => columns,
        2 => tables,
        2 => accounts,
        3 => Just(Dba::SetUp),
    ]
}
