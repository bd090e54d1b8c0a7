SELECT d.doc, r.id, r.lapses_at
FROM requests AS r INDEXED BY requests_by_state
CROSS JOIN request_docs AS d ON d.number = r.number
WHERE r.state = ?1 AND r.target = ?2
