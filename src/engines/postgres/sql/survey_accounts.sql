-- Accounts by name. $1 text[] names, $2 oid our grantor.
-- Members that can neither inherit nor SET ROLE do not count: on 16 and later whoever made the role is one.
WITH RECURSIVE member (oid) AS (
  SELECT $2::oid
  UNION
  SELECT m.member FROM pg_auth_members m JOIN member ON member.oid = m.roleid
  WHERE coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true)
     OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true)
)
SELECT r.oid, r.rolname::text, r.rolcanlogin, r.rolsuper,
       r.rolname = session_user,
       r.oid IN (SELECT oid FROM member),
       ARRAY(SELECT DISTINCT g.rolname::text
             FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.member
             WHERE m.roleid = r.oid
               AND (coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true)
                 OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true))
             ORDER BY 1),
       has_database_privilege(r.oid, current_database(), 'CONNECT')
FROM unnest($1::text[]) AS w (account)
JOIN pg_roles r ON r.rolname = w.account::name
