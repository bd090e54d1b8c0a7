-- Our rows on some schemas, for some roles. $1 oid[] namespaces, $2 oid[] grantees, $3 oid grantor
SELECT n.oid, x.grantee, x.is_grantable
FROM pg_namespace n, aclexplode(n.nspacl) x
WHERE n.oid = ANY ($1::oid[])
  AND x.privilege_type = 'USAGE' AND x.grantor = $3::oid AND x.grantee = ANY ($2::oid[])
