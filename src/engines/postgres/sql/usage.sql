-- Who may use which schema: for pairs of namespace ($1 oid[]) and account ($2 oid[]), every way there is.
, pair AS (SELECT DISTINCT p.nspid, p.role FROM unnest($1::oid[], $2::oid[]) AS p (nspid, role)),
ace (nspid, kind, grantee, grantor) AS (
  SELECT n.oid, 'schema', x.grantee, x.grantor
  FROM pg_namespace n, aclexplode(n.nspacl) x
  WHERE n.oid IN (SELECT nspid FROM pair) AND n.nspacl IS NOT NULL
    AND x.privilege_type = 'USAGE' AND x.grantee <> n.nspowner
  UNION ALL
  SELECT n.oid, 'owner', n.nspowner, NULL FROM pg_namespace n WHERE n.oid IN (SELECT nspid FROM pair)
  UNION ALL
  SELECT p.nspid, 'all', r.oid, NULL
  FROM (SELECT DISTINCT nspid FROM pair) p, pg_roles r
  WHERE r.rolname IN ('pg_read_all_data', 'pg_write_all_data')
),
way AS (
  SELECT p.nspid, p.role, a.kind, a.grantee, a.grantor, r.how
  FROM pair p
  JOIN ace a ON a.nspid = p.nspid
  JOIN reach r ON r.account = p.role AND r.role = a.grantee
  UNION ALL
  SELECT p.nspid, p.role, a.kind, a.grantee, a.grantor, 0
  FROM pair p JOIN ace a ON a.nspid = p.nspid AND a.grantee = 0
  UNION ALL
  SELECT p.nspid, p.role, 'superuser', p.role, NULL, 0
  FROM pair p JOIN pg_roles r ON r.oid = p.role AND r.rolsuper
)
SELECT w.nspid, w.role, w.kind, w.grantee, g.rolname::text, w.grantor, o.rolname::text, w.how
FROM way w
LEFT JOIN pg_roles g ON g.oid = w.grantee
LEFT JOIN pg_roles o ON o.oid = w.grantor
