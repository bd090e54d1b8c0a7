-- The ledger. Instants are milliseconds since 1970 in UTC. What must never happen is refused here too, so that a bug of
-- ours, or an operator with a shell, meets the same law twice.
--
-- What moves has columns, and what stands is a document (JSON) in a table of its own: a move of a request or a lease
-- writes some hundred bytes, and neither makes nor checks a document. Leases that differ in nothing but their column
-- share one.
--
-- What is refused rolls the whole transaction back (ROLLBACK instead of ABORT), which every transaction of ours would do
-- anyway: a statement that may fail alone keeps a copy of each page it touches, at every row written. A foreign key that
-- is looked at with the COMMIT needs no such copy either. For the same reason nothing that a sweep writes calls a
-- function here, or says the number of its row: SQLite takes both for what may fail (statements.rs tests it).
--
-- States are told apart by CASE and not by IN: for each list of an IN SQLite makes a table, at every row written. In a
-- CASE comes first what a sweep writes.

CREATE TABLE ledger (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  id TEXT NOT NULL CHECK (length(id) = 32),
  seen_at INTEGER NOT NULL,
  seen_boot TEXT NOT NULL,
  seen_boot_millis INTEGER NOT NULL CHECK (seen_boot_millis >= 0),
  journal_seq INTEGER NOT NULL DEFAULT 0 CHECK (journal_seq >= 0),
  journal_file TEXT
) STRICT;

-- The table of moves: the same rows as the pure function `State::may_become` (a test compares them).
CREATE TABLE moves (
  was TEXT NOT NULL,
  becomes TEXT NOT NULL,
  PRIMARY KEY (was, becomes)
) STRICT, WITHOUT ROWID;

INSERT INTO moves (was, becomes) VALUES
  ('submitted', 'pending'), ('submitted', 'approved'), ('submitted', 'refused'),
  ('submitted', 'cancelled'), ('submitted', 'denied'), ('submitted', 'lapsed'),
  ('pending', 'approved'), ('pending', 'denied'), ('pending', 'cancelled'),
  ('pending', 'lapsed'), ('pending', 'failed'),
  ('approved', 'granting'), ('approved', 'denied'), ('approved', 'cancelled'),
  ('approved', 'lapsed'), ('approved', 'failed'),
  ('granting', 'active'), ('granting', 'revoking'),
  ('active', 'revoking'),
  ('revoking', 'ended'), ('revoking', 'failed');

CREATE TABLE requests (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK (length(id) = 8),
  state TEXT NOT NULL CHECK (CASE state
    WHEN 'ended' THEN 1 WHEN 'revoking' THEN 1 WHEN 'active' THEN 1 WHEN 'granting' THEN 1 WHEN 'approved' THEN 1
    WHEN 'pending' THEN 1 WHEN 'submitted' THEN 1 WHEN 'refused' THEN 1 WHEN 'denied' THEN 1 WHEN 'cancelled' THEN 1
    WHEN 'lapsed' THEN 1 WHEN 'failed' THEN 1 ELSE 0 END),
  requester INTEGER NOT NULL,
  target TEXT NOT NULL,
  lapses_at INTEGER NOT NULL,
  granted_at INTEGER,
  expires_at INTEGER,
  -- Why it is being taken, or was: {"how":"expired"}.
  ended TEXT CHECK (ended IS NULL OR (ended >= '{"how":"' AND ended < '{"how":#')),
  ended_at INTEGER,
  -- In words for the requester.
  outcome TEXT,
  final INTEGER GENERATED ALWAYS AS (CASE state
    WHEN 'ended' THEN 1 WHEN 'refused' THEN 1 WHEN 'denied' THEN 1 WHEN 'cancelled' THEN 1 WHEN 'lapsed' THEN 1
    WHEN 'failed' THEN 1 ELSE 0 END) VIRTUAL,
  -- 1 or NULL: whether it still waits for its GRANT, and may lapse.
  waits INTEGER GENERATED ALWAYS AS
    (CASE state WHEN 'approved' THEN 1 WHEN 'pending' THEN 1 WHEN 'submitted' THEN 1 END) VIRTUAL,
  CHECK ((ended_at IS NOT NULL) = final)
) STRICT;

