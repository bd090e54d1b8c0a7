INSERT OR ROLLBACK INTO leases (request, position, target, state, key, expires_at, boot, boot_due, ended_at, note)
VALUES (:request, :position, :target, :state, :key, :expires_at, :boot, :boot_due, :ended_at, :note)
