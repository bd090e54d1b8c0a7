UPDATE OR ROLLBACK leases SET state = :state, ended_at = :ended_at, note = :note
WHERE request = :request AND position = :position AND live IS NOT NULL
