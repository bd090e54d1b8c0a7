UPDATE ledger SET seen_at = ?1, seen_boot = ?2, seen_boot_millis = ?3
