-- The recording of a call, and whether the CRM has it. No attempts are kept: an upload takes the place of an earlier one.
CREATE TABLE recording (
    key TEXT PRIMARY KEY REFERENCES item,
    -- As the source names it; null where the file was known for this call's by its own name.
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
    CHECK (name IS NOT NULL OR path IS NOT NULL),
    CHECK (status <> 'uploaded' OR (path IS NOT NULL AND size IS NOT NULL AND sha256 IS NOT NULL)),
    CHECK (status NOT IN ('refused', 'failed') OR reason IS NOT NULL)
) STRICT;
CREATE INDEX recording_by_status ON recording (status);

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
