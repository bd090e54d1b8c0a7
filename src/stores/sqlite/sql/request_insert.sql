INSERT OR ROLLBACK INTO requests (id, state, requester, target, lapses_at, granted_at, expires_at, ended, ended_at, outcome)
VALUES (:id, :state, :requester, :target, :lapses_at, :granted_at, :expires_at, :ended, :ended_at, :outcome)
