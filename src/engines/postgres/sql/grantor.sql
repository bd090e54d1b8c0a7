-- Our grantor role. $1 text name
SELECT r.oid, shobj_description(r.oid, 'pg_authid')
FROM pg_roles r WHERE r.rolname = $1::text
