UPDATE ledger SET journal_seq = ?1, journal_file = ?2
