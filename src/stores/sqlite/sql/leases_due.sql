-- The live leases of a target whose time is over by either clock or whose request is being revoked, and every other
-- live lease that shares a privilege with one of them. Cost: what is due; the + keeps
-- the planner from going through all live leases of the target for each request.
WITH due (key) AS (
  SELECT key FROM leases INDEXED BY leases_by_expiry
  WHERE live IS NOT NULL AND target = :target AND expires_at <= :at
  UNION
  SELECT key FROM leases INDEXED BY leases_by_boot
  WHERE live IS NOT NULL AND target = :target AND boot = :boot AND boot_due <= :boot_millis
  UNION
  SELECT l.key
  FROM requests AS r INDEXED BY requests_by_state
  CROSS JOIN leases AS l ON l.request = r.id
  WHERE r.state = 'revoking' AND l.live IS NOT NULL AND +l.target = :target
)
SELECT l.request, l.position, l.target, l.doc, l.column_name, l.key, l.stamp, l.expires_at, l.boot, l.boot_due,
  l.state, l.ended_at, l.note
FROM due
CROSS JOIN leases AS l INDEXED BY leases_by_key ON l.key = due.key
WHERE l.live IS NOT NULL AND l.target = :target
ORDER BY l.request, l.position
