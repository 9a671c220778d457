"""Night after night an export, a ledger and a CRM in memory: what changed calls need, behind the real HTTP stack."""

import random
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio

from callimport.core import endings, errors, models
from callimport.core.decisions import Entered, Plan
from callimport.core.settings import Settings
from callimport.core.signals import Interruption
from callimport.crm.rate_limit import Pacer
from callimport.crm.retry import Courier
from callimport.ledger import Ledger
from callimport.ledger.planned import PlannedLedger
from callimport.load import planned_updates
from callimport.load.updates import Updating
from callimport.report.summary import Reckoning
from callimport.resolve.planning import Planning
from callimport.transform.counts import Tally
from tests import making, planning
from tests.fake_crm import FakeCrm, Reply, Request, reply
from tests.shown import virtual_clock

SETTINGS = Settings(files=())
# The brake of updates is tested on its own: here the plan lets all of them through.
ANY_NUMBER = 10**9
HOUSE = reply(200, {"data": [{"id": 77, "name": "Garage Tremblay"}]})


@dataclass
class Nights:
    """A ledger and a CRM, and night after night an export; `said` is what a person was told."""

    ledger: Ledger
    crm: FakeCrm
    said: list[str] = field(default_factory=list)
    interruption: Interruption = field(default_factory=Interruption)
    night: int = 1

    def delivered(self, *calls: models.Call, with_mark: bool = True) -> None:
        """The calls of the first night, each in the CRM as it was sent."""
        planning.enter(self.ledger, making.batch("1.csv"), calls, run_id="run-1", with_mark=with_mark)
        for one in calls:
            self._deliver(making.key(one))

    def _deliver(self, key: str) -> None:
        item = next(iter(self.ledger.database.rows("SELECT payload FROM item WHERE key = ?", (key,))))
        sent = Request("POST", "/v2/communications", {}, item[0].encode(), 0.0, "")
        self.crm.create(sent)
        stored = self.crm.stored[-1]
        attempt = self.ledger.intend(key, "run-1")
        self.ledger.delivered(key, attempt, models.Echo(stored["id"], dict(stored)))

    def tells(
        self,
        *calls: models.Call,
        settings: Settings = SETTINGS,
        with_mark: bool = True,
        questioned: Collection[str] = (),
        **shaping: str,
    ) -> "Night":
        """The export of another night. Rows of it contradict one another about the keys in `questioned`."""
        self.night += 1
        batch = making.batch(f"{self.night}.csv", **shaping)
        run_id = f"run-{self.night}"
        self.ledger.start_run(run_id)
        foreseen = planned_updates.account(
            self.plans(*calls, settings=settings, batch=batch, with_mark=with_mark, questioned=questioned),
            virtual_clock(),
        )
        entered = planning.enter(
            self.ledger, batch, calls, run_id=run_id, with_mark=with_mark, questioned=questioned,
            allow_updates=ANY_NUMBER,
        )  # fmt: skip
        night = self._night(settings, entered, batch, run_id, calls)
        expected, found = foreseen, night.updating.account()
        different = {
            one.name: (getattr(expected, one.name), getattr(found, one.name))
            for one in fields(found)
            if one.name not in ("known", "unchanged") and getattr(expected, one.name) != getattr(found, one.name)
        }
        assert not different, different
        assert found.known - found.unchanged == expected.known - expected.unchanged
        return night

    def plans(
        self,
        *calls: models.Call,
        settings: Settings = SETTINGS,
        batch: models.Batch | None = None,
        allow_updates: int | None = ANY_NUMBER,
        **making_it: Any,
    ) -> PlannedLedger:
        """What the export of a night would come to. Nothing is entered."""
        with_mark, questioned = making_it.get("with_mark", True), making_it.get("questioned", ())
        its = planning.settings_of(
            batch or making.batch(f"{self.night + 1}.csv"), on_change=settings.on_change, allow_updates=allow_updates
        )
        rows = [planning.row(one, with_mark=with_mark) for one in calls]
        return PlannedLedger(
            self.ledger, virtual_clock(), planning.planned(self.ledger, rows, its, questioned=questioned)
        )

    def goes_on(self, settings: Settings = SETTINGS) -> "Night":
        """A run without files."""
        self.night += 1
        batch, run_id = making.batch(f"{self.night - 1}.csv"), f"run-{self.night}"
        self.ledger.start_run(run_id)
        entered = Entered(carried=self.ledger.resume(run_id, batch.id))
        return self._night(settings, entered, batch, run_id, ())

    def goes_on_with(self, settings: Settings = SETTINGS) -> Plan:
        """The plan of a run without files."""
        area: Any = planning.Memory()
        planning_of_run = Planning(settings, planning.NOW, area, making.ACCOUNT, self.ledger, None)  # type: ignore[arg-type]
        return planning_of_run.of_batch(making.batch(f"{self.night}.csv").id)

    def _night(
        self,
        settings: Settings,
        entered: Entered,
        batch: models.Batch,
        run_id: str,
        calls: tuple[models.Call, ...],
    ) -> "Night":
        updating = Updating(settings, virtual_clock(), self.said.append, self.ledger, entered, batch.id)
        return Night(self, updating, entered, batch, run_id, len(calls))

    def row(self, call: models.Call | None = None) -> dict[str, Any]:
        return making.row(self.ledger, making.key(call or making.call()))


