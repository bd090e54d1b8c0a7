-- Of the live leases of a target whose time is over by either clock or whose request is being revoked: which request,
-- which privilege. Cost: what is due; the + keeps the planner from going through all live leases of the target
-- for each request.
SELECT request, key FROM leases INDEXED BY leases_by_expiry
WHERE live IS NOT NULL AND target = :target AND expires_at <= :at
UNION
SELECT request, key FROM leases INDEXED BY leases_by_boot
WHERE live IS NOT NULL AND target = :target AND boot = :boot AND boot_due <= :boot_millis
UNION
SELECT l.request, l.key
FROM requests AS r INDEXED BY requests_by_state
CROSS JOIN leases AS l ON l.request = r.id
WHERE r.state = 'revoking' AND l.live IS NOT NULL AND +l.target = :target
ORDER BY 2, 1
