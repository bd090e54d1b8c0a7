UPDATE OR ROLLBACK requests
SET state = :state, granted_at = :granted_at, expires_at = :expires_at, ended = :ended,
    ended_at = coalesce(ended_at, :ended_at), outcome = :outcome
WHERE id = :id AND state = :was
