UPDATE OR ROLLBACK lease_docs SET doc = :doc
WHERE number = (
  SELECT number FROM leases
  WHERE request = :request AND position = :position AND live IS NOT NULL
    AND target = :target AND key = :key AND expires_at = :expires_at
)
