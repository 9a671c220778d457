"""Updates that are held, because the new facts of a known call probably belong to another call under the same id.

The plan finds them. The table `held_update` keeps what was held and what a person decided. Facts that a person withdrew
count as known. Other facts are compared again with the facts of the item.
"""

from dataclasses import dataclass
from typing import Any

from callimport.core import models
from callimport.ledger import checksum, queries
from callimport.ledger.database import Database

_IS_HELD = "item.status = 'delivered' AND item.rowid IN (SELECT item FROM held_story)"
_NAMED = "(item.reference = upper(:name) OR item.key = :name)"

_OF_CALL = f"""
    WHERE decision IS NULL AND (key, facts) IN (
        SELECT item.key, item.next_facts FROM item WHERE item.status = 'delivered' AND {_NAMED})
"""


@dataclass(frozen=True, slots=True)
class HeldUpdate:
    """A delivered call whose update is held; `listed` tells why. `is_of_run`: the item is one of this run, not only a
    known call of its files."""

    listed: models.Listed
    is_of_run: bool
    is_adopted: bool


def of_run(database: Database) -> list[HeldUpdate]:
    """The held updates of this run: of its items, and of known calls in its files. Oldest call first."""
    is_of_run = "item.rowid IN (SELECT item FROM temp.member)"
    seen = "item.key IN (SELECT key FROM temp.told WHERE is_known)"
    found = _rows(database, f"({is_of_run} OR {seen})", f", {is_of_run}, item.adopted")
    return [HeldUpdate(queries.listed(row), bool(of_run), bool(adopted)) for *row, of_run, adopted in found]


def items(database: Database, batch_id: str | None = None) -> list[models.Listed]:
    """The calls of the ledger whose update is held; with `batch_id` only updates from that batch. Oldest call first."""
    found = _rows(database, "(:batch IS NULL OR item.next_batch_id = :batch)", batch=batch_id)
    return [queries.listed(row) for row in found]


def _rows(database: Database, which: str, more: str = "", **values: str | None) -> list[tuple[Any, ...]]:
    """Rows for `queries.listed`, with the evidence as the reason."""
    return database.rows(
        f"""
        SELECT item.reference, source.name, item.source_row, item.status, item.lead_id, item.direction, item.phone,
            item.started_at, item.communication_id, evidence, 1 {more}
        FROM held_story CROSS JOIN item ON item.rowid = held_story.item
            JOIN source ON source.sha256 = item.source_sha256
        WHERE item.status = 'delivered' AND {which} AND {checksum.is_sound()} ORDER BY item.started_at, item.key
        """,
        values,
    )


def count(database: Database) -> int:
    """How many calls of the ledger have a held update."""
    return int(database.one(f"SELECT count(*) FROM item WHERE {_IS_HELD}"))


def retry(database: Database, name: str, now: str) -> int:
    """Note that a person says it is the same call: the next run sends the update. Returns how many updates."""
    return database.execute(
        f"UPDATE held_update SET decision = 'retry', decided_at = :now {_OF_CALL}", {"name": name, "now": now}
    )


def withdraw(database: Database, name: str, now: str) -> int:
    """Note that a person says it is another call: its facts count as known. Returns how many updates."""
    # An earlier update may have reached the CRM. The CRM is then told again what the call is.
    told = "EXISTS (SELECT 1 FROM unanswered_update WHERE unanswered_update.key = item.key)"
    keys = [key for (key,) in database.rows(f"SELECT key FROM item WHERE {_IS_HELD} AND {_NAMED}", {"name": name})]
    database.execute(
        f"UPDATE held_update SET decision = 'withdraw', decided_at = :now {_OF_CALL}", {"name": name, "now": now}
    )
    for key in keys:
        database.execute(
            f"UPDATE item SET next_facts = iif({told}, facts, NULL), next_payload = iif({told}, payload, NULL), "
            f"next_legs = iif({told}, legs, NULL), moved_at = ? WHERE key = ?",
            (now, key),
        )
    return len(keys)


def is_held(database: Database, name: str) -> bool:
    """Whether the call of that reference or key has a held update."""
    return bool(database.one(f"SELECT EXISTS (SELECT 1 FROM item WHERE {_IS_HELD} AND {_NAMED})", {"name": name}))
