-- Who keeps a REVOKE waiting (18 and later), whose session it is, and what it holds. Pairs of $1 oid[] relations and
-- $2 oid[] grantees; $3 int4 our own process that waits now, or 0: then all who have ACCESS EXCLUSIVE on one of the
-- relations or stand in its queue. Direct ones first, then those that direct ones wait for.
WITH RECURSIVE
pair AS (SELECT DISTINCT p.relid, p.role FROM unnest($1::oid[], $2::oid[]) AS p (relid, role)),
held AS MATERIALIZED (
  SELECT l.pid, l.virtualtransaction, l.relation, l.granted, l.mode = 'AccessExclusiveLock' AS alone
  FROM pg_locks l
  WHERE l.locktype = 'relation' AND l.relation IN (SELECT relid FROM pair)
    AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
),
-- The table that our process waits for; all of them where it waits for something else, such as the catalog's row.
wanted AS (
  SELECT p.relid, p.role FROM pair p
  WHERE NOT EXISTS (SELECT FROM held h WHERE h.pid = $3::int4 AND NOT h.granted)
     OR p.relid IN (SELECT h.relation FROM held h WHERE h.pid = $3::int4 AND NOT h.granted)
),
chain (pid, direct) AS (
  (SELECT b.pid, true FROM unnest(pg_blocking_pids($3::int4)) AS b (pid)
   UNION
   SELECT h.pid, true FROM held h WHERE $3::int4 = 0 AND h.alone)
  UNION
  SELECT b.pid, false FROM chain c, unnest(pg_blocking_pids(c.pid)) AS b (pid)
),
met AS (SELECT c.pid, bool_or(c.direct) AS direct FROM chain c GROUP BY c.pid)
SELECT s.pid, s.usesysid, s.usename::text AS account,
       CASE
         WHEN s.usesysid = ANY (x.roles) THEN 'grantee'
         WHEN r.oid IS NULL THEN 'server'
         WHEN r.rolsuper THEN 'superuser'
         WHEN EXISTS (SELECT FROM pg_class c
                      WHERE c.oid = ANY (x.relids)
                        AND (pg_has_role(s.usesysid, c.relowner, 'USAGE')
                          OR pg_has_role(s.usesysid, c.relowner, 'SET')
                          OR pg_has_role(s.usesysid, c.relowner, 'USAGE WITH ADMIN OPTION'))) THEN 'owner'
         WHEN EXISTS (SELECT FROM unnest(x.roles) AS g (role)
                      WHERE pg_has_role(s.usesysid, g.role, 'USAGE')
                         OR pg_has_role(s.usesysid, g.role, 'SET')) THEN 'grantee'
         ELSE 'bystander'
       END AS whose,
       m.direct,
       EXISTS (SELECT FROM held h WHERE h.pid = s.pid AND h.alone AND h.granted) AS holds,
       x.relids AS relations,
       (SELECT string_agg(DISTINCT u.relid::regclass::text, ', ') FROM unnest(x.relids) AS u (relid)
        WHERE u.relid <> 0) AS tables,
       NULL::text AS prepared
FROM met m
JOIN pg_stat_activity s ON s.pid = m.pid
LEFT JOIN pg_roles r ON r.oid = s.usesysid
CROSS JOIN LATERAL (
  SELECT array_agg(DISTINCT w.relid) AS relids, array_agg(DISTINCT w.role) AS roles
  FROM wanted w
  WHERE $3::int4 <> 0 OR w.relid IN (SELECT h.relation FROM held h WHERE h.pid = s.pid)
) x
WHERE s.pid NOT IN ($3::int4, pg_backend_pid())
  AND s.usename IS DISTINCT FROM session_user
UNION ALL
-- A prepared transaction has no session, and only its owner or a superuser can end it.
SELECT 0, NULL, p.owner::text, 'prepared', true, true, array_agg(h.relation),
       string_agg(DISTINCT h.relation::regclass::text, ', '), p.gid
FROM held h
JOIN wanted w ON w.relid = h.relation
JOIN pg_locks x ON x.locktype = 'transactionid' AND x.pid IS NULL AND x.granted
  AND x.virtualtransaction = h.virtualtransaction
JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE h.pid IS NULL AND h.alone
GROUP BY p.owner, p.gid
ORDER BY 5 DESC, 1
