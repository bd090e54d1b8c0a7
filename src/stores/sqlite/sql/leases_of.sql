SELECT d.doc, l.state, l.ended_at, l.note
FROM leases AS l
CROSS JOIN lease_docs AS d ON d.number = l.number
WHERE l.request = :request
ORDER BY l.request, l.position
