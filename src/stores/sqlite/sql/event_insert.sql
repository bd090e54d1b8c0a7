INSERT OR ROLLBACK INTO events (seq, request, line) VALUES (?1, ?2, ?3)
