-- Ended requests from :from to :to, a lease each, five events each, over ten years.
PRAGMA synchronous = OFF;
PRAGMA cache_size = -400000;
PRAGMA temp_store = MEMORY;

CREATE TEMP TABLE span AS
  SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000 AS now, 315360000000.0 / :to AS each;
CREATE TEMP TABLE like_this AS
  SELECT d.doc AS request, (SELECT line FROM events WHERE request = r.id ORDER BY seq LIMIT 1) AS line
  FROM requests AS r JOIN request_docs AS d ON d.number = r.number WHERE r.state = 'pending' LIMIT 1;
CREATE TEMP TABLE head AS SELECT max(seq) AS seq FROM events;
-- One row a request: its numbers, its id and when it ended.
CREATE TEMP TABLE one AS
  WITH RECURSIVE n (i) AS (SELECT :from + 1 UNION ALL SELECT i + 1 FROM n WHERE i < :to)
  SELECT i, replace(replace(printf('%08d', i), '0', 'x'), '1', 'y') AS id,
         (SELECT coalesce(max(number), 0) FROM requests) + i - :from AS request,
         (SELECT coalesce(max(number), 0) FROM leases) + i - :from AS lease,
         CAST(now - (:to - i + 1) * each AS INTEGER) AS ended
  FROM n, span;

BEGIN;
DROP TRIGGER requests_begin;
DROP TRIGGER leases_begin;
DROP TRIGGER events_follow;

INSERT INTO requests (number, id, state, requester, target, lapses_at, ended_at)
SELECT request, id, 'ended', 1000 + i % 500, 'shop', ended, ended FROM one;

INSERT INTO request_docs (number, doc)
SELECT one.request, json_set(like_this.request, '$.id', id, '$.requester.uid', 1000 + i % 500) FROM one, like_this;

INSERT INTO lease_docs (number, doc)
SELECT lease,
       json_object(
         'grantee', 'somebody',
         'server', json_object('address', 'db:5432', 'database', 'shop', 'system', 'elsewhere'),
         'identity', json_object('postgres_column', json_object(
           'database', 1, 'relation', 2, 'attnum', 1, 'role', 3, 'grantor', 4)),
         'named', json_object('grantee', 'somebody',
           'thing', json('{"column":{"table":"public.customers","column":"email"}}')))
FROM one;

INSERT INTO leases (number, request, position, target, state, live, doc, key, expires_at, boot, boot_due, ended_at)
SELECT lease, id, 0, 'shop', 'revoked', NULL, lease, 'pg:1/2.' || i || '>3<4', ended, 'a boot', 0, ended FROM one;

WITH RECURSIVE n (i) AS (SELECT 5 * :from + 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5 * :to)
INSERT INTO events (seq, request, line)
SELECT head.seq + i - 5 * :from, replace(replace(printf('%08d', (i + 4) / 5), '0', 'x'), '1', 'y'),
       '{"v":1,"seq":' || (head.seq + i - 5 * :from) || substr(line, instr(line, ',"at":"'))
FROM n, head, like_this;

UPDATE ledger SET journal_seq = (SELECT max(seq) FROM events), journal_file = NULL;
COMMIT;
