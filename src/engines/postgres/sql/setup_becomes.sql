-- Who can become our grantor or has what it has, and who could come to: $1 oid grantor.
-- how 0: now, 1: after giving itself a membership that it administers.
WITH RECURSIVE walk (role, how) AS (
  SELECT $1::oid, 0
  UNION
  SELECT m.member,
         CASE WHEN w.how = 0
               AND (coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true)
                 OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true)) THEN 0 ELSE 1 END
  FROM walk w JOIN pg_auth_members m ON m.roleid = w.role
)
SELECT r.oid, r.rolname::text, r.rolcanlogin, r.rolcreaterole, min(w.how)
FROM walk w JOIN pg_roles r ON r.oid = w.role
WHERE w.role <> $1::oid AND NOT r.rolsuper
GROUP BY 1, 2, 3, 4
UNION ALL
SELECT r.oid, r.rolname::text, r.rolcanlogin, true, 2
FROM pg_roles r
WHERE r.rolcreaterole AND NOT r.rolsuper AND r.rolcanlogin
  AND current_setting('server_version_num')::int < 160000
  AND r.oid NOT IN (SELECT role FROM walk)
ORDER BY 2
