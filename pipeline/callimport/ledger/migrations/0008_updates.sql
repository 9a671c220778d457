-- Delivered calls whose source tells another story now: under which batch it was told, and what became of telling the CRM.

ALTER TABLE item ADD COLUMN next_batch_id TEXT REFERENCES batch;
-- The facts of the story that the CRM refused to take: not told again unless a person says so, or the story changes.
ALTER TABLE item ADD COLUMN update_refused TEXT;
CREATE INDEX item_with_a_story ON item (status) WHERE next_facts IS NOT NULL;

-- Append-only: an update is written down before its first byte; one without an outcome may have been made.
CREATE TABLE update_attempt (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    run_id TEXT NOT NULL REFERENCES run,
    facts TEXT NOT NULL,
    changes TEXT NOT NULL,
    intended_at TEXT NOT NULL
) STRICT;
CREATE INDEX update_attempt_by_key ON update_attempt (key);

CREATE TABLE update_outcome (
    attempt_id INTEGER PRIMARY KEY REFERENCES update_attempt,
    kind TEXT NOT NULL CHECK (kind IN ('updated', 'refused', 'failed', 'gone')),
    http_status INTEGER,
    evidence TEXT NOT NULL,
    ended_at TEXT NOT NULL
) STRICT;

-- Updates, since the last that was surely made, of which nobody knows whether they were.
CREATE VIEW unanswered_update AS
    SELECT made.id, made.key, made.changes, made.intended_at
    FROM update_attempt AS made LEFT JOIN update_outcome ON attempt_id = made.id
    WHERE ifnull(kind, 'failed') = 'failed' AND made.id > (
        SELECT ifnull(max(known.id), 0) FROM update_attempt AS known JOIN update_outcome ON attempt_id = known.id
        WHERE known.key = made.key AND kind = 'updated');

-- Fields that a person has changed in the CRM, so that what the source tells of them was not sent.
CREATE TABLE kept_edit (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    run_id TEXT NOT NULL REFERENCES run,
    field TEXT NOT NULL,
    wanted TEXT NOT NULL,
    found TEXT NOT NULL,
    noted_at TEXT NOT NULL
) STRICT;
CREATE INDEX kept_edit_by_key ON kept_edit (key);

CREATE TRIGGER updates_are_of_parked_stories BEFORE INSERT ON update_attempt
WHEN NOT EXISTS (SELECT 1 FROM item WHERE key = NEW.key AND status = 'delivered' AND next_facts = NEW.facts)
BEGIN SELECT RAISE(ABORT, 'only the story that is parked beside a delivered item may be sent'); END;

CREATE TRIGGER delivered_stories_are_the_parked_ones BEFORE UPDATE OF facts ON item
WHEN OLD.status = 'delivered' AND NEW.facts <> OLD.facts AND NEW.facts IS NOT OLD.next_facts
BEGIN SELECT RAISE(ABORT, 'the story of a delivered item changes only to the one that was parked'); END;

CREATE TRIGGER update_attempts_stay BEFORE DELETE ON update_attempt
BEGIN SELECT RAISE(ABORT, 'updates are append-only'); END;
CREATE TRIGGER update_attempts_are_fixed BEFORE UPDATE ON update_attempt
BEGIN SELECT RAISE(ABORT, 'updates are append-only'); END;
CREATE TRIGGER update_outcomes_stay BEFORE DELETE ON update_outcome
BEGIN SELECT RAISE(ABORT, 'updates are append-only'); END;
CREATE TRIGGER update_outcomes_are_fixed BEFORE UPDATE ON update_outcome
BEGIN SELECT RAISE(ABORT, 'updates are append-only'); END;
CREATE TRIGGER kept_edits_stay BEFORE DELETE ON kept_edit
BEGIN SELECT RAISE(ABORT, 'kept edits are append-only'); END;
CREATE TRIGGER kept_edits_are_fixed BEFORE UPDATE ON kept_edit
BEGIN SELECT RAISE(ABORT, 'kept edits are append-only'); END;
