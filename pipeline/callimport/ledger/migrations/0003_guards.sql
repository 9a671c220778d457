-- Calls held before they were ever sent, calls adopted from what the CRM had already, and what an attempt knew of ids.

-- The highest communication id that any answer had shown when the attempt began: what it made bears a higher one.
ALTER TABLE attempt ADD COLUMN id_floor INTEGER NOT NULL DEFAULT 0;
-- Delivered, but not by this ledger: found in the CRM and taken over.
ALTER TABLE item ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0 CHECK (adopted IN (0, 1));
CREATE INDEX item_by_phone ON item (phone, direction, started_at);
CREATE INDEX item_by_lead ON item (lead_id, status);

-- Up to this id, the CRM may hold calls with references that no item of this ledger has: with --adopt, a person said so.
CREATE TABLE acknowledged (
    up_to_id INTEGER NOT NULL,
    noted_at TEXT NOT NULL
) STRICT;

INSERT INTO legal_move VALUES
    ('held', 'withdrawn'),
    ('pending', 'delivered'), ('refused', 'delivered'), ('failed', 'delivered'), ('withdrawn', 'delivered');

-- The same table with more kinds of verdict; SQLite cannot change a CHECK in place.
DROP TRIGGER doubt_ends_with_a_verdict;
DROP TRIGGER verdicts_are_on_doubts;
DROP TRIGGER verdicts_stay;
DROP TRIGGER verdicts_are_fixed;
ALTER TABLE verdict RENAME TO verdict_before;
CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    -- The last one; none where a call was held or adopted before it was ever sent.
    attempt_id INTEGER REFERENCES attempt,
    kind TEXT NOT NULL CHECK (kind IN ('found', 'absent', 'held', 'resend', 'accept', 'adopted', 'withdraw')),
    evidence TEXT NOT NULL,
    decided_at TEXT NOT NULL
) STRICT;
INSERT INTO verdict SELECT * FROM verdict_before;
DROP TABLE verdict_before;
CREATE INDEX verdict_by_key ON verdict (key);

CREATE TRIGGER verdicts_are_on_doubts BEFORE INSERT ON verdict
WHEN ((SELECT status FROM item WHERE key = NEW.key), NEW.kind) NOT IN (VALUES
    ('in_doubt', 'found'), ('in_doubt', 'absent'), ('in_doubt', 'held'), ('pending', 'held'),
    ('held', 'accept'), ('held', 'resend'), ('held', 'withdraw'),
    ('pending', 'adopted'), ('refused', 'adopted'), ('failed', 'adopted'), ('withdrawn', 'adopted'),
    ('held', 'adopted'))
BEGIN SELECT RAISE(ABORT, 'a verdict is given where there is something to decide'); END;

-- Every move out of a doubt, into one, and past a create needs its verdict.
CREATE TRIGGER doubt_ends_with_a_verdict BEFORE UPDATE OF status ON item
WHEN NEW.status <> OLD.status AND (
    OLD.status IN ('in_doubt', 'held') OR NEW.status = 'held' OR (NEW.status = 'delivered' AND OLD.status <> 'in_flight')
) AND NOT EXISTS (
    SELECT 1 FROM verdict
    WHERE verdict.key = NEW.key AND verdict.attempt_id IS (SELECT max(id) FROM attempt WHERE attempt.key = NEW.key)
        AND (OLD.status, NEW.status, NEW.adopted, verdict.kind) IN (VALUES
            ('in_doubt', 'delivered', 0, 'found'), ('in_doubt', 'pending', 0, 'absent'),
            ('in_doubt', 'held', 0, 'held'), ('pending', 'held', 0, 'held'),
            ('held', 'delivered', 0, 'accept'), ('held', 'pending', 0, 'resend'), ('held', 'withdrawn', 0, 'withdraw'),
            ('pending', 'delivered', 1, 'adopted'), ('refused', 'delivered', 1, 'adopted'),
            ('failed', 'delivered', 1, 'adopted'), ('withdrawn', 'delivered', 1, 'adopted'),
            ('held', 'delivered', 1, 'adopted'))
)
BEGIN SELECT RAISE(ABORT, 'doubt begins and ends only with a verdict on record'); END;

CREATE TRIGGER adopted_is_for_ever BEFORE UPDATE OF adopted ON item
WHEN NEW.adopted <> OLD.adopted AND (OLD.adopted = 1 OR NEW.status <> 'delivered' OR OLD.status = 'delivered')
BEGIN SELECT RAISE(ABORT, 'an item is adopted once, as it becomes delivered'); END;

CREATE TRIGGER verdicts_stay BEFORE DELETE ON verdict BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER verdicts_are_fixed BEFORE UPDATE ON verdict BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
