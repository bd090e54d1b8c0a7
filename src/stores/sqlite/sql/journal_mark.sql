SELECT journal_seq, journal_file FROM ledger
