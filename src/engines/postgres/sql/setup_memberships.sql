-- What these roles are direct members of. $1 oid[]
SELECT m.member, m.roleid, g.rolname::text,
       bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::bool, r.rolinherit)),
       bool_or(coalesce((to_jsonb(m) ->> 'set_option')::bool, true)),
       bool_or(m.admin_option)
FROM pg_auth_members m
JOIN pg_roles r ON r.oid = m.member
JOIN pg_roles g ON g.oid = m.roleid
WHERE m.member = ANY ($1::oid[])
GROUP BY 1, 2, 3
ORDER BY 3
