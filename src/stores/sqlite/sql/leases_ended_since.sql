SELECT d.doc, l.state, l.ended_at, l.note
FROM leases AS l INDEXED BY leases_by_end
CROSS JOIN lease_docs AS d ON d.number = l.number
WHERE l.target = :target AND l.ended_at IS NOT NULL AND l.ended_at >= :since
ORDER BY l.ended_at
