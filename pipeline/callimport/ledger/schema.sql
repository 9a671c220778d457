-- The ledger's tables, views and triggers. Instants of calls are Unix seconds: the program computes with them. Other
-- moments are ISO 8601 in UTC. `checksum` is the CRC-32 of the other columns of the row, see checksum.py: triggers write it
-- after an INSERT, so that it is null for that moment. database.py says which version this is.

-- Whose ledger it is, and what was imported

CREATE TABLE binding (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    host TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    account_name TEXT NOT NULL,
    bound_at TEXT NOT NULL,
    -- The key of the fingerprints of rejected rows, so that nobody who has the ledger can guess rows.
    secret TEXT NOT NULL,
    checksum INTEGER
) STRICT;

-- Up to this id, the CRM may hold calls with references that no item of this ledger has: with --adopt, a person said so.
CREATE TABLE acknowledged (
    up_to_id INTEGER NOT NULL,
    noted_at TEXT NOT NULL,
    checksum INTEGER
) STRICT;

CREATE TABLE source (
    sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
    name TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    -- Whether any start in the file has seconds.
    has_seconds INTEGER NOT NULL CHECK (has_seconds IN (0, 1)),
    checksum INTEGER
) STRICT;

CREATE TABLE batch (
    id TEXT PRIMARY KEY,
    settings TEXT NOT NULL,
    settings_fingerprint TEXT NOT NULL,
    enrolled_at TEXT NOT NULL,
    withdrawn_at TEXT,
    checksum INTEGER
) STRICT;

-- Approved plans. The items that a plan would send are bound to it by its code.
CREATE TABLE plan (
    code TEXT PRIMARY KEY,
    batch_id TEXT NOT NULL REFERENCES batch,
    -- How it treats changed calls: --on-change and --overwrite.
    updates TEXT NOT NULL,
    approved_at TEXT NOT NULL,
    checksum INTEGER
) STRICT;

CREATE TABLE run (
    id TEXT PRIMARY KEY,
    batch_id TEXT REFERENCES batch,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    exit_code INTEGER,
    stopped_by TEXT,
    checksum INTEGER
) STRICT;

-- Items

CREATE TABLE item_status (name TEXT PRIMARY KEY) STRICT;
INSERT INTO item_status VALUES
    ('waiting'), ('pending'), ('in_flight'), ('in_doubt'), ('held'), ('delivered'), ('refused'), ('failed'), ('withdrawn'), ('gone');

CREATE TABLE legal_move (
    before TEXT NOT NULL REFERENCES item_status (name),
    after TEXT NOT NULL REFERENCES item_status (name),
    PRIMARY KEY (before, after)
) STRICT;
INSERT INTO legal_move VALUES
    ('waiting', 'pending'), ('waiting', 'withdrawn'), ('withdrawn', 'waiting'),
    ('pending', 'in_flight'), ('pending', 'failed'), ('pending', 'held'), ('pending', 'withdrawn'),
    ('pending', 'delivered'),
    ('in_flight', 'delivered'), ('in_flight', 'pending'), ('in_flight', 'refused'), ('in_flight', 'failed'),
    ('in_flight', 'in_doubt'),
    ('in_doubt', 'delivered'), ('in_doubt', 'pending'), ('in_doubt', 'held'),
    ('held', 'delivered'), ('held', 'pending'), ('held', 'withdrawn'),
    ('refused', 'pending'), ('refused', 'delivered'),
    ('failed', 'pending'), ('failed', 'delivered'),
    ('withdrawn', 'pending'), ('withdrawn', 'delivered'), ('withdrawn', 'held'),
    ('delivered', 'gone');

