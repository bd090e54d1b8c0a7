//! Figures, not laws: `cargo test --lib policy::tests::figures -- --ignored --nocapture`.
