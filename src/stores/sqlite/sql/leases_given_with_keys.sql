WITH wanted (key) AS (SELECT DISTINCT value FROM json_each(:keys))
SELECT d.doc, l.state, l.ended_at, l.note
FROM wanted
CROSS JOIN leases AS l INDEXED BY leases_by_key ON l.key = wanted.key
CROSS JOIN lease_docs AS d ON d.number = l.number
WHERE l.live IS NOT NULL AND l.target = :target AND l.state <> 'owed'
ORDER BY l.request, l.position
