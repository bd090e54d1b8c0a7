UPDATE holds SET resumed_at = ?2, doc = ?3 WHERE number = ?1 AND resumed_at IS NULL
