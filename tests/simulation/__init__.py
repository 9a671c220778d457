"""The real importer against a CRM that knows who made what, in virtual time, with crashes. One seed, one history.

scenario      what a seed draws: rows, rates, faults
lives         what befalls its lives: crashes, Ctrl-C, bad disks, upset clocks, a second process
profiles      named sets of what is drawn, for what a seed by itself draws too seldom
scheduling    trio with a seeded scheduler and a clock that jumps
clocks        the world's time, and what the importer's machine makes of it
history       everything that happened, in order, and its hash
process       one life of the importer, and how it dies
fate          brings to a life what is to befall it
disk          what of the ledger is on the disk, and what a crash leaves of it
network       the wires between the importer and the CRM
crm           the CRM at the other end, with its hidden truth
dialect       how a CRM writes its answers
surroundings  what a run finds around it, and what only costs time here
judge         what must be true, at every moment and at the end
story         one seed from the first life to the verdict
figures       what many seeds came to
sabotage      breakages of the importer that the judge must notice; hunt looks for the seeds that do

A world of its own, of nights of calls whose leads are looked up, in which some wait for theirs (`leads` plays it):
callers       what a seed draws: numbers, leads that come to be, exports that overlap
dealer        the CRM with its leads: page by page, by filter, by search
lead_story    one seed, night after night, with crashes in their midst
lead_judge    which lead was the right one at each moment, and where every call must end
lead_sabotage breakages that this judge must notice
"""
