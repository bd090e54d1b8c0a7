-- What became of a transaction. $1 text: its number
SELECT pg_xact_status($1::text::xid8)::text
