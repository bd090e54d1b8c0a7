-- Our rows on columns of some tables, for some roles: one row for each table and role.
-- $1 oid[] relations, $2 oid[] grantees, $3 oid grantor
SELECT a.attrelid, x.grantee, array_agg(a.attnum),
       array_agg(a.attnum) FILTER (WHERE x.is_grantable)
FROM pg_attribute a, aclexplode(a.attacl) x
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
  AND x.privilege_type = 'SELECT' AND x.grantor = $3::oid AND x.grantee = ANY ($2::oid[])
GROUP BY 1, 2
