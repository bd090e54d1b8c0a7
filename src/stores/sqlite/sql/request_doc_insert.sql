INSERT OR ROLLBACK INTO request_docs (number, doc) VALUES (?1, ?2)
