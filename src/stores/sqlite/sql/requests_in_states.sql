-- As many as are in these states. Goes on in requests_found.sql.
WHERE r.number IN (
  SELECT number FROM requests INDEXED BY requests_by_state
  WHERE state IN (SELECT value FROM json_each(:states))
