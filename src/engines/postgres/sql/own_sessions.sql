-- Other sessions of our own login in this database that are in the middle of something for these requests, by
-- their name or their statement's comment. $1 text[] ids, $2 text the name of a session that serves many.
SELECT s.pid, s.usesysid
FROM pg_stat_activity s
WHERE s.usename = session_user AND s.datname = current_database() AND s.pid <> pg_backend_pid()
  AND s.state IS DISTINCT FROM 'idle'
  AND (s.application_name = $2::text
    OR EXISTS (SELECT FROM unnest($1::text[]) AS u (id)
               WHERE strpos(s.application_name, u.id) > 0 OR strpos(s.query, u.id) > 0))
