-- All names that a mistyped account may have meant. No parameters.
SELECT rolname::text FROM pg_roles WHERE rolcanlogin AND NOT rolsuper
