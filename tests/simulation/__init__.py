"""The real importer against a CRM that knows who made what, in virtual time, with crashes. One seed, one history.

scenario     what a seed draws: rows, rates, faults, crashes
scheduling   trio with a seeded scheduler and a clock that jumps
history      everything that happened, in order, and its hash
process      one life of the importer, and how it dies
disk         what of the ledger is on the disk, and what a crash leaves of it
crm          the CRM at the other end of the wire, with its hidden truth
judge        what must be true, at every moment and at the end
story        one seed from the first life to the verdict
sabotage     breakages of the importer that the judge must notice
"""
