SELECT doc FROM holds ORDER BY number
