SELECT doc FROM lease_docs WHERE number = ?1
