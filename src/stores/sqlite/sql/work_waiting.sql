-- What each target has to judge and to give, as a weight and no count: the length of what was asked for, which is
-- known without reading it.
SELECT r.target, sum(octet_length(d.doc))
FROM requests AS r INDEXED BY requests_by_state
CROSS JOIN request_docs AS d ON d.number = r.number
WHERE r.state IN ('submitted', 'approved')
GROUP BY r.target
