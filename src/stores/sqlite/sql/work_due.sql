-- What each target has to take, as a weight and no count: a lease that is due in two ways counts twice.
-- Cost: a step down the index for each target, and what is due, from the indexes alone.
WITH RECURSIVE found (target) AS (
  SELECT (SELECT target FROM leases INDEXED BY leases_by_key WHERE live IS NOT NULL AND target >= ''
          ORDER BY target LIMIT 1)
  UNION ALL
  SELECT (SELECT l.target FROM leases AS l INDEXED BY leases_by_key
          WHERE l.live IS NOT NULL AND l.target > found.target ORDER BY l.target LIMIT 1)
  FROM found WHERE found.target IS NOT NULL
),
due (target, leases) AS (
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
