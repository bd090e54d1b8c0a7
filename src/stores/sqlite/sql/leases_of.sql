SELECT doc FROM leases WHERE request = ?1 ORDER BY request, position
