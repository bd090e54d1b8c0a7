-- From the index alone.
SELECT key FROM leases INDEXED BY leases_by_key WHERE live IS NOT NULL AND target = ?1