CREATE TABLE item (
    key TEXT PRIMARY KEY CHECK (key GLOB 'k1:*'),
    reference TEXT NOT NULL,
    batch_id TEXT NOT NULL REFERENCES batch,
    source_sha256 TEXT NOT NULL REFERENCES source,
    source_row INTEGER NOT NULL,
    system TEXT NOT NULL,
    call_id TEXT,
    -- Null while the call waits for a lead.
    lead_id INTEGER CHECK (lead_id > 0),
    direction TEXT NOT NULL CHECK (direction IN ('outgoing', 'incoming')),
    phone TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    facts TEXT NOT NULL,
    -- The communication as JSON. Null while the call waits for a lead.
    payload TEXT,
    -- The staged call as JSON, and a fingerprint of the settings that made it; kept for a call that waits for a lead.
    staged TEXT,
    shape TEXT,
    -- Whether a run that kept the call asked the CRM for its lead. Only a run that asks may give such a call up.
    asks_crm INTEGER NOT NULL DEFAULT 0 CHECK (asks_crm IN (0, 1)),
    entered_at TEXT NOT NULL,
    -- The approved plan that the item is bound to.
    plan TEXT REFERENCES plan (code),
    -- The approved plan that the item has left, because what is sent of it has changed.
    left_plan TEXT REFERENCES plan (code),
    -- The ids of the rows that the call was joined from, sorted, one a line. Null if its profile joins none.
    legs TEXT,
    status TEXT NOT NULL DEFAULT 'pending' REFERENCES item_status (name),
    -- The CRM said that it stored the call, without saying as what.
    applied INTEGER NOT NULL DEFAULT 0 CHECK (applied IN (0, 1)),
    communication_id INTEGER UNIQUE CHECK (communication_id > 0),
    -- What the CRM last said that it keeps of the call.
    echo TEXT,
    -- Delivered, but not by this ledger: found in the CRM and taken over.
    adopted INTEGER NOT NULL DEFAULT 0 CHECK (adopted IN (0, 1)),
    -- The communication of somebody else that was found to be the call before it was sent, so that it is skipped. It
    -- stays if a person takes the call up again: such a call is not looked for any more.
    existing_id INTEGER CHECK (existing_id > 0),
    reason TEXT,
    -- The facts that the source tells now of a delivered call, and the batch that brought them.
    next_facts TEXT,
    next_payload TEXT,
    next_legs TEXT,
    next_batch_id TEXT REFERENCES batch,
    -- The new facts that the CRM refused. They are sent again if a person says so, or if they change.
    update_refused TEXT,
    moved_at TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    CHECK ((communication_id IS NOT NULL) = (status IN ('delivered', 'gone'))),
    CHECK ((lead_id IS NULL) = (payload IS NULL)),
    CHECK ((payload IS NULL) = (staged IS NOT NULL AND shape IS NOT NULL)),
    CHECK (status IN ('waiting', 'withdrawn') OR payload IS NOT NULL),
    CHECK (status <> 'waiting' OR payload IS NULL),
    CHECK ((next_facts IS NULL) = (next_payload IS NULL))
) STRICT;
CREATE INDEX item_to_send ON item (batch_id, status, started_at, key, plan);
CREATE INDEX item_by_reference ON item (reference);
CREATE INDEX item_by_status ON item (status);
CREATE INDEX item_by_phone ON item (phone, direction, started_at);
CREATE INDEX item_by_lead ON item (lead_id, status);
CREATE INDEX item_with_a_story ON item (status) WHERE next_facts IS NOT NULL;

CREATE TRIGGER items_begin_unsent BEFORE INSERT ON item WHEN NEW.status NOT IN ('pending', 'waiting')
BEGIN SELECT RAISE(ABORT, 'an item begins as pending or waiting'); END;

CREATE TRIGGER items_stay BEFORE DELETE ON item WHEN OLD.status <> 'waiting'
BEGIN SELECT RAISE(ABORT, 'items are kept, unless they wait for a lead'); END;

CREATE TRIGGER only_legal_moves BEFORE UPDATE OF status ON item
WHEN NEW.status <> OLD.status AND NOT EXISTS (
    SELECT 1 FROM legal_move WHERE before = OLD.status AND after = NEW.status
)
BEGIN SELECT RAISE(ABORT, 'illegal move of an item'); END;

CREATE TRIGGER applied_is_never_sent_again BEFORE UPDATE OF status, applied ON item
WHEN OLD.applied = 1 AND (NEW.status IN ('pending', 'in_flight') OR NEW.applied = 0)
BEGIN SELECT RAISE(ABORT, 'an item known to be stored cannot be sent again'); END;

