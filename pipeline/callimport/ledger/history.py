"""What the ledger tells of each item from its beginning: for a table of all of them, and for whoever asks after one."""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callimport.core import models
from callimport.ledger import checksum, lead_cache, queries
from callimport.ledger.database import Database

# Of `rows`, in this order.
COLUMNS = (
    "reference", "key", "source", "row", "system", "status", "adopted", "communication_id", "lead_id", "direction",
    "phone", "started_at", "attempts", "first_attempt_at", "last_attempt_at", "moved_at", "batch", "reason",
)  # fmt: skip

# Each term is one way to name an item; what is no number, or no phone number, is null, and equals nothing.
_NAMED = """
    item.payload IS NOT NULL AND (item.reference = :reference OR item.key = :text OR item.call_id = :text
        OR item.communication_id = :number OR item.lead_id = :number OR item.phone = :phone)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, and what became of it; `outcome` is None while that is not known. Moments are ISO 8601 in UTC."""

    run_id: str
    intended_at: str
    ended_at: str | None
    outcome: str | None
    http_status: int | None
    evidence: str | None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was concluded of the item, or decided by a person, and from what."""

    kind: str
    decided_at: str
    evidence: str


@dataclass(frozen=True, slots=True)
class History:
    """An item with all that happened to it. `settings` shaped the calls of its batch, by name; `has_changed` says that
    the source tells a new story that the CRM has not been told, `was_looked_up` that the CRM was asked
    whose its number is; `updates` are the requests that told it one. `update_held` says why its update is held (None:
    no update is held)."""

    item: models.Listed
    key: str
    system: str
    batch: str
    settings: dict[str, str]
    moved_at: str
    is_adopted: bool
    has_changed: bool
    update_held: str | None
    was_looked_up: bool
    attempts: tuple[Attempt, ...]
    updates: tuple[Attempt, ...]
    rulings: tuple[Ruling, ...]


@dataclass(frozen=True, slots=True)
class WithoutLead:
    """A call that waits for a lead and is no item yet, or that a person gave up meanwhile."""

    reference: str
    source: str
    row: int
    system: str
    batch: str
    direction: models.Direction
    phone: str
    started_at: datetime
    first_seen_at: datetime
    is_withdrawn: bool


def rows(
    database: Database, statuses: Sequence[models.ItemStatus], batch_id: str | None
) -> Generator[tuple[Any, ...], None, None]:
    """All items, or those of a standing and of a batch, as `COLUMNS`, in the order in which they were enrolled."""
    which = ["1"]
    if statuses:
        which.append(f"item.status IN ({', '.join('?' * len(statuses))})")
    if batch_id is not None:
        which.append("item.batch_id = ?")
    values = (*(status.value for status in statuses), *([] if batch_id is None else [batch_id]))
    yield from database.stream(
        f"""
        SELECT item.reference, item.key, source.name, item.source_row, item.system, item.status, item.adopted,
            item.communication_id, item.lead_id, item.direction, item.phone, item.started_at,
            (SELECT count(*) FROM attempt WHERE attempt.key = item.key),
            (SELECT min(intended_at) FROM attempt WHERE attempt.key = item.key),
            (SELECT max(intended_at) FROM attempt WHERE attempt.key = item.key),
            item.moved_at, item.batch_id,
            ifnull((SELECT evidence FROM held_story WHERE held_story.item = item.rowid AND item.status = 'delivered'),
                item.reason)
        FROM item JOIN source ON source.sha256 = item.source_sha256
        WHERE {" AND ".join(which)} AND item.payload IS NOT NULL AND {checksum.is_sound()} ORDER BY item.rowid
        """,
        values,
    )


def count_named(database: Database, text: str, phone: str | None) -> int:
    """How many items `named` would tell of, were there no `limit`."""
    return int(database.one(f"SELECT count(*) FROM item WHERE {_NAMED}", _names(text, phone)))


def named(database: Database, text: str, phone: str | None, *, limit: int, leads: Path | None = None) -> list[History]:
    """Items by reference, key, call id, communication or lead, or by `phone` in E.164; oldest call first.
    `leads` is the place of the lead cache."""
    found = database.rows(
        f"""
        SELECT item.key, item.reference, source.name, item.source_row, item.status, item.lead_id, item.direction,
            item.phone, item.started_at, item.communication_id, item.reason,
            EXISTS (SELECT 1 FROM attempt WHERE attempt.key = item.key), item.system, item.batch_id, batch.settings,
            item.moved_at, item.adopted, item.next_facts IS NOT NULL,
            (SELECT evidence FROM held_story WHERE held_story.item = item.rowid)
        FROM item JOIN source ON source.sha256 = item.source_sha256 JOIN batch ON batch.id = item.batch_id
        WHERE {_NAMED} AND {checksum.is_sound()} AND {checksum.is_sound("batch")}
        ORDER BY item.started_at, item.key LIMIT :limit
        """,
        {**_names(text, phone), "limit": limit},
    )
    asked_for = lead_cache.asked_for(leads, {row[7] for row in found})
    return [_history(database, row, was_looked_up=row[7] in asked_for) for row in found]


def without_lead(database: Database, text: str, phone: str | None, *, limit: int) -> list[WithoutLead]:
    """Calls that wait for a lead by reference, key, call id or phone; oldest call first."""
    found = database.rows(
        """
        SELECT reference, source.name, source_row, system, batch_id, direction, phone, started_at, entered_at,
            status = 'withdrawn'
        FROM item JOIN source ON source.sha256 = source_sha256
        WHERE (reference = :reference OR key = :text OR call_id = :text OR phone = :phone) AND payload IS NULL
        ORDER BY started_at, key LIMIT :limit
        """,
        {"reference": text.upper(), "text": text, "phone": phone, "limit": limit},
    )
    return [
        WithoutLead(
            reference, source, row, system, batch, models.Direction(direction), number,
            datetime.fromtimestamp(started_at, UTC), datetime.fromisoformat(first_seen_at), bool(is_withdrawn),
        )
        for reference, source, row, system, batch, direction, number, started_at, first_seen_at, is_withdrawn in found
    ]  # fmt: skip


def _names(text: str, phone: str | None) -> dict[str, Any]:
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    return {
        "reference": text.upper(),
        "text": text,
        "number": int(text) if is_number else None,
        "phone": phone,
    }


def _history(database: Database, row: tuple[Any, ...], *, was_looked_up: bool) -> History:
    key = row[0]
    attempts = database.rows(
        "SELECT run_id, intended_at, ended_at, kind, http_status, evidence "
        "FROM attempt LEFT JOIN outcome ON outcome.attempt_id = attempt.id WHERE attempt.key = ? ORDER BY attempt.id",
        (key,),
    )
    updates = database.rows(
        "SELECT run_id, intended_at, ended_at, iif(kind = 'updated' AND json_extract(changes, '$.method') IS NOT NULL, "
        "'asked', kind), http_status, evidence FROM update_attempt AS made "
        "LEFT JOIN update_outcome ON attempt_id = made.id WHERE made.key = ? ORDER BY made.id",
        (key,),
    )
    rulings = database.rows("SELECT kind, decided_at, evidence FROM verdict WHERE key = ? ORDER BY id", (key,))
    rulings += database.rows(
        "SELECT 'update held', held_at, evidence FROM held_update WHERE key = :key "
        "UNION ALL SELECT 'update ' || decision, decided_at, 'of what was held' FROM held_update "
        "WHERE key = :key AND decision IS NOT NULL ORDER BY 2",
        {"key": key},
    )
    return History(
        item=queries.listed(row[1:12]),
        key=key,
        system=row[12],
        batch=row[13],
        settings=json.loads(row[14]),
        moved_at=row[15],
        is_adopted=bool(row[16]),
        has_changed=bool(row[17]),
        update_held=row[18],
        was_looked_up=was_looked_up,
        attempts=tuple(Attempt(*one) for one in attempts),
        updates=tuple(Attempt(*one) for one in updates),
        rulings=tuple(Ruling(*one) for one in rulings),
    )
