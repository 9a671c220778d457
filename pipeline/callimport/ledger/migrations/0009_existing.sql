-- The communication of somebody else that was found to be the call before it was sent, so that it is skipped. It stays
-- with a call that a person takes up again: that one is not looked for any more.

ALTER TABLE item ADD COLUMN existing_id INTEGER CHECK (existing_id > 0);
