-- The end of each statement that finds requests by requests_whole.sql: what else they must be, and their order. Numbers
-- are put in order, and then the documents read: those could fill the memory.
    AND (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
    AND (:requester IS NULL OR requester = :requester)
    AND (:target IS NULL OR target = :target)
    AND (:lapsing_by IS NULL OR lapses_at <= :lapsing_by)
    AND (:ended_since IS NULL OR ended_at >= :ended_since)
    AND (:prefix IS NULL OR (id >= :prefix AND id < :prefix_end))
  ORDER BY number DESC
  LIMIT :limit
)
ORDER BY r.number DESC
