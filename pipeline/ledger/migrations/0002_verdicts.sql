-- What was concluded about an item in doubt, and from what. Append-only, like attempts and outcomes.
CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL REFERENCES item,
    attempt_id INTEGER NOT NULL REFERENCES attempt,
    kind TEXT NOT NULL CHECK (kind IN ('found', 'absent', 'held', 'resend', 'accept')),
    evidence TEXT NOT NULL,
    decided_at TEXT NOT NULL
) STRICT;
CREATE INDEX verdict_by_key ON verdict (key);

CREATE TRIGGER doubt_ends_with_a_verdict BEFORE UPDATE OF status ON item
WHEN OLD.status IN ('in_doubt', 'held') AND NEW.status <> OLD.status AND NOT EXISTS (
    SELECT 1 FROM verdict
    WHERE verdict.key = NEW.key AND verdict.attempt_id = (SELECT max(id) FROM attempt WHERE attempt.key = NEW.key)
        AND verdict.kind IN ('found', 'accept', iif(NEW.status = 'held', 'held', NULL),
            iif(NEW.status = 'pending', 'absent', NULL), iif(NEW.status = 'pending', 'resend', NULL))
)
BEGIN SELECT RAISE(ABORT, 'doubt ends only with a verdict on record'); END;

CREATE TRIGGER verdicts_stay BEFORE DELETE ON verdict BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER verdicts_are_fixed BEFORE UPDATE ON verdict BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
