//! `jit`: just-in-time access to protected database columns.
//!
//! The rooms, and which way imports may run (a test holds this):
//!
//! ```text
//! main → commands → workflow → { access, policy, audit, engines, stores }
//! ```
//!
//! - `access`, `policy`, `audit::event`, `audit::chain` are pure: no clock, no file, no socket.
//! - the lower rooms may know `access`; stores may know `audit::{event, chain}`; engines and stores never meet.
//! - only `commands` knows `ui` and `settings`.
#![forbid(unsafe_code)]

pub mod access;
pub mod audit;
pub mod cli;
pub mod commands;
pub mod engines;
pub mod failpoint;
pub mod failure;
pub mod identity;
pub mod policy;
pub mod settings;
pub mod stores;
pub mod ui;
pub mod workflow;
pub mod yaml;
