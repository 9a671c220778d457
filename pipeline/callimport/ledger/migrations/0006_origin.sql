-- Rejected rows that were mended and fed in again: by the mark of the row as it first was, the item that it became. A
-- table of its own, as a call that is joined of several mended rows has the marks of all of them.
CREATE TABLE origin (
    mark TEXT NOT NULL CHECK (mark GLOB 'o*' AND length(mark) = 21),
    key TEXT NOT NULL REFERENCES item,
    PRIMARY KEY (mark, key)
) STRICT;
CREATE INDEX origin_by_key ON origin (key);

CREATE TRIGGER origins_stay BEFORE DELETE ON origin BEGIN SELECT RAISE(ABORT, 'origins are kept'); END;
CREATE TRIGGER origins_are_fixed BEFORE UPDATE ON origin BEGIN SELECT RAISE(ABORT, 'origins are kept'); END;
