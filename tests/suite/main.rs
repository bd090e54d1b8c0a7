//! The law book: one file a law or a feature, on real servers and with real users. One program, so that each
//! server is started once. See `support`.

mod commands;
mod crash;
mod demo;
mod engine_mysql;
mod engine_postgres;
mod house;
mod journal;
mod ledger;
mod mailboxes;
mod names;
mod people;
mod policies;
mod readme;
mod servers;
mod settings;
mod size;
mod standing;
mod story;
mod support;
