SELECT seq, line FROM events ORDER BY seq DESC LIMIT 1
