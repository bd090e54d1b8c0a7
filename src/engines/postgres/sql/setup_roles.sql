-- Roles by name, with what they may. $1 text[]
SELECT r.oid, r.rolname::text, r.rolcanlogin, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb,
       r.rolreplication, r.rolbypassrls, shobj_description(r.oid, 'pg_authid'),
       has_database_privilege(r.oid, current_database(), 'CONNECT'),
       has_function_privilege(r.oid, 'pg_catalog.pg_control_system()', 'EXECUTE')
FROM pg_roles r WHERE r.rolname = ANY ($1::text[])
