"""A CRM to rehearse against, on loopback and in memory; it shares no code with the importer, so no bug hides twice."""
