-- Begins in requests_whole.sql.
WHERE r.id = ?1
