-- The ids of the rows that a call was joined from, sorted, one a line; null where its recipe joins none.
ALTER TABLE item ADD COLUMN legs TEXT;
ALTER TABLE item ADD COLUMN next_legs TEXT;