CREATE TRIGGER communication_id_is_for_ever BEFORE UPDATE OF communication_id ON item
WHEN OLD.communication_id IS NOT NULL AND NEW.communication_id IS NOT OLD.communication_id
BEGIN SELECT RAISE(ABORT, 'the communication of an item cannot change'); END;

CREATE TRIGGER pins_hold BEFORE UPDATE OF direction, phone, lead_id ON item
WHEN NEW.direction <> OLD.direction OR NEW.phone <> OLD.phone
    OR (NEW.lead_id IS NOT OLD.lead_id AND OLD.status NOT IN ('waiting', 'pending', 'failed', 'refused'))
BEGIN SELECT RAISE(ABORT, 'lead, direction and phone of an item are pinned'); END;

CREATE TRIGGER adopted_is_for_ever BEFORE UPDATE OF adopted ON item
WHEN NEW.adopted <> OLD.adopted AND (OLD.adopted = 1 OR NEW.status <> 'delivered' OR OLD.status = 'delivered')
BEGIN SELECT RAISE(ABORT, 'an item is adopted once, as it becomes delivered'); END;

-- Attempts. Append-only: an attempt is the intent, written before its first byte; an outcome is what became of it.

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    run_id TEXT NOT NULL REFERENCES run,
    intended_at TEXT NOT NULL,
    -- The highest communication id that any answer had shown when the attempt began: what it made bears a higher one.
    id_floor INTEGER NOT NULL DEFAULT 0,
    checksum INTEGER
) STRICT;
CREATE INDEX attempt_by_key ON attempt (key);

CREATE TABLE outcome (
    attempt_id INTEGER PRIMARY KEY REFERENCES attempt,
    kind TEXT NOT NULL CHECK (kind IN ('delivered', 'not_applied', 'refused', 'in_doubt')),
    http_status INTEGER,
    evidence TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    checksum INTEGER
) STRICT;

CREATE VIEW unresolved AS
    SELECT attempt.id, attempt.key FROM attempt LEFT JOIN outcome ON outcome.attempt_id = attempt.id
    WHERE outcome.attempt_id IS NULL;

CREATE TRIGGER one_unresolved_attempt BEFORE INSERT ON attempt
WHEN EXISTS (SELECT 1 FROM unresolved WHERE key = NEW.key)
    OR (SELECT status FROM item WHERE key = NEW.key) IS NOT 'pending'
BEGIN SELECT RAISE(ABORT, 'only a pending item without an unresolved attempt may be attempted'); END;

CREATE TRIGGER in_flight_needs_an_intent BEFORE UPDATE OF status ON item
WHEN NEW.status = 'in_flight' AND NOT EXISTS (SELECT 1 FROM unresolved WHERE key = NEW.key)
BEGIN SELECT RAISE(ABORT, 'an item goes into flight only with an intent on record'); END;

CREATE TRIGGER landing_needs_an_outcome BEFORE UPDATE OF status ON item
WHEN OLD.status = 'in_flight' AND NEW.status <> 'in_flight' AND EXISTS (SELECT 1 FROM unresolved WHERE key = NEW.key)
BEGIN SELECT RAISE(ABORT, 'an item lands only with an outcome on record'); END;

CREATE TRIGGER attempts_stay BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER attempts_are_fixed BEFORE UPDATE ON attempt WHEN OLD.checksum IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER outcomes_stay BEFORE DELETE ON outcome BEGIN SELECT RAISE(ABORT, 'outcomes are append-only'); END;
CREATE TRIGGER outcomes_are_fixed BEFORE UPDATE ON outcome WHEN OLD.checksum IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'outcomes are append-only'); END;

-- Verdicts: what was concluded about an item, and from what. Append-only.

CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    -- The last attempt. Null if the call was held or adopted before it was ever sent.
    attempt_id INTEGER REFERENCES attempt,
    kind TEXT NOT NULL CHECK (kind IN ('found', 'absent', 'held', 'resend', 'accept', 'adopted', 'withdraw')),
    evidence TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    checksum INTEGER
) STRICT;
CREATE INDEX verdict_by_key ON verdict (key);

