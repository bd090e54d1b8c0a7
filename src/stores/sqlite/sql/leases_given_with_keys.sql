WITH wanted (key) AS (SELECT DISTINCT value FROM json_each(:keys))
SELECT l.doc
FROM wanted
CROSS JOIN leases AS l INDEXED BY leases_by_key ON l.key = wanted.key
WHERE l.live IS NOT NULL AND l.target = :target AND l.state <> 'owed'
ORDER BY l.request, l.position