@dataclass
class Night:
    nights: Nights
    updating: Updating
    entered: Entered
    batch: models.Batch
    run_id: str
    rows: int

    async def make(self, limit: int | None = None, *, read_before: bool = False) -> endings.Result:
        """Make the updates; what the run then says of its calls."""
        stopped_by = None
        async with self.nights.crm.reached() as there:
            courier = Courier(there, Pacer((models.Rate(6000, 60.0),), anyio.current_time), random.Random(1))
            await courier.accounts()
            try:
                await self.updating.run(self.run_id, courier, self.nights.interruption, limit)
            except errors.ImporterError as error:
                stopped_by = error
        return self.result(limit, stopped_by)

    def result(self, limit: int | None = None, stopped_by: errors.ImporterError | None = None) -> endings.Result:
        reckoning = Reckoning(
            self.nights.ledger.standing(self.batch.id), self.entered, self.batch.id,
            Tally(read=self.rows, calls=self.rows), self.batch.sources, 0.0, run_id=self.run_id,
            work_may_be_left=limit is not None, stopped_by=stopped_by, updates=self.updating.account(),
        )  # fmt: skip
        result = reckoning.result()
        assert result.summary.calls.adds_up(result.summary.rows)
        return result


@contextmanager
def nights(folder: Path, *calls: models.Call, with_mark: bool = True) -> Iterator[Nights]:
    """`calls` were delivered last night; one if none is named."""
    crm = FakeCrm(account=lambda _: HOUSE)
    crm.answer = crm.keep
    folder.mkdir(exist_ok=True)
    ledger = Ledger.open(folder / "ledger.sqlite3", virtual_clock(), making.BINDING)
    ledger.start_run("run-1")
    them = Nights(ledger, crm)
    them.delivered(*(calls or (making.call(),)), with_mark=with_mark)
    try:
        yield them
    finally:
        ledger.close()


def several(count: int, **told: Any) -> list[models.Call]:
    """Calls of as many leads and minutes, no two alike."""
    return [
        making.call(
            f"A-{number}", row=number + 2, lead_id=6000 + number,
            started_at=making.STARTED + timedelta(minutes=number), **told,
        )
        for number in range(count)
    ]  # fmt: skip


def puts(crm: FakeCrm) -> list[tuple[str, Any]]:
    return [(one.target, one.json) for one in crm.received if one.method == "PUT"]


def reads(crm: FakeCrm) -> list[str]:
    return [one.target.partition("?")[0] for one in crm.received if one.target.startswith("/v2/leads/")]


def endings_of(result: endings.Result) -> dict[str, int]:
    calls = result.summary.calls
    names = ("unchanged", "updated", "refused", "failed", "skipped", "pending", "carried", "delivered")
    return {name: getattr(calls, name) for name in names if getattr(calls, name)}


def on_put(crm: FakeCrm, *answers: Reply | Callable[[Request], Reply]) -> None:
    """The first PUTs are answered so; an answer that is a function may store first."""
    left = deque(answers)

    def answer(request: Request) -> Reply:
        if request.method != "PUT" or not left:
            return crm.keep(request)
        given = left.popleft()
        return given(request) if callable(given) else given

    crm.answer = answer