CREATE TRIGGER verdicts_are_on_doubts BEFORE INSERT ON verdict
WHEN ((SELECT status FROM item WHERE key = NEW.key), NEW.kind) NOT IN (VALUES
    ('in_doubt', 'found'), ('in_doubt', 'absent'), ('in_doubt', 'held'), ('pending', 'held'), ('withdrawn', 'held'),
    ('held', 'accept'), ('held', 'resend'), ('held', 'withdraw'),
    ('pending', 'adopted'), ('refused', 'adopted'), ('failed', 'adopted'), ('withdrawn', 'adopted'),
    ('held', 'adopted'))
BEGIN SELECT RAISE(ABORT, 'a verdict is given where there is something to decide'); END;

-- Every move out of a doubt, into a doubt and past a create needs its verdict.
CREATE TRIGGER doubt_ends_with_a_verdict BEFORE UPDATE OF status ON item
WHEN NEW.status <> OLD.status AND (
    OLD.status IN ('in_doubt', 'held') OR NEW.status = 'held' OR (NEW.status = 'delivered' AND OLD.status <> 'in_flight')
) AND NOT EXISTS (
    SELECT 1 FROM verdict
    WHERE verdict.key = NEW.key AND verdict.attempt_id IS (SELECT max(id) FROM attempt WHERE attempt.key = NEW.key)
        AND (OLD.status, NEW.status, NEW.adopted, verdict.kind) IN (VALUES
            ('in_doubt', 'delivered', 0, 'found'), ('in_doubt', 'pending', 0, 'absent'),
            ('in_doubt', 'held', 0, 'held'), ('pending', 'held', 0, 'held'), ('withdrawn', 'held', 0, 'held'),
            ('held', 'delivered', 0, 'accept'), ('held', 'pending', 0, 'resend'), ('held', 'withdrawn', 0, 'withdraw'),
            ('pending', 'delivered', 1, 'adopted'), ('refused', 'delivered', 1, 'adopted'),
            ('failed', 'delivered', 1, 'adopted'), ('withdrawn', 'delivered', 1, 'adopted'),
            ('held', 'delivered', 1, 'adopted'))
)
BEGIN SELECT RAISE(ABORT, 'doubt begins and ends only with a verdict on record'); END;

CREATE TRIGGER verdicts_stay BEFORE DELETE ON verdict BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER verdicts_are_fixed BEFORE UPDATE ON verdict WHEN OLD.checksum IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;

-- Updates of delivered calls. Append-only: an update is written before its first byte; one without an outcome may have
-- been made.

CREATE TABLE update_attempt (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    run_id TEXT NOT NULL REFERENCES run,
    facts TEXT NOT NULL,
    changes TEXT NOT NULL,
    intended_at TEXT NOT NULL,
    checksum INTEGER
) STRICT;
CREATE INDEX update_attempt_by_key ON update_attempt (key);

CREATE TABLE update_outcome (
    attempt_id INTEGER PRIMARY KEY REFERENCES update_attempt,
    kind TEXT NOT NULL CHECK (kind IN ('updated', 'refused', 'failed', 'gone')),
    http_status INTEGER,
    evidence TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    checksum INTEGER
) STRICT;

-- Updates, since the last that was surely made, of which nobody knows whether they were. An update that names the method
-- alone asks whether a communication is still there: it tells the CRM nothing, and its answer says nothing of the
-- updates before it.
CREATE VIEW unanswered_update AS
    SELECT made.id, made.key, made.changes, made.intended_at
    FROM update_attempt AS made LEFT JOIN update_outcome ON attempt_id = made.id
    WHERE ifnull(kind, 'failed') = 'failed' AND made.changes <> '{"method": "phone"}' AND made.id > (
        SELECT ifnull(max(known.id), 0) FROM update_attempt AS known JOIN update_outcome ON attempt_id = known.id
        WHERE known.key = made.key AND kind = 'updated' AND known.changes <> '{"method": "phone"}');

