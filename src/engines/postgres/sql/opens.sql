-- What USAGE on a schema would open besides: pairs of $1 oid[] namespaces and $2 oid[] accounts.
SELECT p.nspid, p.role,
       ARRAY(SELECT c.relname::text FROM pg_class c
             WHERE c.relnamespace = p.nspid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND has_any_column_privilege(p.role, c.oid, 'SELECT') ORDER BY 1 LIMIT 6),
       ARRAY(SELECT f.proname::text FROM pg_proc f
             WHERE f.pronamespace = p.nspid AND f.prosecdef
               AND has_function_privilege(p.role, f.oid, 'EXECUTE') ORDER BY 1 LIMIT 6)
FROM unnest($1::oid[], $2::oid[]) AS p (nspid, role)
