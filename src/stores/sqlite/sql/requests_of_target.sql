-- One target's, newest first. Goes on in requests_found.sql.
WHERE r.number IN (
  SELECT number FROM requests INDEXED BY requests_by_target
  WHERE target = :target
