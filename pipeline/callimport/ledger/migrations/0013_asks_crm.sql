-- Whether a run that kept the call asks the CRM for its lead: a run that does not has not looked for it. Of those kept
-- until now it is not known: they are given up by a run that asks, or by a person.
ALTER TABLE leadless ADD COLUMN asks_crm INTEGER NOT NULL DEFAULT 1 CHECK (asks_crm IN (0, 1));
