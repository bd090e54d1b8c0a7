SELECT doc FROM leases INDEXED BY leases_by_key WHERE live IS NOT NULL ORDER BY request, position
