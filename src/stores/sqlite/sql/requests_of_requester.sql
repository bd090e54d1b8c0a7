-- One person's, newest first. Goes on in requests_found.sql.
WHERE r.number IN (
  SELECT number FROM requests INDEXED BY requests_by_requester
  WHERE requester = :requester
