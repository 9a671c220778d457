"""Calls whose number has no lead yet: kept, and tried again by later runs, whatever files these have."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from pipeline import model
from pipeline.ledger.database import Database

# As near as a call without seconds may lie to another one of the same number.
NEAR_SECONDS = 60
# No file of this run has it.
_NOWHERE = -1
_NO_LEAD = '{"lead_id": 0,'
_WAITS = "withdrawn_at IS NULL"
_COLUMNS = "reference, facts, payload, system, call_id, direction, phone, started_at, legs, recording"


# Of a known call a cut window shows some legs only; as for items, see `enrolment`.
_SHOWS_ALL_LEGS = """
    (leadless.legs IS NULL OR leadless.legs IS excluded.legs OR NOT EXISTS (
        SELECT value FROM json_each('["' || replace(leadless.legs, char(10), '","') || '"]')
        EXCEPT SELECT value FROM json_each('["' || replace(ifnull(excluded.legs, ''), char(10), '","') || '"]')))
"""


class Leadless(NamedTuple):
    """A call that waits for its lead; `call.lead_id` is 0, and its place is none of this run's."""

    call: model.Sighting
    source_sha256: str

    def with_lead(self, lead_id: int, place: model.Place) -> model.Sighting:
        return self.call._replace(
            lead_id=lead_id, payload=_payload(self.call, lead_id), source=place.source, row=place.row
        )


def waiting(database: Database, shape: str) -> list[Leadless]:
    """The calls that settings of this shape left without a lead, and that are no items yet; the oldest first."""
    found = database.rows(
        f"SELECT key, source_sha256, source_row, {_COLUMNS} FROM leadless "
        f"WHERE {_WAITS} AND shape = ? AND key NOT IN (SELECT key FROM item) ORDER BY started_at, key",
        (shape,),
    )
    return [_leadless(*row) for row in found]


def count(database: Database) -> int:
    """How many calls wait for a lead, whatever settings made them."""
    return int(database.one(f"SELECT count(*) FROM leadless WHERE {_WAITS} AND key NOT IN (SELECT key FROM item)"))


def forget_items(database: Database) -> None:
    """Inside an enrolment, once it has entered its batch: those that have become items wait no more."""
    database.execute("DELETE FROM leadless WHERE key IN (SELECT key FROM item)")


def give_up(database: Database, shape: str, before: datetime, found: Iterable[str], *, asked_crm: bool) -> int:
    """Forget those of this shape that were first seen before this; how many they were. Those `found` have their lead
    and are only held back. Those of another shape nobody has looked for just now, nor is this grace theirs: they wait
    for a run of their own settings; and those that wait for the CRM, for one that has asked it."""
    with database.transaction():
        return database.execute(
            f"DELETE FROM leadless WHERE {_WAITS} AND shape = ? AND first_seen_at < ? "
            "AND asks_crm <= ? AND key NOT IN (SELECT value FROM json_each(?))",
            (shape, _text(before), asked_crm, json.dumps(list(found))),
        )


def withdraw(database: Database, batch_id: str, now: str) -> int:
    """A person gives up the calls of a batch that wait for a lead; how many they were."""
    return database.execute(
        f"UPDATE leadless SET withdrawn_at = ? WHERE {_WAITS} AND batch_id = ? AND key NOT IN (SELECT key FROM item)",
        (now, batch_id),
    )


def withdraw_one(database: Database, reference: str, now: str) -> int:
    """The same of one call, by its reference or key."""
    return database.execute(
        f"UPDATE leadless SET withdrawn_at = ? WHERE {_WAITS} AND (reference = ? OR key = ?) "
        "AND key NOT IN (SELECT key FROM item)",
        (now, reference.upper(), reference),
    )


def retry(database: Database, reference: str) -> int:
    """One that a person gave up, by its reference or key, waits again; 0 where there is none."""
    return database.execute(
        f"UPDATE leadless SET withdrawn_at = NULL WHERE NOT ({_WAITS}) AND (reference = ? OR key = ?)",
        (reference.upper(), reference),
    )


def judge_withdrawn(database: Database) -> None:
    """Inside an enrolment, whether it looks for leads or not: what a person gave up while it waited for a lead stays
    so, now that its number has one."""
    database.execute(
        "UPDATE temp.sighting SET verdict = 'withdrawn' WHERE verdict IS NULL AND key IN (SELECT key FROM leadless "
        f"WHERE NOT ({_WAITS}) AND NOT EXISTS (SELECT 1 FROM item WHERE item.key = leadless.key))"
    )


def seen_today(database: Database, among: Iterable[Leadless], besides: Collection[model.Place]) -> set[str]:
    """Inside an enrolment: the keys of those that the files of today have as well, or have something so near that it
    may be the same call under another id; rows at the places `besides` are no calls of their own."""
    waiting_here = list(among)
    rows = [
        row
        for source, number, *row in database.rows(
            """
            SELECT source, row, key, phone, direction, started_at FROM temp.sighting
            WHERE phone IN (SELECT value FROM json_each(?)) OR key IN (SELECT value FROM json_each(?))
            """,
            (
                json.dumps(sorted({one.call.phone for one in waiting_here})),
                json.dumps([one.call.key for one in waiting_here]),
            ),
        )
        if model.Place(source, number) not in besides
    ]
    keys = {key for key, *_ in rows}
    times: dict[tuple[str, str], list[int]] = {}
    for _, phone, direction, started_at in rows:
        times.setdefault((phone, direction), []).append(started_at)
    return {
        one.call.key
        for one in waiting_here
        if one.call.key in keys
        or any(
            abs(moment - one.call.started_at) <= NEAR_SECONDS
            for moment in times.get((one.call.phone, one.call.direction), ())
        )
    }


