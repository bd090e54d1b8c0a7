//! Servers and people for the tests.
