-- How our rows on schemas stand. $1 oid[] namespaces, $2 oid[] grantees, $3 oid[] grantors
SELECT w.nr::int4, n.nspname::text, r.rolname::text, x.is_grantable
FROM unnest($1::oid[], $2::oid[], $3::oid[]) WITH ORDINALITY AS w (nspid, role, grantor, nr)
LEFT JOIN pg_namespace n ON n.oid = w.nspid
LEFT JOIN pg_roles r ON r.oid = w.role
LEFT JOIN LATERAL (
  SELECT e.is_grantable FROM aclexplode(n.nspacl) e
  WHERE e.privilege_type = 'USAGE' AND e.grantee = w.role AND e.grantor = w.grantor
) x ON true
