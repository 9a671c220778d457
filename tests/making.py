"""Builders of what tests of the ledger need: calls, batches, ledgers, and items brought to where a test wants them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from callimport.core import endings, errors, mapping, models
from callimport.core.decisions import Entered
from callimport.core.models import ItemStatus
from callimport.ledger import Binding, Ledger
from callimport.profiles import profile
from callimport.profiles.exports import ProfileFiles
from callimport.report.summary import Reckoning
from callimport.transform import deduplicate, staging
from callimport.transform.counts import Tally
from tests import planning

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STARTED = datetime(2024, 5, 31, 14, 5, 9, tzinfo=UTC)
PHONE = "+15145550123"
OTHER_PHONE = "+15145550124"
ACCOUNT = models.Account(77, "Garage Tremblay")
BINDING = Binding("api.crm.example", ACCOUNT)

_CALL = models.Call(
    place=models.Place(0, 2),
    system="main",
    call_id="A-1",
    lead_id=5003,
    direction=models.Direction.INCOMING,
    status=models.CallStatus.ANSWERED,
    started_at=STARTED,
    duration_seconds=95,
    customer_phone=PHONE,
    executed_by=12,
    description="Rappel demandé",
    recording=None,
)


class Ticking:
    """A wall that goes on by a second each time somebody looks, so that no two moments are equal."""

    def __init__(self, start: datetime = NOW) -> None:
        self.now = start

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def clock(start: datetime = NOW) -> models.Clock:
    return models.Clock(wall=Ticking(start), monotonic=lambda: 0.0)


def call(call_id: str | None = "A-1", *, row: int = 2, source: int = 0, **changes: Any) -> models.Call:
    return _CALL._replace(call_id=call_id, place=models.Place(source, row), **changes)


def source(name: str) -> models.Source:
    """A file whose content is as its name."""
    return models.Source(Path(name), hashlib.sha256(name.encode()).hexdigest(), 100, 1)


def batch(*names: str, **settings: str) -> models.Batch:
    return mapping.batch(tuple(source(name) for name in names or ("calls.csv",)), {"timezone": "UTC", **settings})


def frame(calls: Sequence[models.Call]) -> pl.DataFrame:
    """Calls as they come to the ledger."""
    rows = [
        (
            *one.place, one.call_id, one.lead_id, one.direction.value, one.status.value, one.started_at,
            one.duration_seconds, one.customer_phone, one.executed_by, one.description, one.recording, one.legs,
        )
        for one in calls
    ]  # fmt: skip
    made = pl.DataFrame(rows, schema=mapping.CALL_COLUMNS, orient="row", infer_schema_length=None)
    return made.with_columns(
        pl.col("call_id", "description", "recording", "_legs").cast(pl.String),
        pl.col("_source", "_row", "executed_by").cast(pl.Int64),
    )


def files(*sources: int, system: str = "main", ids: bool = True) -> ProfileFiles:
    """Files of a profile whose ids are unique, or not."""
    return ProfileFiles(replace(profile.load("canonical"), identity=ids), system, None, sources)


def staged(calls: Sequence[models.Call], *several: ProfileFiles) -> pl.DataFrame:
    """Calls of these files as they are staged, all in one partition."""
    made = frame(calls)
    parts = [made.filter(pl.col("_source").is_in(list(its.sources))) for its in several]
    return pl.concat(
        part.with_columns(
            deduplicate.key_hash(its.system, part["call_id"], id_is_unique=its.profile.identity).alias(staging.HASH)
        )
        for its, part in zip(several, parts, strict=True)
    )


def key(of: models.Call, *, ids: bool = True) -> str:
    return mapping.key(of, id_is_unique=ids)


def ledger(path: Path) -> Ledger:
    return Ledger.open(path, clock(), BINDING)


def reference(of: models.Call) -> str:
    return mapping.reference(key(of), ACCOUNT.id)


def enter(
    into: Ledger,
    its_batch: models.Batch,
    *calls: models.Call,
    ids: bool = True,
    run_id: str | None = None,
    **settings: Any,
) -> Entered:
    """Plan these calls as a run does, and write the plan down."""
    return planning.enter(into, its_batch, calls, ids=ids, run_id=run_id, **settings)


def reckoned(of: Ledger, entered: Entered, its_batch: models.Batch, *calls: models.Call) -> endings.Summary:
    """The summary of a run that read these calls; a run without files read none."""
    leadless = [one for one in calls if one.lead_id == 0]
    tally = Tally(read=len(calls), calls=len(calls) - len(leadless))
    tally.skip(models.Skip.NO_LEAD, frame(leadless))
    for rejected in entered.rejects:
        tally.reject(rejected)
    standing = of.standing(its_batch.id)
    return Reckoning(standing, entered, its_batch.id, tally, its_batch.sources, 0.0).result().summary


def bring(of: Ledger, its_key: str, run_id: str, status: ItemStatus, *, communication_id: int = 900) -> None:
    """Take a pending item to `status`, by the verbs where there are any, else as a later piece will. An item that waits
    begins as one: its call has the lead 0."""
    database = of.database
    match status:
        case ItemStatus.PENDING | ItemStatus.WAITING:
            return
        case ItemStatus.FAILED:
            of.failed(its_key, "refused connections three times")
            return
        case ItemStatus.WITHDRAWN:
            of.withdraw(str(row(of, its_key)["batch_id"]))
            return
    attempt = of.intend(its_key, run_id)
    match status:
        case ItemStatus.IN_DOUBT | ItemStatus.HELD:
            of.in_doubt(its_key, attempt, errors.InDoubt("no answer in time"))
        case ItemStatus.REFUSED:
            of.refused(its_key, attempt, errors.Refused("422", status=422, reasons=("lead_id: unknown",)))
        case ItemStatus.DELIVERED | ItemStatus.GONE:
            of.delivered(its_key, attempt, models.Echo(communication_id, {"id": communication_id}))
    if status is ItemStatus.HELD:
        of.settle(its_key, models.Verdict("held", "the lead shows what could be it"))
    if status is ItemStatus.GONE:
        database.execute("UPDATE item SET status = ? WHERE key = ?", (status.value, its_key))


def row(of: Ledger, its_key: str) -> dict[str, Any]:
    """An item by column name, without its checksum."""
    names = [name for _, name, *_ in of.database.rows("PRAGMA table_info(item)") if name != "checksum"]
    (found,) = of.database.rows(f"SELECT {', '.join(names)} FROM item WHERE key = ?", (its_key,))  # noqa: S608
    return dict(zip(names, found, strict=True))


def status(of: Ledger, its_key: str) -> ItemStatus:
    return ItemStatus(row(of, its_key)["status"])


def everything(of: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, to see whether anything changed."""
    tables = of.database.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {name: of.database.rows(f"SELECT rowid, * FROM {name} ORDER BY rowid") for (name,) in tables}  # noqa: S608
