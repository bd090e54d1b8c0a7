UPDATE requests
SET state = :state, requester = :requester, target = :target, lapses_at = :lapses_at,
    ended_at = CASE WHEN final THEN ended_at ELSE :ended_at END, doc = :doc
WHERE id = :id AND state = :was
