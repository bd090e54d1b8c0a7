-- Few: open ones whose time to be granted is over. Goes on in requests_found.sql.
SELECT doc FROM requests WHERE number IN (
  SELECT number FROM requests INDEXED BY requests_by_lapse
  WHERE lapses_at <= :lapsing_by AND state IN ('submitted', 'pending', 'approved')
