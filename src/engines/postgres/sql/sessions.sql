-- Sessions that hold a lock on a relation, of an account or of a role that can act for it: pairs of
-- $1 oid[] relations and $2 oid[] accounts. Locks and user names show to everybody, states only to some
-- (facts-postgres, "Sessions at the moment of revoke").
WITH RECURSIVE
pair AS (SELECT DISTINCT p.relid, p.role FROM unnest($1::oid[], $2::oid[]) AS p (relid, role)),
actor (account, role) AS (
  SELECT DISTINCT role, role FROM pair
  UNION
  SELECT a.account, m.member FROM actor a JOIN pg_auth_members m ON m.roleid = a.role
  WHERE coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true)
     OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true)
)
SELECT DISTINCT s.pid, s.usesysid, s.usename::text, n.nspname::text, c.relname::text, s.state,
       to_char(s.xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS"Z"')
FROM pair p
JOIN actor a ON a.account = p.role
JOIN pg_stat_activity s ON s.usesysid = a.role
JOIN pg_locks l ON l.pid = s.pid AND l.locktype = 'relation' AND l.relation = p.relid AND l.granted
  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
JOIN pg_class c ON c.oid = p.relid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.pid <> pg_backend_pid()
ORDER BY 1, 4, 5
