UPDATE leases
SET target = :target, state = :state, key = :key, expires_at = :expires_at, boot = :boot, boot_due = :boot_due,
    ended_at = :ended_at, doc = :doc
WHERE request = :request AND position = :position AND live IS NOT NULL
