//! The audit trail: what an event is, how lines are chained and checked (pure), and the files they are kept in.

pub mod chain;
pub mod event;
pub mod journal;
pub mod trail;
pub mod verify;