-- Fields that a person has changed in the CRM, so that what the source tells of them was not sent. Append-only.
CREATE TABLE kept_edit (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    run_id TEXT NOT NULL REFERENCES run,
    field TEXT NOT NULL,
    wanted TEXT NOT NULL,
    found TEXT NOT NULL,
    noted_at TEXT NOT NULL,
    checksum INTEGER
) STRICT;
CREATE INDEX kept_edit_by_key ON kept_edit (key);

-- Changed calls whose new facts are probably those of another call under the same id. Such an update is held, and a
-- person decides. `facts` are the new ones; a decision holds for these facts for ever.
CREATE TABLE held_update (
    key TEXT NOT NULL REFERENCES item,
    facts TEXT NOT NULL,
    evidence TEXT NOT NULL,
    held_at TEXT NOT NULL,
    -- retry: it is the same call, the CRM is told. withdraw: it is another one, these facts count as known.
    decision TEXT CHECK (decision IN ('retry', 'withdraw')),
    decided_at TEXT,
    checksum INTEGER,
    PRIMARY KEY (key, facts),
    CHECK ((decision IS NULL) = (decided_at IS NULL))
) STRICT;

-- The held updates that lie beside an item now. `item` is its row number.
CREATE VIEW held_story AS
    SELECT item.rowid AS item, held_update.key, evidence
    FROM held_update JOIN item ON item.key = held_update.key AND item.next_facts = held_update.facts
    WHERE decision IS NULL;

CREATE TRIGGER updates_are_of_parked_stories BEFORE INSERT ON update_attempt
WHEN NOT EXISTS (SELECT 1 FROM item WHERE key = NEW.key AND status = 'delivered' AND next_facts = NEW.facts)
BEGIN SELECT RAISE(ABORT, 'only the story that is parked beside a delivered item may be sent'); END;

CREATE TRIGGER delivered_stories_are_the_parked_ones BEFORE UPDATE OF facts ON item
WHEN OLD.status = 'delivered' AND NEW.facts <> OLD.facts AND NEW.facts IS NOT OLD.next_facts
BEGIN SELECT RAISE(ABORT, 'the story of a delivered item changes only to the one that was parked'); END;

CREATE TRIGGER held_updates_are_not_sent BEFORE INSERT ON update_attempt
WHEN EXISTS (SELECT 1 FROM held_update WHERE key = NEW.key AND facts = NEW.facts AND decision IS NOT 'retry')
BEGIN SELECT RAISE(ABORT, 'a held update is sent only after a person said so'); END;

CREATE TRIGGER held_updates_are_not_applied BEFORE UPDATE OF facts ON item
WHEN OLD.status = 'delivered' AND NEW.facts <> OLD.facts AND EXISTS (
    SELECT 1 FROM held_update WHERE key = NEW.key AND facts = NEW.facts AND decision IS NOT 'retry')
BEGIN SELECT RAISE(ABORT, 'a held update is applied only after a person said so'); END;

CREATE TRIGGER update_attempts_stay BEFORE DELETE ON update_attempt
BEGIN SELECT RAISE(ABORT, 'updates are append-only'); END;
CREATE TRIGGER update_attempts_are_fixed BEFORE UPDATE ON update_attempt WHEN OLD.checksum IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'updates are append-only'); END;
CREATE TRIGGER update_outcomes_stay BEFORE DELETE ON update_outcome
BEGIN SELECT RAISE(ABORT, 'updates are append-only'); END;
CREATE TRIGGER update_outcomes_are_fixed BEFORE UPDATE ON update_outcome WHEN OLD.checksum IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'updates are append-only'); END;
CREATE TRIGGER kept_edits_stay BEFORE DELETE ON kept_edit
BEGIN SELECT RAISE(ABORT, 'kept edits are append-only'); END;
CREATE TRIGGER kept_edits_are_fixed BEFORE UPDATE ON kept_edit WHEN OLD.checksum IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'kept edits are append-only'); END;
CREATE TRIGGER decisions_on_updates_are_fixed
BEFORE UPDATE OF key, facts, evidence, held_at, decision, decided_at ON held_update WHEN OLD.decision IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a decision on a held update is fixed'); END;
CREATE TRIGGER decisions_on_updates_stay BEFORE DELETE ON held_update WHEN OLD.decision IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a decision on a held update is kept'); END;

