-- What the CRM answered to the question whose a number is, and when. `leads` is a JSON list of id, created_at (null where
-- the CRM does not say) and status; an empty one says that it is nobody's.
CREATE TABLE lookup (
    phone TEXT PRIMARY KEY,
    leads TEXT NOT NULL CHECK (leads LIKE '[%]'),
    looked_up_at TEXT NOT NULL
) STRICT;

-- Calls whose number has no lead yet: everything of an item but the lead. `shape` is of the settings that made them: a
-- run with others leaves them alone. They leave with the item that they become, or when they have waited long enough;
-- those that a person has given up stay, so that no file brings them back. `batch_id` is the last that showed the call.
CREATE TABLE leadless (
    key TEXT PRIMARY KEY CHECK (key GLOB 'k1:*'),
    shape TEXT NOT NULL,
    batch_id TEXT NOT NULL REFERENCES batch,
    source_sha256 TEXT NOT NULL REFERENCES source,
    source_row INTEGER NOT NULL,
    reference TEXT NOT NULL,
    facts TEXT NOT NULL,
    payload TEXT NOT NULL,
    system TEXT NOT NULL,
    call_id TEXT,
    direction TEXT NOT NULL,
    phone TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    legs TEXT,
    recording TEXT,
    first_seen_at TEXT NOT NULL,
    withdrawn_at TEXT
) STRICT;

-- As `origin`, of calls that wait for a lead.
CREATE TABLE leadless_origin (
    mark TEXT NOT NULL CHECK (mark GLOB 'o*' AND length(mark) = 21),
    key TEXT NOT NULL REFERENCES leadless ON DELETE CASCADE,
    PRIMARY KEY (mark, key)
) STRICT;
CREATE INDEX leadless_origin_by_key ON leadless_origin (key);

-- What the rows that were mended have become, item or not yet.
CREATE VIEW mended_call AS
SELECT mark, key, reference, system, status, existing_id FROM origin JOIN item USING (key)
UNION ALL
SELECT mark, key, reference, system, iif(withdrawn_at IS NULL, 'pending', 'withdrawn'), NULL
FROM leadless_origin JOIN leadless USING (key);
