-- All rows that our grantor gave on schemas. $1 oid grantor
SELECT n.oid, x.grantee, n.nspname::text, r.rolname::text
FROM pg_namespace n
CROSS JOIN LATERAL aclexplode(n.nspacl) x
LEFT JOIN pg_roles r ON r.oid = x.grantee
WHERE x.privilege_type = 'USAGE' AND x.grantor = $1::oid
ORDER BY 1, 2
