-- As many as have ended since. Goes on in requests_found.sql.
WHERE r.number IN (
  SELECT number FROM requests INDEXED BY requests_by_end
  WHERE ended_at >= :ended_since AND ended_at IS NOT NULL
