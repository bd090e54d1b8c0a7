WITH held (doc) AS (
  SELECT DISTINCT doc FROM leases INDEXED BY leases_by_key WHERE live IS NOT NULL AND target = ?1
)
SELECT DISTINCT d.doc -> '$.server'
FROM held CROSS JOIN lease_docs AS d ON d.number = held.doc
