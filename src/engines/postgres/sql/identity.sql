-- Who answers. No parameters.
SELECT pg_is_in_recovery(),
       current_setting('transaction_read_only') = 'on',
       current_setting('server_version'),
       current_setting('server_version_num')::int4,
       d.oid,
       d.datname::text,
       r.oid,
       has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
FROM pg_database d, pg_roles r
WHERE d.datname = current_database() AND r.rolname = session_user
