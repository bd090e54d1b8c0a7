-- Who keeps everybody out of these relations: $1 oid[]
SELECT DISTINCT s.pid, s.usename::text, l.relation::regclass::text
FROM pg_locks l
JOIN pg_stat_activity s ON s.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
  AND l.relation = ANY ($1::oid[]) AND l.mode = 'AccessExclusiveLock'
ORDER BY 1
LIMIT 5
