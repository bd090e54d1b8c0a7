-- Few: those whose id begins so. Goes on in requests_found.sql.
WHERE r.number IN (
  SELECT number FROM requests INDEXED BY sqlite_autoindex_requests_1
  WHERE id >= :prefix AND id < :prefix_end
