-- Who can read what: for pairs of relation ($1 oid[]) and account ($2 oid[]), every row of an access list that
-- lets the account read a column (attnum) or the whole relation (attnum 0).
, pair AS (SELECT DISTINCT p.relid, p.role FROM unnest($1::oid[], $2::oid[]) AS p (relid, role)),
rel AS (
  SELECT c.oid, c.relacl, c.relowner FROM pg_class c
  WHERE c.oid IN (SELECT relid FROM pair)
),
ace (relid, attnum, kind, grantee, grantor) AS (
  SELECT a.attrelid, a.attnum, 'column', x.grantee, x.grantor
  FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid, aclexplode(a.attacl) x
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
    AND x.privilege_type = 'SELECT' AND x.grantee <> rel.relowner
  UNION ALL
  SELECT rel.oid, 0, 'table', x.grantee, x.grantor
  FROM rel, aclexplode(rel.relacl) x
  WHERE rel.relacl IS NOT NULL AND x.privilege_type = 'SELECT' AND x.grantee <> rel.relowner
  UNION ALL
  SELECT rel.oid, 0, 'owner', rel.relowner, NULL FROM rel
  UNION ALL
  SELECT rel.oid, 0, 'all', r.oid, NULL FROM rel, pg_roles r WHERE r.rolname = 'pg_read_all_data'
),
way AS (
  SELECT p.relid, a.attnum::int2 AS attnum, p.role, a.kind, a.grantee, a.grantor, r.how
  FROM pair p
  JOIN ace a ON a.relid = p.relid
  JOIN reach r ON r.account = p.role AND r.role = a.grantee
  UNION ALL
  SELECT p.relid, a.attnum::int2, p.role, a.kind, a.grantee, a.grantor, 0
  FROM pair p JOIN ace a ON a.relid = p.relid AND a.grantee = 0
  UNION ALL
  SELECT p.relid, 0::int2, p.role, 'superuser', p.role, NULL, 0
  FROM pair p JOIN pg_roles r ON r.oid = p.role AND r.rolsuper
)
SELECT w.relid, w.attnum, w.role, w.kind, w.grantee, g.rolname::text, w.grantor, o.rolname::text, w.how
FROM way w
LEFT JOIN pg_roles g ON g.oid = w.grantee
LEFT JOIN pg_roles o ON o.oid = w.grantor
