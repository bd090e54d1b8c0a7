-- The targets with live leases, one step down the index a target. Goes on in lease_targets_live.sql and work_due.sql.
WITH RECURSIVE found (target) AS (
  SELECT (SELECT target FROM leases INDEXED BY leases_by_key WHERE live IS NOT NULL AND target >= ''
          ORDER BY target LIMIT 1)
  UNION ALL
  SELECT (SELECT l.target FROM leases AS l INDEXED BY leases_by_key
          WHERE l.live IS NOT NULL AND l.target > found.target ORDER BY l.target LIMIT 1)
  FROM found WHERE found.target IS NOT NULL
)
