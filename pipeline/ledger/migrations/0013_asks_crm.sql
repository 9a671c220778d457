-- Whether a run that kept the call asks the CRM for its lead: a run that does not has not looked for it. Until now all
-- of them did.
ALTER TABLE leadless ADD COLUMN asks_crm INTEGER NOT NULL DEFAULT 1 CHECK (asks_crm IN (0, 1));
