-- How we are connected, and what runs under our GRANTs. No parameters.
SELECT s.ssl, s.version::text, s.cipher::text,
       ARRAY(SELECT e.evtname::text FROM pg_event_trigger e
             WHERE e.evtenabled <> 'D' AND e.evtevent IN ('ddl_command_start', 'ddl_command_end')
               AND (e.evttags IS NULL OR e.evttags && ARRAY['GRANT', 'REVOKE']) ORDER BY 1)
FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()
