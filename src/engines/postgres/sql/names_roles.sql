-- Today's names of roles. $1 oid[]
SELECT oid, rolname::text FROM pg_roles WHERE oid = ANY ($1::oid[])
