INSERT OR ROLLBACK INTO events (request, line) VALUES (?1, ?2)
