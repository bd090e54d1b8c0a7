-- Which of these sessions are still there. $1 int4[] pids, $2 oid[] their roles
SELECT s.pid FROM pg_stat_activity s
JOIN unnest($1::int4[], $2::oid[]) AS w (pid, role) ON w.pid = s.pid AND w.role = s.usesysid
