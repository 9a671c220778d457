"""The SQLite file that remembers: what was meant to be sent, what was sent, and what came of it.

database       the file: private, exclusive, synced at every commit
schema.sql     the tables and the triggers that refuse an illegal move
checksum       of an item: what is damaged is neither changed, nor sent, nor shown as proof
damage         which calls are damaged
known_calls    what the plan must know of the calls of a run
entry          a plan is written down, whole or not at all
standing       where the calls of a run stand, once its plan is entered
planned        the same and more before the plan is entered; nothing is written
planned_recordings  which recording each call would have then
lead_cache     what the CRM said about numbers, in a file of its own
known_leads    which leads the calls of the ledger have
waiting_items  calls that wait for a lead
moves          one guarded statement that must hit one row
verdicts       what ends a doubt, with what it rests on
updates        delivered calls whose source tells another story
held_updates   updates that are held, because their new facts are probably those of another call
recordings     which recording each call should have, and whether the CRM has it
items          phase two: the moves of one item, each on disk before its caller goes on; what a person decides
queries        what the ledger can tell, changing nothing
delivered      which calls are in the CRM, and as what they were kept
history        all that happened to an item
runs           the last import
sample         pending calls of every kind
locking        one run a ledger, one run an account
"""

from callimport.ledger.database import Database
from callimport.ledger.items import Binding, Ledger

__all__ = ["Binding", "Database", "Ledger"]
