-- Views that show columns of these relations and that these accounts may select from: pairs of
-- $1 oid[] relations and $2 oid[] accounts. attnum 0: the whole row. Views that read with the caller's rights
-- (security_invoker, 15 and later) end with the lease and are left out.
SELECT DISTINCT p.relid, d.refobjsubid::int2, p.role, n.nspname::text, v.relname::text
FROM unnest($1::oid[], $2::oid[]) AS p (relid, role)
JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = p.relid
  AND d.classid = 'pg_rewrite'::regclass
JOIN pg_rewrite w ON w.oid = d.objid
JOIN pg_class v ON v.oid = w.ev_class AND v.oid <> p.relid AND v.relkind IN ('v', 'm')
JOIN pg_namespace n ON n.oid = v.relnamespace
WHERE has_any_column_privilege(p.role, v.oid, 'SELECT')
  AND has_schema_privilege(p.role, n.oid, 'USAGE')
  AND NOT coalesce(v.reloptions::text[] && ARRAY['security_invoker=true', 'security_invoker=on',
                                               'security_invoker=1', 'security_invoker=yes'], false)
ORDER BY 4, 5
