//! The audit file: append, fsync, recover.
