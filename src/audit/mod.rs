//! The audit trail: what an event is and how lines are chained (pure), and the file they are written to.

pub mod chain;
pub mod event;
pub mod journal;
