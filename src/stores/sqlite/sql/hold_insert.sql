INSERT INTO holds (number, resumed_at, doc) VALUES (?1, ?2, ?3)
