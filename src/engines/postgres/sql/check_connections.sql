-- What is left for us where others open all the connections that they may. No parameters.
WITH open AS (
  SELECT current_setting('max_connections')::int4 - current_setting('superuser_reserved_connections')::int4 AS number
)
SELECT open.number,
       -- 16 and later.
       coalesce(current_setting('reserved_connections', true), '0')::int4,
       EXISTS (SELECT FROM pg_roles r
               WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> session_user
                 AND (r.rolconnlimit < 0 OR r.rolconnlimit >= open.number))
FROM open