def make_whole(database: Database, among: Iterable[Leadless]) -> None:
    """Inside an enrolment: where the files of today show a part of a call only, its row tells the whole story that is
    kept, with the lead that it has found."""
    kept = {one.call.key: one.call for one in among if one.call.legs is not None}
    rows = database.rows(
        "SELECT rowid, key, legs, lead_id FROM temp.sighting WHERE key IN (SELECT value FROM json_each(?))",
        (json.dumps(list(kept)),),
    )
    database.execute_many(
        "UPDATE temp.sighting SET facts = ?, payload = ?, legs = ?, started_at = ?, recording = ? WHERE rowid = ?",
        ((
            whole.facts, _payload(whole, lead_id), whole.legs, whole.started_at, whole.recording, rowid,
        ) for rowid, key, legs, lead_id in rows if not _shows_all(whole := kept[key], legs)),
    )  # fmt: skip


def _shows_all(known: model.Sighting, legs: str | None) -> bool:
    """Whether rows of these ids tell the whole of a known call: see `enrolment`."""
    return set((known.legs or "").split("\n")) <= {*(legs or "").split("\n"), ""}


def apart(found: Iterable[tuple[Leadless, int]]) -> list[tuple[Leadless, int]]:
    """Without those that are so near to one before them (the oldest comes first) that they may be the same call."""
    last: dict[tuple[str, str], int] = {}
    chosen = []
    for one, lead_id in found:
        whose = one.call.phone, one.call.direction
        if whose not in last or one.call.started_at - last[whose] > NEAR_SECONDS:
            last[whose] = one.call.started_at
            chosen.append((one, lead_id))
    return chosen


def keep(
    database: Database,
    batch: model.Batch,
    shape: str,
    calls: Iterable[model.Sighting],
    now: datetime,
    *,
    asks_crm: bool,
) -> None:
    """Inside an enrolment, once it has entered its batch: remember the calls of its files that have no lead. One that
    is known keeps the day it was first seen on, and its story where the rows of today are a part of it only; it waits
    for the CRM once it does."""
    database.execute_many(
        f"""
        INSERT INTO leadless (key, shape, batch_id, source_sha256, source_row, {_COLUMNS}, first_seen_at, asks_crm)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET shape = excluded.shape, batch_id = excluded.batch_id,
            source_sha256 = excluded.source_sha256, source_row = excluded.source_row, facts = excluded.facts,
            payload = excluded.payload, legs = excluded.legs, started_at = excluded.started_at,
            direction = excluded.direction, phone = excluded.phone, recording = excluded.recording,
            asks_crm = max(asks_crm, excluded.asks_crm)
        WHERE {_SHOWS_ALL_LEGS}
        """,
        ((
            one.key, shape, batch.id, batch.sources[one.source].sha256, one.row, one.reference, one.facts, one.payload,
            one.system, one.call_id, one.direction, one.phone, one.started_at, one.legs, one.recording, _text(now),
            int(asks_crm),
        ) for one in calls),
    )  # fmt: skip


def keep_marks(database: Database, calls: Mapping[model.Place, str], marks: Iterable[tuple[model.Place, str]]) -> None:
    """After `keep`: which of its calls, by place the key, rows of marks have become, see pipeline/origin.py."""
    database.execute_many(
        "INSERT INTO leadless_origin SELECT ?, key FROM leadless WHERE key = ? ON CONFLICT DO NOTHING",
        ((mark, calls[place]) for place, mark in marks if place in calls),
    )


def marks(database: Database, places: Mapping[str, model.Place]) -> list[tuple[model.Place, str]]:
    """The marks of calls that waited, by key their places now."""
    found = database.rows(
        "SELECT key, mark FROM leadless_origin WHERE key IN (SELECT value FROM json_each(?))",
        (json.dumps(list(places)),),
    )
    return [(places[key], mark) for key, mark in found]


def sources(database: Database, sha256s: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Name and size of sources of earlier runs, by hash."""
    rows = database.rows(
        "SELECT sha256, name, size FROM source WHERE sha256 IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(set(sha256s))),),
    )
    return {sha256: (name, size) for sha256, name, size in rows}


def _leadless(
    key: str, sha256: str, row: int, reference: str, facts: str, payload: str, system: str, call_id: str | None,
    direction: str, phone: str, started_at: int, legs: str | None, recording: str | None,
) -> Leadless:  # fmt: skip
    call = model.Sighting(
        _NOWHERE, row, key, reference, facts, payload, system, call_id, 0, direction, phone, started_at, legs,
        recording,
    )  # fmt: skip
    return Leadless(call, sha256)


def _payload(call: model.Sighting, lead_id: int) -> str:
    return call.payload.replace(_NO_LEAD, f'{{"lead_id": {lead_id},', 1)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
