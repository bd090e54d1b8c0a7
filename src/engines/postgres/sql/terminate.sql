-- Ends a session if it is still that role's. $1 int4 pid, $2 oid role
SELECT pg_terminate_backend(s.pid) FROM pg_stat_activity s
WHERE s.pid = $1::int4 AND s.usesysid = $2::oid AND s.pid <> pg_backend_pid()
