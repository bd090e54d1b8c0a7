//! The law book: one file a law or a feature, on real servers and with real users. One program, so that each
//! server is started once. See `support`.

mod audit_first;
mod audit_trail;
mod bad_input;
mod belonging;
mod clock;
mod commands;
mod crash;
mod demo;
mod engine_mysql;
mod engine_postgres;
mod house;
mod identity;
mod journal;
mod kill_switch;
mod leases;
mod ledger;
mod lying_server;
mod mailboxes;
mod model;
mod names;
mod outsiders;
mod people;
mod policies;
mod readme;
mod refusals;
mod servers;
mod settings;
mod size;
mod standing;
mod story;
mod support;
mod targets;
