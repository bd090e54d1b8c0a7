SELECT body FROM texts WHERE hash = ?1
