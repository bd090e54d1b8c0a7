//! PURE. Sealing lines into a chain, and checking one.
