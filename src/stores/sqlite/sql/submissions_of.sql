SELECT digest FROM submissions WHERE uid = ?1 ORDER BY at DESC LIMIT ?2
