-- All, newest first. Goes on in requests_found.sql.
WHERE r.number IN (
  SELECT number FROM requests NOT INDEXED
  WHERE true
