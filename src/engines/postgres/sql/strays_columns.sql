-- All rows that our grantor gave on columns. $1 oid grantor
SELECT a.attrelid, a.attnum, x.grantee, n.nspname::text, c.relname::text, a.attname::text, r.rolname::text
FROM pg_attribute a
CROSS JOIN LATERAL aclexplode(a.attacl) x
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_roles r ON r.oid = x.grantee
WHERE a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped
  AND x.privilege_type = 'SELECT' AND x.grantor = $1::oid
ORDER BY 1, 2, 3
