UPDATE OR ROLLBACK request_docs SET doc = :doc
WHERE number = (
  SELECT number FROM requests
  WHERE id = :id AND state = :was AND requester = :requester AND target = :target AND lapses_at = :lapses_at
)
