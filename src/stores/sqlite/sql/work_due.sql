-- Goes on from live_targets.sql: what each target has to take, as a weight and no count, for a lease that is due in two
-- ways counts twice. Cost: a step down the index for each target, and what is due, from the indexes alone.
, due (target, leases) AS (
  SELECT f.target,
    (SELECT count(*) FROM leases INDEXED BY leases_by_expiry
     WHERE live IS NOT NULL AND target = f.target AND expires_at <= :at)
    + (SELECT count(*) FROM leases INDEXED BY leases_by_boot
       WHERE live IS NOT NULL AND target = f.target AND boot = :boot AND boot_due <= :boot_millis)
  FROM found AS f WHERE f.target IS NOT NULL
  UNION ALL
  SELECT r.target, count(*)
  FROM requests AS r INDEXED BY requests_by_state
  CROSS JOIN leases AS l ON l.request = r.id
  WHERE r.state = 'revoking' AND l.live IS NOT NULL
  GROUP BY r.target
)
SELECT target, sum(leases) FROM due GROUP BY target HAVING sum(leases) > 0
