SELECT name FROM people WHERE uid = ?1
