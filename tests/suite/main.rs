//! The law book: one file a law or a feature, on real servers and with real users. One program, so that each
//! server is started once. See `support`.

mod audit_first;
mod audit_trail;
mod clock;
mod crash;
mod engine_mysql;
mod engine_postgres;
mod house;
mod journal;
mod ledger;
mod mailboxes;
mod names;
mod outsiders;
mod people;
mod policies;
mod servers;
mod settings;
mod standing;
mod story;
mod support;
mod targets;
