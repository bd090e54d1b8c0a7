-- Which roles an account can act as: how 0 by inheritance, 1 by SET ROLE (and what is inherited there),
-- 2 if it first gives itself a membership that it administers (facts-postgres, "Who can read").
-- Every query that starts with this takes the accounts as $2 oid[].
WITH RECURSIVE
ver AS (SELECT current_setting('server_version_num')::int >= 160000 AS v16),
account AS (SELECT DISTINCT u.role FROM unnest($2::oid[]) AS u (role)),
edge AS (
  SELECT m.member, m.roleid,
         bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::bool, r.rolinherit)) AS inh,
         bool_or(coalesce((to_jsonb(m) ->> 'set_option')::bool, true)) AS st,
         bool_or(m.admin_option) AS adm
  FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
  GROUP BY 1, 2
  UNION ALL
  SELECT d.datdba, o.oid, v.v16 OR r.rolinherit, true, false
  FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba, pg_roles o, ver v
  WHERE d.datname = current_database() AND o.rolname = 'pg_database_owner'
),
walk (account, role, inh, st, mixed, adm) AS (
  SELECT role, role, true, true, false, false FROM account
  UNION
  SELECT * FROM (
    SELECT w.account, e.roleid,
           w.inh AND e.inh AS inh,
           w.st AND e.st AS st,
           (w.st OR w.mixed) AND e.inh AS mixed,
           e.adm OR (w.adm AND (e.inh OR e.st)) AS adm
    FROM walk w JOIN edge e ON e.member = w.role
  ) next
  WHERE inh OR st OR mixed OR adm
),
reach AS (
  SELECT account, role, min(CASE WHEN inh THEN 0 WHEN st OR mixed THEN 1 ELSE 2 END) AS how
  FROM walk GROUP BY 1, 2
)
