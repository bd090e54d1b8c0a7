//! The embedded ledger: SQLite, and mailboxes in the file system.
