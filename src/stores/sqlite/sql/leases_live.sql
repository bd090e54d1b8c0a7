SELECT l.request, l.position, l.target, l.doc, l.column_name, l.key, l.stamp, l.expires_at, l.boot, l.boot_due,
  l.state, l.ended_at, l.note
FROM leases AS l INDEXED BY leases_by_key
WHERE l.live IS NOT NULL
ORDER BY l.request, l.position
