SELECT doc FROM leases INDEXED BY leases_by_key WHERE live IS NOT NULL AND target = ?1 ORDER BY request, position
