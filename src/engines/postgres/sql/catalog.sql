-- Tables and columns that can be leased, in catalog order: those with these names ($1 schemas, $2 tables, pair by
-- pair), and those like one of these patterns ($3 and $4). Cost: a look at each table's name, and the columns of those
-- that are meant.
SELECT n.nspname::text, c.relname::text,
  ARRAY(SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND ((n.nspname::text, c.relname::text) IN (SELECT * FROM unnest($1, $2))
    OR EXISTS (SELECT FROM unnest($3, $4) AS p(schema_like, table_like)
               WHERE n.nspname::text LIKE p.schema_like AND c.relname::text LIKE p.table_like))
ORDER BY n.nspname, c.relname
