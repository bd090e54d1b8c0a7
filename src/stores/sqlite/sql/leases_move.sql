-- As lease_move.sql, for those between two positions.
UPDATE OR ROLLBACK leases
SET state = ?1, note = ?2, stamp = CASE WHEN ?3 THEN ?4 ELSE stamp END
WHERE request = ?5 AND position BETWEEN ?6 AND ?7 AND live IS NOT NULL
