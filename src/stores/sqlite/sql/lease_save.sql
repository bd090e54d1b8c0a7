UPDATE OR ROLLBACK leases
SET doc = :doc, column_name = :column, stamp = :stamp, state = :state, live = :live, ended_at = :ended_at, note = :note
WHERE request = :request AND position = :position AND live IS NOT NULL
  AND target = :target AND key = :key AND expires_at = :expires_at
