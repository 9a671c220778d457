"""What a CRM shows on a lead, without HTTP: doubts, communications, and a courier that answers from a script."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from callimport.core import errors, models, normal_form
from callimport.crm.client import Destination
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger
from tests import making, planning
from tests.making import NOW

Answer = Sequence[models.Stored] | Exception


def doubt(call_id: str = "A-1", *, with_mark: bool = True, sent: datetime = NOW, **changes: Any) -> models.Doubt:
    """The call of that id, sent at `sent`, in doubt."""
    its = planning.row(making.call(call_id), with_mark=with_mark)
    known = models.Doubt(
        key=its["key"],
        reference=its["reference"],
        communication=models.Communication(**json.loads(its["payload"])),
        intended_at=sent,
        id_floor=0,
        since=0.0,
        applied=False,
        times_absent=0,
    )
    return replace(known, **changes)


def stored(
    number: int, sent: models.Communication, *, made: datetime | None = NOW + timedelta(seconds=1), **changes: Any
) -> models.Stored:
    """`sent` as the CRM keeps it, but for the changes; a change to `...` is a field that it does not show."""
    body: dict[str, Any] = {"id": number, **asdict(sent), "user_id": sent.executed_by, **changes}
    body = {name: value for name, value in body.items() if value is not ... and name != "executed_by"}
    return models.Stored(
        id=number,
        method=body.get("method", ""),
        type=body.get("type", ""),
        executed_at=normal_form.instant(body.get("executed_at")),
        created_at=made,
        description=body.get("description") or "",
        body=body,
    )


class Shows(Courier):
    """Answers each lead's reads in order, the last one for ever; notes when each was read."""

    def __init__(self) -> None:
        super().__init__(Destination.__new__(Destination), Pacer((models.Rate(1, 1.0),), lambda: 0.0), random.Random(0))
        self.answers: dict[int, list[Answer]] = defaultdict(lambda: [()])
        self.reads: list[tuple[float, int]] = []

    async def communications_of(self, lead_id: int) -> tuple[models.Stored, ...]:
        await anyio.lowlevel.checkpoint()
        self.reads.append((anyio.current_time(), lead_id))
        answers = self.answers[lead_id]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer)

    def at(self, lead_id: int) -> list[float]:
        return [moment for moment, lead in self.reads if lead == lead_id]


def virtual_clock() -> models.Clock:
    return models.Clock(lambda: NOW + timedelta(seconds=anyio.current_time()), anyio.current_time)


@contextmanager
def ledger_with(folder: Path, *calls: models.Call, with_mark: bool = True) -> Iterator[Ledger]:
    """A ledger with these calls pending in run-1, on the virtual clock."""
    ledger = Ledger.open(folder / "ledger.sqlite3", virtual_clock(), making.BINDING)
    ledger.start_run("run-1")
    planning.enter(ledger, making.batch(), calls, run_id="run-1", with_mark=with_mark)
    try:
        yield ledger
    finally:
        ledger.close()


def lose_answer(ledger: Ledger, call: models.Call, *, applied: bool = False) -> models.Doubt:
    """Send it, and hear nothing."""
    key = making.key(call)
    ledger.in_doubt(key, ledger.intend(key, "run-1"), errors.InDoubt("no answer in time", applied=applied))
    return next(one for one in ledger.doubts() if one.key == key)
