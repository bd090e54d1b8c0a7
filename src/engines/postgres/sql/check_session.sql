-- How we are connected, what runs under our GRANTs, and what we may do to sessions. $1 oid login
SELECT s.ssl, s.version::text, s.cipher::text,
       ARRAY(SELECT e.evtname::text FROM pg_event_trigger e
             WHERE e.evtenabled <> 'D' AND e.evtevent IN ('ddl_command_start', 'ddl_command_end')
               AND (e.evttags IS NULL OR e.evttags && ARRAY['GRANT', 'REVOKE']) ORDER BY 1),
       coalesce((SELECT pg_has_role($1::oid, r.oid, 'MEMBER') FROM pg_roles r
                 WHERE r.rolname = 'pg_signal_backend'), false)
FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()
