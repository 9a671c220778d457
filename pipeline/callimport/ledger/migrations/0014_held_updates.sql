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
    PRIMARY KEY (key, facts),
    CHECK ((decision IS NULL) = (decided_at IS NULL))
) STRICT;

-- The held updates that lie beside an item now. `item` is its row number.
CREATE VIEW held_story AS
    SELECT item.rowid AS item, held_update.key, evidence
    FROM held_update JOIN item ON item.key = held_update.key AND item.next_facts = held_update.facts
    WHERE decision IS NULL;

CREATE TRIGGER held_updates_are_not_sent BEFORE INSERT ON update_attempt
WHEN EXISTS (SELECT 1 FROM held_update WHERE key = NEW.key AND facts = NEW.facts AND decision IS NOT 'retry')
BEGIN SELECT RAISE(ABORT, 'a held update is sent only after a person said so'); END;

CREATE TRIGGER held_updates_are_not_applied BEFORE UPDATE OF facts ON item
WHEN OLD.status = 'delivered' AND NEW.facts <> OLD.facts AND EXISTS (
    SELECT 1 FROM held_update WHERE key = NEW.key AND facts = NEW.facts AND decision IS NOT 'retry')
BEGIN SELECT RAISE(ABORT, 'a held update is applied only after a person said so'); END;

CREATE TRIGGER decisions_on_updates_are_fixed BEFORE UPDATE ON held_update WHEN OLD.decision IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a decision on a held update is fixed'); END;
CREATE TRIGGER decisions_on_updates_stay BEFORE DELETE ON held_update WHEN OLD.decision IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a decision on a held update is kept'); END;
