SELECT doc FROM holds WHERE resumed_at IS NULL ORDER BY number
