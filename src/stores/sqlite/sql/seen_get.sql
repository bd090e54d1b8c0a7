SELECT seen_at, seen_boot, seen_boot_millis FROM ledger
