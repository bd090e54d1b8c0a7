-- Columns of relations by name. $1 text[] schemas, $2 text[] tables, $3 oid our grantor
SELECT a.attrelid, a.attnum, a.attname::text,
       CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
       EXISTS (SELECT FROM aclexplode(a.attacl) x
               WHERE x.grantee = $3::oid AND x.privilege_type = 'SELECT' AND x.is_grantable)
FROM (SELECT DISTINCT c.oid
      FROM unnest($1::text[], $2::text[]) AS w (sch, tab)
      JOIN pg_namespace n ON n.nspname = w.sch::name
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.tab::name) c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
ORDER BY a.attrelid, a.attnum