-- Recordings. No attempts are kept: an upload takes the place of an earlier one.

CREATE TABLE recording (
    key TEXT PRIMARY KEY REFERENCES item,
    -- As the source names it. Null if the file was recognised by its own name.
    name TEXT CHECK (name <> ''),
    status TEXT NOT NULL DEFAULT 'todo' CHECK (status IN ('todo', 'uploaded', 'refused', 'failed', 'missing')),
    -- The file that this status is about, below the recordings folder, as it was then.
    path TEXT,
    size INTEGER CHECK (size > 0),
    modified_ns INTEGER,
    -- Of the bytes that the CRM took or, in a refused one, did not take.
    sha256 TEXT CHECK (length(sha256) = 64),
    reason TEXT,
    moved_at TEXT NOT NULL,
    checksum INTEGER,
    CHECK (name IS NOT NULL OR path IS NOT NULL),
    CHECK (status <> 'uploaded' OR (path IS NOT NULL AND size IS NOT NULL AND sha256 IS NOT NULL)),
    CHECK (status NOT IN ('refused', 'failed') OR reason IS NOT NULL)
) STRICT;
CREATE INDEX recording_by_status ON recording (status);

-- The recording that the source names together with new facts of a known call. It becomes the call's recording when
-- these facts are taken up.
CREATE TABLE next_recording (
    key TEXT PRIMARY KEY REFERENCES item,
    facts TEXT NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    checksum INTEGER
) STRICT;

CREATE TRIGGER recordings_begin_as_todo BEFORE INSERT ON recording WHEN NEW.status <> 'todo'
BEGIN SELECT RAISE(ABORT, 'a recording begins as one to upload'); END;

CREATE TRIGGER recordings_move_through_todo BEFORE UPDATE OF status ON recording
WHEN NEW.status <> OLD.status AND 'todo' NOT IN (OLD.status, NEW.status)
BEGIN SELECT RAISE(ABORT, 'illegal move of a recording'); END;

CREATE TRIGGER recordings_are_of_delivered_calls BEFORE UPDATE OF status ON recording
WHEN NEW.status = 'uploaded' AND (SELECT status FROM item WHERE item.key = NEW.key) IS NOT 'delivered'
BEGIN SELECT RAISE(ABORT, 'only a delivered call has a recording uploaded'); END;

CREATE TRIGGER recordings_stay_with_their_call BEFORE UPDATE OF key ON recording WHEN NEW.key <> OLD.key
BEGIN SELECT RAISE(ABORT, 'a recording is of one call for ever'); END;

CREATE TRIGGER recordings_stay BEFORE DELETE ON recording
BEGIN SELECT RAISE(ABORT, 'recordings are kept'); END;

-- Rejected rows that a run has reported, by a fingerprint of the row. `became` is the call that its mended form became:
-- it settles the row for good.
CREATE TABLE rejected_row (
    fingerprint TEXT PRIMARY KEY,
    seen_at TEXT NOT NULL,
    became TEXT REFERENCES item ON DELETE SET NULL,
    checksum INTEGER
) STRICT;
CREATE INDEX rejected_row_by_call ON rejected_row (became) WHERE became IS NOT NULL;
CREATE INDEX rejected_row_by_age ON rejected_row (seen_at);

CREATE TRIGGER settled_rows_stay BEFORE DELETE ON rejected_row WHEN OLD.became IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a row that was mended stays settled'); END;
-- Only a call that waits for a lead may be given up again, and its row with it.
CREATE TRIGGER settled_rows_stay_settled BEFORE UPDATE OF became ON rejected_row
WHEN NEW.became IS NULL AND EXISTS (SELECT 1 FROM item WHERE key = OLD.became)
BEGIN SELECT RAISE(ABORT, 'a row that was mended stays settled'); END;

