"""Die at every point there is, come back, and end where nobody died. `python -m tests.crash` prints the table.

world        what outlives a process: its files, the CRM, the time
crm          the CRM's memory and what troubles it, by rule
wire         the way to the CRM, step by step
storage      the ledger's connection, statement by statement
life         one process: it ends by itself or dies at a point, and shows every point where it could have
commands     what a person types, in the terms of a scene
scenes       what is played
exploration  every point of a scene, then every point of the recovery
comparison   an end against the end of the scene in which nobody died
sabotage     breakages of the importer that must be found
kills        the real command, killed for real
storm        what troubles the rehearsal CRM meanwhile
tally        what became of it, by the CRM's own count
"""
