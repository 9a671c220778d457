-- What was concluded about an item in doubt, and from what. Append-only, like attempts and outcomes.
CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    -- The last one; none where a call was held before it was ever sent.
    attempt_id INTEGER REFERENCES attempt,
    kind TEXT NOT NULL CHECK (kind IN ('found', 'absent', 'held', 'resend', 'accept')),
    evidence TEXT NOT NULL,
    decided_at TEXT NOT NULL
) STRICT;
CREATE INDEX verdict_by_key ON verdict (key);

CREATE TRIGGER doubt_ends_with_a_verdict BEFORE UPDATE OF status ON item
WHEN OLD.status IN ('in_doubt', 'held') AND NEW.status <> OLD.status AND NOT EXISTS (
    SELECT 1 FROM verdict
    WHERE verdict.key = NEW.key AND verdict.attempt_id IS (SELECT max(id) FROM attempt WHERE attempt.key = NEW.key)
        AND (OLD.status, NEW.status, verdict.kind) IN (VALUES
            ('in_doubt', 'delivered', 'found'), ('in_doubt', 'pending', 'absent'), ('in_doubt', 'held', 'held'),
            ('held', 'delivered', 'accept'), ('held', 'pending', 'resend'))
)
BEGIN SELECT RAISE(ABORT, 'doubt ends only with a verdict on record'); END;

CREATE TRIGGER verdicts_are_on_doubts BEFORE INSERT ON verdict
WHEN ((SELECT status FROM item WHERE key = NEW.key), NEW.kind) NOT IN (VALUES
    ('in_doubt', 'found'), ('in_doubt', 'absent'), ('in_doubt', 'held'), ('held', 'accept'), ('held', 'resend'))
BEGIN SELECT RAISE(ABORT, 'a verdict is given on an item in doubt, a decision on one that is held'); END;

CREATE TRIGGER verdicts_stay BEFORE DELETE ON verdict BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER verdicts_are_fixed BEFORE UPDATE ON verdict BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
