SELECT doc FROM leases INDEXED BY leases_by_end
WHERE target = :target AND ended_at IS NOT NULL AND ended_at >= :since
ORDER BY request, position
