SELECT doc FROM requests WHERE id = ?1
