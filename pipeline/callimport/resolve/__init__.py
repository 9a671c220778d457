"""Find the lead and the agent of each call, from the ledger, the leads and agents files, and the CRM."""
