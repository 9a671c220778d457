"""Plan calls and enter them into a real ledger, as a run does: for tests that begin with calls in a ledger."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from callimport.core import mapping, models
from callimport.core.decisions import CALLS, Entered, Plan, PlanSettings
from callimport.core.endings import Standing
from callimport.ledger import Ledger
from callimport.ledger.planned import PlannedLedger
from callimport.ledger.planned_recordings import PlannedRecordings
from callimport.ledger.recordings import Recordings
from callimport.plan.planner import Planner
from callimport.resolve import payload

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
ACCOUNT_ID = 77
REJECTED = {"system": pl.String, "call_id": pl.String, "phone": pl.String, "started_at": pl.Int64}


class Stored:
    """Rows in memory: each frame that was added is a partition."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame, of: pl.Expr) -> None:
        self._frames.append(frame)

    def read(self) -> Iterator[pl.DataFrame]:
        yield from self._frames


class Memory:
    """A staging area without a folder."""

    def partitions(self, share: int = 1) -> Stored:
        return Stored()


def row(call: models.Call, *, ids: bool = True, with_mark: bool = True) -> dict[str, Any]:
    """A call as the plan takes it (CALLS). With the lead 0 it is a call that has none yet."""
    key = mapping.key(call, id_is_unique=ids)
    reference = mapping.reference(key, ACCOUNT_ID)
    sent = mapping.communication(call, reference if with_mark else None)
    has_lead = call.lead_id > 0
    return {
        "source": call.place.source,
        "row": call.place.row,
        "key": key,
        "reference": reference,
        "system": call.system,
        "call_id": call.call_id if ids else None,
        "lead_id": call.lead_id if has_lead else None,
        "direction": call.direction.value,
        "phone": call.customer_phone,
        "started_at": int(call.started_at.timestamp()),
        "duration_seconds": call.duration_seconds,
        "description": call.description,
        "recording": call.recording,
        "legs": call.legs,
        "facts": mapping.facts(call),
        "payload": payload.text_of(sent) if has_lead else None,
        "staged": None if has_lead else "{}",
        "marks": [],
    }


def settings_of(batch: models.Batch, **settings: Any) -> PlanSettings:
    shapes = dict.fromkeys(range(len(batch.sources)), "shape")
    return PlanSettings(batch, ACCOUNT_ID, NOW, **{"keeps_waiting": True, "shapes": shapes, **settings})


def planned(
    ledger: Ledger,
    calls: Iterable[dict[str, Any]],
    settings: PlanSettings,
    *,
    partitions: int = 1,
    questioned: Collection[str] = (),
) -> Plan:
    """What a run would do with these calls. Rows of today contradict one another about the keys in `questioned`."""
    known = ledger.known_calls()
    rows = list(calls)
    systems = {one["system"] for one in rows}
    planner = Planner(settings, Stored(), Stored(), compares=len(systems) > 1)
    for number in range(partitions):
        part = pl.DataFrame(rows[number::partitions], schema=CALLS, orient="row")
        known.bring_along(planner.see(part, known.view(part)))
    known.question(questioned)
    for items in known.carried(settings.batch.settings_fingerprint, settings.plan):
        planner.carry(items)
    for items in known.parked(settings.batch.settings_fingerprint):
        planner.park(items)
    return planner.plan(pl.DataFrame(schema=REJECTED))


def enter(
    ledger: Ledger,
    batch: models.Batch,
    calls: Sequence[models.Call],
    *,
    run_id: str | None = None,
    ids: bool = True,
    with_mark: bool = True,
    questioned: Collection[str] = (),
    **settings: Any,
) -> Entered:
    """Plan these calls and write the plan down. What the plan says is what is then entered. Raises GuardStopped where a
    guard stops it."""
    rows = [row(one, ids=ids, with_mark=with_mark) for one in calls]
    plan = planned(ledger, rows, settings_of(batch, **settings), questioned=questioned)
    if plan.stopped_by is not None:
        raise plan.stopped_by
    # What this process has in flight itself is in doubt for no run.
    is_comparable = not ledger.database.one("SELECT 1 FROM item WHERE status = 'in_flight'")
    clock = models.Clock(lambda: NOW, lambda: 0.0)
    foreseen = PlannedLedger(ledger, clock, plan)
    book = PlannedRecordings(foreseen, clock)
    book.take_up_names()
    systems = {call.system for call in calls}
    expected = _comparable(foreseen.standing(batch.id)) | {"carried": foreseen.carried} | _recordings(book, systems)
    entered = replace(Entered.by(plan), carried=ledger.enter(run_id, plan))
    found = _comparable(ledger.standing(batch.id)) | {"carried": entered.carried}
    found |= _recordings(Recordings(ledger.database, clock), systems)
    different = {name: (expected[name], found[name]) for name in found if expected[name] != found[name]}
    assert not is_comparable or not different, different
    return entered


def _recordings(book: Recordings, systems: Collection[str]) -> dict[str, Any]:
    nameless = {one for system in systems for one in book.nameless(system)}
    return {
        "recordings": set(book.of_delivered(or_pending=True)),
        "claimed": book.claimed(),
        "bearers": set(book.bearers()),
        "told_now": book.told_now(),
        "nameless": {one._replace(legs=" ".join(sorted(set((one.legs or "").split())))) for one in nameless},
    }


def _comparable(standing: Standing) -> dict[str, Any]:
    return {one.name: getattr(standing, one.name) for one in fields(standing)} | {"items": +standing.items}


def statuses(ledger: Ledger) -> dict[str, str]:
    """Where each item stands, by key."""
    return dict(ledger.database.rows("SELECT key, status FROM item ORDER BY key"))


def members(ledger: Ledger) -> dict[str, int]:
    """The items of this run, and whether they came along."""
    found = ledger.database.rows(
        "SELECT key, carried FROM temp.member JOIN item ON item.rowid = member.item ORDER BY 1"
    )
    return dict(found)
