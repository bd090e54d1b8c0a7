-- Begins in requests_whole.sql.
WHERE r.id IN (SELECT value FROM json_each(?1))
