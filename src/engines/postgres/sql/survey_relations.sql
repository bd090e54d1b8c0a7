-- Relations by name. $1 text[] schemas, $2 text[] tables, $3 oid our grantor.
-- Names are compared again by the caller: a cast to name cuts silently (facts-postgres, "Identifiers").
SELECT w.nr::int4, n.oid, n.nspname::text, pg_get_userbyid(n.nspowner)::text,
       c.oid, c.relname::text, c.relkind::text, pg_get_userbyid(c.relowner)::text,
       c.relrowsecurity, c.relispartition,
       n.nspname ~ '^pg_' OR n.nspname = 'information_schema',
       has_schema_privilege($3::oid, n.oid, 'USAGE'),
       EXISTS (SELECT FROM aclexplode(n.nspacl) x
               WHERE x.grantee = $3::oid AND x.privilege_type = 'USAGE' AND x.is_grantable),
       EXISTS (SELECT FROM aclexplode(c.relacl) x
               WHERE x.grantee = $3::oid AND x.privilege_type = 'SELECT' AND x.is_grantable),
       ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY 1),
       (SELECT count(*)::int4 FROM pg_inherits i WHERE i.inhparent = c.oid)
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (sch, tab, nr)
JOIN pg_namespace n ON n.nspname = w.sch::name
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.tab::name
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I', 'c')
