-- All, newest first. Goes on in requests_found.sql.
SELECT doc FROM requests WHERE number IN (
  SELECT number FROM requests NOT INDEXED
  WHERE true
