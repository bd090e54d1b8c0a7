-- Today's names of columns. $1 oid[], $2 int2[]: pairs. Dropped ones are left out.
SELECT a.attrelid, a.attnum, a.attname::text
FROM unnest($1::oid[], $2::int2[]) AS w (relid, attnum)
JOIN pg_attribute a ON a.attrelid = w.relid AND a.attnum = w.attnum
WHERE NOT a.attisdropped
