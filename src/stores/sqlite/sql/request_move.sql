UPDATE OR ROLLBACK requests
SET state = ?3, granted_at = ?4, expires_at = ?5, ended = ?6, ended_at = coalesce(ended_at, ?7), outcome = ?8
WHERE id = ?1 AND state = ?2
