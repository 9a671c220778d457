-- What a person gave up goes back to being held, not into the queue; and why a run stopped is kept for who asks later.

ALTER TABLE run ADD COLUMN stopped_by TEXT;

INSERT INTO legal_move VALUES ('withdrawn', 'held');

DROP TRIGGER verdicts_are_on_doubts;
CREATE TRIGGER verdicts_are_on_doubts BEFORE INSERT ON verdict
WHEN ((SELECT status FROM item WHERE key = NEW.key), NEW.kind) NOT IN (VALUES
    ('in_doubt', 'found'), ('in_doubt', 'absent'), ('in_doubt', 'held'), ('pending', 'held'), ('withdrawn', 'held'),
    ('held', 'accept'), ('held', 'resend'), ('held', 'withdraw'),
    ('pending', 'adopted'), ('refused', 'adopted'), ('failed', 'adopted'), ('withdrawn', 'adopted'),
    ('held', 'adopted'))
BEGIN SELECT RAISE(ABORT, 'a verdict is given where there is something to decide'); END;

DROP TRIGGER doubt_ends_with_a_verdict;
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
