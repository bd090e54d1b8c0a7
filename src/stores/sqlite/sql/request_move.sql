UPDATE OR ROLLBACK requests
SET state = :state, granted_at = :granted_at, expires_at = :expires_at, ended = :ended,
    ended_at = CASE WHEN final THEN ended_at ELSE :ended_at END, outcome = :outcome
WHERE id = :id AND state = :was
