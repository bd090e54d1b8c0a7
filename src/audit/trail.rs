//! Reads trails for the verifier.
