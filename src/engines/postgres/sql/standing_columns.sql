-- How our rows on columns stand. $1 oid[] relations, $2 int2[] attnums, $3 oid[] grantees, $4 oid[] grantors
SELECT w.nr::int4,
       n.nspname::text, c.relname::text, a.attname::text, r.rolname::text,
       x.is_grantable
FROM unnest($1::oid[], $2::int2[], $3::oid[], $4::oid[]) WITH ORDINALITY AS w (relid, attnum, role, grantor, nr)
LEFT JOIN pg_class c ON c.oid = w.relid
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = w.attnum AND NOT a.attisdropped
LEFT JOIN pg_roles r ON r.oid = w.role
LEFT JOIN LATERAL (
  SELECT e.is_grantable FROM aclexplode(a.attacl) e
  WHERE e.privilege_type = 'SELECT' AND e.grantee = w.role AND e.grantor = w.grantor
) x ON true
