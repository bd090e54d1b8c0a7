-- Both clocks move on together or not at all, so that the pair always shows one moment.
UPDATE ledger SET seen_at = ?1, seen_boot = ?2, seen_boot_millis = ?3 WHERE seen_at < ?1
