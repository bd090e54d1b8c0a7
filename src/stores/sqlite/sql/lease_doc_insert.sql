INSERT OR ROLLBACK INTO lease_docs (number, doc) VALUES (?1, ?2)
