SELECT line FROM events INDEXED BY events_by_request WHERE request = ?1 ORDER BY seq
