//! What breaks around `jit` while it works. After each fault one sweep must be enough for the invariant of
//! `support::invariant`: nothing is left behind, whatever breaks.
//!
//! `make test` plays some rounds of each; `make torture SEED=… MINUTES=…` goes on for as long as it is told.

mod clocks;
mod crowd;
mod late;
mod load;
mod networks;
mod power;
mod servers;
mod targets;
mod wires;
