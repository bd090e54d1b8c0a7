INSERT INTO people (uid, name) VALUES (?1, ?2)
ON CONFLICT (uid) DO UPDATE SET name = excluded.name WHERE name <> excluded.name
