INSERT INTO ledger (only, id, seen_at, seen_boot, seen_boot_millis) VALUES (1, ?1, ?2, ?3, ?4)
