-- What else hangs on some roles: what they own, and what they have in other databases. $1 oid[]
SELECT s.refobjid, s.deptype = 'o', d.datname::text,
       CASE WHEN s.dbid = 0 OR d.datname = current_database()
            THEN pg_describe_object(s.classid, s.objid, s.objsubid) END
FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY ($1::oid[])
  AND (s.deptype = 'o'
    OR (s.dbid <> 0 AND d.datname <> current_database())
    OR (s.dbid = 0 AND s.classid = 'pg_database'::regclass
        AND s.objid <> (SELECT oid FROM pg_database WHERE datname = current_database()))
    OR s.classid NOT IN ('pg_class'::regclass, 'pg_namespace'::regclass, 'pg_proc'::regclass,
                         'pg_database'::regclass))
ORDER BY 1, 3, 4
