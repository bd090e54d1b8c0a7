-- A request, whole: its document, and what moves beside it. The beginning of each statement that reads some.
SELECT d.doc, r.state, r.granted_at, r.expires_at, r.ended, r.ended_at, r.outcome
FROM requests AS r CROSS JOIN request_docs AS d ON d.number = r.number
