-- One target's, newest first. Goes on in requests_found.sql.
SELECT doc FROM requests WHERE number IN (
  SELECT number FROM requests INDEXED BY requests_by_target
  WHERE target = :target
