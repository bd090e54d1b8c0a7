-- Today's names of schemas. $1 oid[]
SELECT oid, nspname::text FROM pg_namespace WHERE oid = ANY ($1::oid[])
