INSERT OR ROLLBACK INTO leases
  (request, position, target, state, live, doc, column_name, key, stamp, expires_at, boot, boot_due, ended_at, note)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
