INSERT INTO requests (id, state, requester, target, lapses_at, ended_at, doc)
VALUES (:id, :state, :requester, :target, :lapses_at, :ended_at, :doc)
