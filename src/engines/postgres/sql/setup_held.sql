-- Everything in this database, and of the cluster, that a role was given. $1 oid role
SELECT 'column' AS kind, n.nspname::text AS sch, c.relname::text AS obj, a.attname::text AS col,
       x.privilege_type, x.is_grantable, pg_get_userbyid(c.relowner)::text AS owner,
       pg_get_userbyid(x.grantor)::text AS grantor
FROM pg_attribute a
CROSS JOIN LATERAL aclexplode(a.attacl) x
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND x.grantee = $1::oid
UNION ALL
SELECT 'table', n.nspname::text, c.relname::text, NULL, x.privilege_type, x.is_grantable,
       pg_get_userbyid(c.relowner)::text, pg_get_userbyid(x.grantor)::text
FROM pg_class c
CROSS JOIN LATERAL aclexplode(c.relacl) x
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE x.grantee = $1::oid
UNION ALL
SELECT 'schema', n.nspname::text, NULL, NULL, x.privilege_type, x.is_grantable,
       pg_get_userbyid(n.nspowner)::text, pg_get_userbyid(x.grantor)::text
FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) x
WHERE x.grantee = $1::oid
UNION ALL
SELECT 'database', NULL, d.datname::text, NULL, x.privilege_type, x.is_grantable,
       pg_get_userbyid(d.datdba)::text, pg_get_userbyid(x.grantor)::text
FROM pg_database d CROSS JOIN LATERAL aclexplode(d.datacl) x
WHERE x.grantee = $1::oid AND d.datname = current_database()
UNION ALL
SELECT 'function', NULL, f.oid::regprocedure::text, NULL, x.privilege_type, x.is_grantable,
       pg_get_userbyid(f.proowner)::text, pg_get_userbyid(x.grantor)::text
FROM pg_proc f CROSS JOIN LATERAL aclexplode(f.proacl) x
WHERE x.grantee = $1::oid
ORDER BY 1, 2, 3, 4
