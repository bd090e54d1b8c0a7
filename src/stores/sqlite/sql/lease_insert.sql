INSERT OR ROLLBACK INTO leases
  (request, position, target, state, live, doc, column_name, key, stamp, expires_at, boot, boot_due, ended_at, note)
VALUES
  (:request, :position, :target, :state, :live, :doc, :column, :key, :stamp, :expires_at, :boot, :boot_due, :ended_at,
   :note)
