-- Few: open ones whose time to be granted is over. Goes on in requests_found.sql.
WHERE r.number IN (
  SELECT number FROM requests INDEXED BY requests_by_lapse
  WHERE lapses_at <= :lapsing_by AND waits IS NOT NULL
