SELECT id FROM ledger
