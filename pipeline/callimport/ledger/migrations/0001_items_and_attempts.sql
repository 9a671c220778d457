-- The ledger's first form. Instants of calls are Unix seconds (they are computed with); moments of ours are ISO 8601 UTC.

CREATE TABLE binding (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    host TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    account_name TEXT NOT NULL,
    bound_at TEXT NOT NULL
) STRICT;

CREATE TABLE source (
    sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
    name TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0)
) STRICT;

CREATE TABLE batch (
    id TEXT PRIMARY KEY,
    settings TEXT NOT NULL,
    settings_fingerprint TEXT NOT NULL,
    enrolled_at TEXT NOT NULL,
    withdrawn_at TEXT
) STRICT;

CREATE TABLE run (
    id TEXT PRIMARY KEY,
    batch_id TEXT REFERENCES batch,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    exit_code INTEGER
) STRICT;

CREATE TABLE item (
    key TEXT PRIMARY KEY CHECK (key GLOB 'k1:*'),
    reference TEXT NOT NULL,
    batch_id TEXT NOT NULL REFERENCES batch,
    source_sha256 TEXT NOT NULL REFERENCES source,
    source_row INTEGER NOT NULL,
    system TEXT NOT NULL,
    call_id TEXT,
    lead_id INTEGER NOT NULL CHECK (lead_id > 0),
    direction TEXT NOT NULL CHECK (direction IN ('outgoing', 'incoming')),
    phone TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    facts TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending' REFERENCES item_status (name),
    applied INTEGER NOT NULL DEFAULT 0 CHECK (applied IN (0, 1)),
    communication_id INTEGER UNIQUE CHECK (communication_id > 0),
    echo TEXT,
    reason TEXT,
    next_facts TEXT,
    next_payload TEXT,
    moved_at TEXT NOT NULL,
    CHECK ((communication_id IS NOT NULL) = (status IN ('delivered', 'gone'))),
    CHECK ((next_facts IS NULL) = (next_payload IS NULL))
) STRICT;

CREATE INDEX item_to_send ON item (batch_id, status, started_at, key);
CREATE INDEX item_by_reference ON item (reference);
CREATE INDEX item_by_status ON item (status);

CREATE TABLE item_status (name TEXT PRIMARY KEY) STRICT;
INSERT INTO item_status VALUES
    ('pending'), ('in_flight'), ('in_doubt'), ('held'), ('delivered'), ('refused'), ('failed'), ('withdrawn'), ('gone');

CREATE TABLE legal_move (
    before TEXT NOT NULL REFERENCES item_status (name),
    after TEXT NOT NULL REFERENCES item_status (name),
    PRIMARY KEY (before, after)
) STRICT;
INSERT INTO legal_move VALUES
    ('pending', 'in_flight'), ('pending', 'failed'), ('pending', 'held'), ('pending', 'withdrawn'),
    ('in_flight', 'delivered'), ('in_flight', 'pending'), ('in_flight', 'refused'), ('in_flight', 'failed'),
    ('in_flight', 'in_doubt'),
    ('in_doubt', 'delivered'), ('in_doubt', 'pending'), ('in_doubt', 'held'),
    ('held', 'delivered'), ('held', 'pending'),
    ('refused', 'pending'), ('failed', 'pending'), ('withdrawn', 'pending'),
    ('delivered', 'gone');

-- Append-only: an attempt is the intent, written before its first byte; an outcome is what became of it.
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    run_id TEXT NOT NULL REFERENCES run,
    intended_at TEXT NOT NULL
) STRICT;
CREATE INDEX attempt_by_key ON attempt (key);

CREATE TABLE outcome (
    attempt_id INTEGER PRIMARY KEY REFERENCES attempt,
    kind TEXT NOT NULL CHECK (kind IN ('delivered', 'not_applied', 'refused', 'in_doubt')),
    http_status INTEGER,
    evidence TEXT NOT NULL,
    ended_at TEXT NOT NULL
) STRICT;

CREATE VIEW unresolved AS
    SELECT attempt.id, attempt.key FROM attempt LEFT JOIN outcome ON outcome.attempt_id = attempt.id
    WHERE outcome.attempt_id IS NULL;

CREATE TRIGGER only_legal_moves BEFORE UPDATE OF status ON item
WHEN NEW.status <> OLD.status AND NOT EXISTS (
    SELECT 1 FROM legal_move WHERE before = OLD.status AND after = NEW.status
)
BEGIN SELECT RAISE(ABORT, 'illegal move of an item'); END;

CREATE TRIGGER items_begin_pending BEFORE INSERT ON item WHEN NEW.status <> 'pending'
BEGIN SELECT RAISE(ABORT, 'an item begins as pending'); END;

CREATE TRIGGER applied_is_never_sent_again BEFORE UPDATE OF status, applied ON item
WHEN OLD.applied = 1 AND (NEW.status IN ('pending', 'in_flight') OR NEW.applied = 0)
BEGIN SELECT RAISE(ABORT, 'an item known to be stored cannot be sent again'); END;

CREATE TRIGGER in_flight_needs_an_intent BEFORE UPDATE OF status ON item
WHEN NEW.status = 'in_flight' AND NOT EXISTS (SELECT 1 FROM unresolved WHERE key = NEW.key)
BEGIN SELECT RAISE(ABORT, 'an item goes into flight only with an intent on record'); END;

CREATE TRIGGER landing_needs_an_outcome BEFORE UPDATE OF status ON item
WHEN OLD.status = 'in_flight' AND NEW.status <> 'in_flight' AND EXISTS (SELECT 1 FROM unresolved WHERE key = NEW.key)
BEGIN SELECT RAISE(ABORT, 'an item lands only with an outcome on record'); END;

CREATE TRIGGER one_unresolved_attempt BEFORE INSERT ON attempt
WHEN EXISTS (SELECT 1 FROM unresolved WHERE key = NEW.key)
    OR (SELECT status FROM item WHERE key = NEW.key) IS NOT 'pending'
BEGIN SELECT RAISE(ABORT, 'only a pending item without an unresolved attempt may be attempted'); END;

CREATE TRIGGER communication_id_is_for_ever BEFORE UPDATE OF communication_id ON item
WHEN OLD.communication_id IS NOT NULL AND NEW.communication_id IS NOT OLD.communication_id
BEGIN SELECT RAISE(ABORT, 'the communication of an item cannot change'); END;

CREATE TRIGGER pins_hold BEFORE UPDATE OF direction, phone, lead_id ON item
WHEN NEW.direction <> OLD.direction OR NEW.phone <> OLD.phone
    OR (NEW.lead_id <> OLD.lead_id AND OLD.status NOT IN ('pending', 'failed', 'refused'))
BEGIN SELECT RAISE(ABORT, 'lead, direction and phone of an item are pinned'); END;

CREATE TRIGGER items_stay BEFORE DELETE ON item BEGIN SELECT RAISE(ABORT, 'items are kept'); END;
CREATE TRIGGER attempts_stay BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER attempts_are_fixed BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER outcomes_stay BEFORE DELETE ON outcome BEGIN SELECT RAISE(ABORT, 'outcomes are append-only'); END;
CREATE TRIGGER outcomes_are_fixed BEFORE UPDATE ON outcome BEGIN SELECT RAISE(ABORT, 'outcomes are append-only'); END;
