SELECT l.request, l.position, l.target, l.doc, l.column_name, l.key, l.stamp, l.expires_at, l.boot, l.boot_due,
  l.state, l.ended_at, l.note
FROM leases AS l INDEXED BY leases_by_end
WHERE l.target = :target AND l.ended_at IS NOT NULL AND l.ended_at >= :since
ORDER BY l.ended_at
