UPDATE OR ROLLBACK leases
SET state = ?1, note = ?2, stamp = CASE WHEN ?3 THEN ?4 ELSE stamp END, live = NULL, ended_at = ?7
WHERE request = ?5 AND position = ?6 AND live IS NOT NULL
