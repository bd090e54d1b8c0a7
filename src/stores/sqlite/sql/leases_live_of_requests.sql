-- The live leases of some requests on a target, and every other live lease that shares a privilege with one of them.
-- The + keeps the planner from going through all live leases of the target for each of the requests.
WITH wanted (key) AS (
  SELECT DISTINCT own.key
  FROM json_each(:requests) AS some
  CROSS JOIN leases AS own ON own.request = some.value
  WHERE own.live IS NOT NULL AND +own.target = :target
)
SELECT l.request, l.position, l.target, l.doc, l.column_name, l.key, l.stamp, l.expires_at, l.boot, l.boot_due,
  l.state, l.ended_at, l.note
FROM wanted
CROSS JOIN leases AS l INDEXED BY leases_by_key ON l.key = wanted.key
WHERE l.live IS NOT NULL AND l.target = :target
ORDER BY l.request, l.position