CREATE INDEX requests_by_state ON requests (state, number);
CREATE INDEX requests_by_requester ON requests (requester, number);
CREATE INDEX requests_by_target ON requests (target, number);
CREATE INDEX requests_by_end ON requests (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX requests_by_lapse ON requests (lapses_at) WHERE waits IS NOT NULL;

-- What was asked, judged and approved.
CREATE TABLE request_docs (
  number INTEGER PRIMARY KEY REFERENCES requests (number),
  doc TEXT NOT NULL CHECK (json_valid(doc))
) STRICT;

-- What the undo needs: grantee, server, identity and names.
CREATE TABLE lease_docs (
  number INTEGER PRIMARY KEY,
  doc TEXT NOT NULL CHECK (json_valid(doc))
) STRICT;

CREATE TABLE leases (
  number INTEGER PRIMARY KEY,
  request TEXT NOT NULL REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED,
  position INTEGER NOT NULL,
  target TEXT NOT NULL,
  state TEXT NOT NULL CHECK (CASE state
    WHEN 'owed' THEN 1 WHEN 'held' THEN 1 WHEN 'disputed' THEN 1 WHEN 'revoked' THEN 1 WHEN 'gone' THEN 1
    WHEN 'covered' THEN 1 WHEN 'left' THEN 1 ELSE 0 END),
  -- Which one of lease_docs. A trigger sees to it: for a foreign key SQLite would look through all leases.
  doc INTEGER NOT NULL,
  -- NULL: the document's own.
  column_name TEXT,
  key TEXT NOT NULL,
  -- MySQL and MariaDB: what the catalog showed of it after our last statement.
  stamp TEXT,
  expires_at INTEGER NOT NULL,
  -- The same end by the boot clock: where `boot` is running, due from this many milliseconds on.
  boot TEXT NOT NULL,
  boot_due INTEGER NOT NULL,
  ended_at INTEGER,
  -- Why it is disputed or gone, or what covers it, or who left it.
  note TEXT,
  -- 1 or NULL, never 0: the partial indexes hold only what still owes its undo. It is written and not generated, so
  -- that a move from one live state to another touches none of them.
  live INTEGER CHECK (live IS CASE state WHEN 'owed' THEN 1 WHEN 'held' THEN 1 WHEN 'disputed' THEN 1 END),
  UNIQUE (request, position),
  CHECK ((ended_at IS NULL) = (live IS NOT NULL))
) STRICT;

CREATE INDEX leases_by_expiry ON leases (target, expires_at) WHERE live IS NOT NULL;
CREATE INDEX leases_by_boot ON leases (target, boot, boot_due) WHERE live IS NOT NULL;
CREATE INDEX leases_by_key ON leases (target, key) WHERE live IS NOT NULL;
CREATE INDEX leases_by_end ON leases (target, ended_at) WHERE ended_at IS NOT NULL;

-- The audit trail, sealed: `line` is the very text that the audit file gets, without its newline.
-- A row that is written without a number gets the next one.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  request TEXT,
  line TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_request ON events (request, seq) WHERE request IS NOT NULL;

CREATE TABLE submissions (
  digest TEXT PRIMARY KEY CHECK (length(digest) = 64),
  uid INTEGER NOT NULL,
  name TEXT NOT NULL,
  at INTEGER NOT NULL,
  act TEXT NOT NULL,
  outcome TEXT NOT NULL,
  request TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX submissions_of_person ON submissions (uid, at);

CREATE TABLE people (
  uid INTEGER PRIMARY KEY,
  name TEXT NOT NULL
) STRICT;

CREATE TABLE texts (
  hash TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (
  number INTEGER PRIMARY KEY,
  resumed_at INTEGER,
  doc TEXT NOT NULL CHECK (json_valid(doc))
) STRICT;

CREATE INDEX holds_standing ON holds (number) WHERE resumed_at IS NULL;

-- Requests -----------------------------------------------------------------------------------------------------

CREATE TRIGGER requests_begin BEFORE INSERT ON requests
WHEN NEW.state <> 'submitted'
  AND NOT EXISTS (SELECT 1 FROM moves WHERE was = 'submitted' AND becomes = NEW.state)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a request cannot begin in that state');
END;

CREATE TRIGGER requests_move BEFORE UPDATE OF state ON requests
WHEN NEW.state <> OLD.state
  AND NOT EXISTS (SELECT 1 FROM moves WHERE was = OLD.state AND becomes = NEW.state)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a request cannot move from that state to that one');
END;

CREATE TRIGGER requests_stay_themselves BEFORE UPDATE OF number, id, requester, target, lapses_at ON requests
WHEN NEW.number <> OLD.number OR NEW.id <> OLD.id OR NEW.requester <> OLD.requester OR NEW.target <> OLD.target
  OR NEW.lapses_at <> OLD.lapses_at
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a request keeps its id, requester, target and the time by which it lapses');
END;

-- The outcome of a final request may still be written; nothing else of it.
CREATE TRIGGER requests_final BEFORE UPDATE OF granted_at, expires_at, ended, ended_at ON requests
WHEN OLD.ended_at IS NOT NULL AND (
  NEW.granted_at IS NOT OLD.granted_at OR NEW.expires_at IS NOT OLD.expires_at OR NEW.ended IS NOT OLD.ended
  OR NEW.ended_at IS NOT OLD.ended_at)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a final request is never changed');
END;

CREATE TRIGGER requests_owe BEFORE UPDATE OF state ON requests
WHEN NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL
  AND EXISTS (SELECT 1 FROM leases WHERE request = OLD.id AND live IS NOT NULL)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a request is not final while a lease of it is live');
END;

CREATE TRIGGER requests_last BEFORE DELETE ON requests
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a request is never deleted');
END;

CREATE TRIGGER request_docs_stay BEFORE UPDATE ON request_docs
WHEN NEW.number <> OLD.number OR NOT EXISTS (
  SELECT 1 FROM requests
  WHERE number = OLD.number AND CASE state WHEN 'submitted' THEN 1 WHEN 'pending' THEN 1 WHEN 'approved' THEN 1 END)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: what was asked and approved is never changed once it is given or over');
END;

CREATE TRIGGER request_docs_last BEFORE DELETE ON request_docs
BEGIN
  SELECT RAISE(ROLLBACK, 'law: what was asked is never deleted');
END;

-- Leases -------------------------------------------------------------------------------------------------------

CREATE TRIGGER leases_begin BEFORE INSERT ON leases
WHEN NEW.live IS NULL
  OR EXISTS (SELECT 1 FROM requests WHERE id = NEW.request AND ended_at IS NOT NULL)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a lease begins live, under a request that is not final');
END;

CREATE TRIGGER leases_documented BEFORE INSERT ON leases
WHEN NOT EXISTS (SELECT 1 FROM lease_docs WHERE number = NEW.doc)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a lease has what its undo needs');
END;

CREATE TRIGGER leases_stay_documented BEFORE UPDATE OF doc ON leases
WHEN NOT EXISTS (SELECT 1 FROM lease_docs WHERE number = NEW.doc)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a lease has what its undo needs');
END;

CREATE TRIGGER leases_end_once BEFORE UPDATE ON leases
WHEN OLD.live IS NULL
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a lease that has ended is never changed');
END;

CREATE TRIGGER leases_stay_themselves
BEFORE UPDATE OF number, request, position, target, key, expires_at, boot, boot_due ON leases
WHEN NEW.number <> OLD.number OR NEW.request <> OLD.request OR NEW.position <> OLD.position
  OR NEW.target <> OLD.target OR NEW.key <> OLD.key
  OR NEW.expires_at > OLD.expires_at OR NEW.boot <> OLD.boot OR NEW.boot_due > OLD.boot_due
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a lease keeps its privilege, and never expires later');
END;

CREATE TRIGGER leases_last BEFORE DELETE ON leases
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a lease is never deleted');
END;

CREATE TRIGGER lease_docs_unchanged BEFORE UPDATE ON lease_docs
BEGIN
  SELECT RAISE(ROLLBACK, 'law: what an undo needs is never changed');
END;

CREATE TRIGGER lease_docs_last BEFORE DELETE ON lease_docs
BEGIN
  SELECT RAISE(ROLLBACK, 'law: what an undo needs is never deleted');
END;

-- The trail, and what is kept for ever -------------------------------------------------------------------------

-- Before the row has a number, SQLite says -1 here.
CREATE TRIGGER events_follow BEFORE INSERT ON events
WHEN NEW.seq <> -1 AND NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events)
BEGIN
  SELECT RAISE(ROLLBACK, 'law: events are numbered without a gap');
END;

CREATE TRIGGER events_unchanged BEFORE UPDATE ON events
BEGIN
  SELECT RAISE(ROLLBACK, 'law: an event is never changed');
END;

CREATE TRIGGER events_last BEFORE DELETE ON events
BEGIN
  SELECT RAISE(ROLLBACK, 'law: an event is never deleted');
END;

CREATE TRIGGER submissions_unchanged BEFORE UPDATE ON submissions
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a submission is never changed');
END;

CREATE TRIGGER submissions_last BEFORE DELETE ON submissions
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a submission is never deleted');
END;

CREATE TRIGGER texts_unchanged BEFORE UPDATE ON texts
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a text is never changed');
END;

CREATE TRIGGER texts_last BEFORE DELETE ON texts
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a text is never deleted');
END;

CREATE TRIGGER holds_resume_once BEFORE UPDATE ON holds
WHEN OLD.resumed_at IS NOT NULL OR NEW.number <> OLD.number
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a hold that was resumed is never changed');
END;

CREATE TRIGGER holds_last BEFORE DELETE ON holds
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a hold is never deleted');
END;

CREATE TRIGGER ledger_stays_itself BEFORE UPDATE ON ledger
WHEN NEW.id <> OLD.id
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a ledger keeps its id');
END;

CREATE TRIGGER ledger_last BEFORE DELETE ON ledger
BEGIN
  SELECT RAISE(ROLLBACK, 'law: a ledger is never deleted');
END;
