"""Take calls from the ledger and send them to the CRM. Lost answers are looked up, never guessed."""
