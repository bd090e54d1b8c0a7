SELECT d.doc, l.state, l.ended_at, l.note
FROM leases AS l INDEXED BY leases_by_key
CROSS JOIN lease_docs AS d ON d.number = l.number
WHERE l.live IS NOT NULL AND l.target = :target
ORDER BY l.request, l.position
