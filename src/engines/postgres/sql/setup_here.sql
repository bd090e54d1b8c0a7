-- The database, and what everybody may. No parameters.
SELECT d.datname::text, pg_get_userbyid(d.datdba)::text,
       has_database_privilege('public', d.oid, 'CONNECT'),
       has_function_privilege('public', 'pg_catalog.pg_control_system()', 'EXECUTE')
FROM pg_database d WHERE d.datname = current_database()
