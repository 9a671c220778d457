-- The recording that the source names where it tells another story of a known call: it is the call's once that story is
-- taken up, and not before.
CREATE TABLE next_recording (
    key TEXT PRIMARY KEY REFERENCES item,
    facts TEXT NOT NULL,
    name TEXT NOT NULL CHECK (name <> '')
) STRICT;
