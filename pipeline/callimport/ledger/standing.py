"""Where the calls of a run stand, once its plan is entered."""

from collections import Counter

from callimport.core.endings import Standing
from callimport.core.models import ItemStatus
from callimport.ledger import damage, held_updates, queries
from callimport.ledger.database import Database


def of_run(database: Database, batch_id: str, *, is_pilot: bool) -> Standing:
    """Count and list the items of the run, with what else a person should know of the ledger at its end."""
    items = Counter(queries.member_counts(database))
    held = held_updates.of_run(database)
    of_items = [one for one in held if one.is_of_run]
    items.subtract({ItemStatus.DELIVERED: len(of_items), ItemStatus.HELD: -len(of_items)})
    return Standing(
        items=items,
        adopted=queries.adopted_members(database) - sum(one.is_adopted for one in of_items),
        held_known=len(held) - len(of_items),
        in_doubt=tuple(queries.members(database, ItemStatus.IN_DOUBT)),
        held=(*queries.members(database, ItemStatus.HELD), *(one.listed for one in held)),
        refused=tuple(queries.members(database, ItemStatus.REFUSED)),
        failed=tuple(queries.members(database, ItemStatus.FAILED)),
        existing=tuple(queries.members(database, ItemStatus.WITHDRAWN)),
        pilot=tuple(queries.handed_out(database)) if is_pilot else (),
        waiting=tuple(queries.waiting(database, besides=batch_id)),
        kept_otherwise=Counter(queries.kept_otherwise(database)),
        # Asked last: what was read until now may be damaged.
        damaged=damage.told(database),
    )
