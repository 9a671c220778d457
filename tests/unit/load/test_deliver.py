"""Each call once, whatever happens: the real ledger on disk, the real HTTP stack, virtual time."""

import itertools
import json
import random
import shutil
import sqlite3
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import pytest

from callimport.core import errors, models
from callimport.core.clock import Drift
from callimport.core.models import ItemStatus
from callimport.crm import rate_limit
from callimport.crm.client import Destination
from callimport.ledger import Binding, Ledger, queries
from callimport.load.deliver import Delivery, Task
from callimport.load.existing_calls import Existing
from tests import fake_crm, making, planning
from tests.fake_crm import FakeCrm, Line, Reply, Request, in_virtual_time, reply

BEGAN = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
SOURCE = models.Source(Path("calls.csv"), "a" * 64, 1000, 0)
BATCH = models.Batch("7K3Q-2M9D", (SOURCE,), {"profile": "canonical"}, "fingerprint")
WHOSE = Binding("127.0.0.1", models.Account(7, "Concession fictive"))


class Least(random.Random):
    """The shortest wait that the rules allow."""

    def uniform(self, a: float, b: float) -> float:
        return a


class Most(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def planned(number: int, lead_id: int) -> dict[str, Any]:
    """The call of that number, as the plan takes it; a greater one is a later call."""
    started_at = BEGAN - timedelta(days=30) + timedelta(minutes=number)
    call = making.call(
        str(number),
        row=number + 2,
        system="test",
        lead_id=lead_id,
        direction=models.Direction.OUTGOING,
        started_at=started_at,
        duration_seconds=60 + number,
        customer_phone=f"+1514555{100 + number % 100:04}",
        executed_by=101,
        description=f"call {number}",
    )
    return planning.row(call, with_mark=False) | {"key": f"k1:{number:05}", "reference": f"R{number:05}"}


@dataclass
class Wall:
    """Goes with virtual time, unless the machine sleeps or somebody sets the clock."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return BEGAN + timedelta(seconds=anyio.current_time()) + self.ahead


@dataclass
class Stage:
    """A CRM, a ledger with its batch enrolled, and what a delivery needs besides; `said` is what it told a person."""

    crm: FakeCrm
    ledger: Ledger
    path: Path
    there: Destination
    clock: models.Clock
    pacer: rate_limit.Pacer
    run_id: str = "run-1"
    rng: random.Random = field(default_factory=Least)
    wall: Wall = field(default_factory=Wall)
    said: list[str] = field(default_factory=list)

    def delivery(
        self,
        *,
        limit: int | None = None,
        concurrency: int = 8,
        since: Drift | None = None,
        existing: Existing | None = None,
    ) -> Delivery:
        to_do = self.count(ItemStatus.PENDING)
        # The canary has tests of its own.
        task = Task(self.run_id, BATCH.id, to_do, limit, concurrency, with_canary=False)
        return Delivery(
            task, self.ledger, self.there, self.pacer, self.clock, self.rng, say=self.said.append, drift=since,
            existing=existing,
        )  # fmt: skip

    async def deliver(self, *, limit: int | None = None, concurrency: int = 8) -> models.Progress:
        one = self.delivery(limit=limit, concurrency=concurrency)
        await one.run()
        return one.progress()

    def next_run(self) -> None:
        self.run_id = "run-2"
        self.ledger.start_run(self.run_id)
        self.ledger.resume(self.run_id, BATCH.id)

    def count(self, status: ItemStatus) -> int:
        return queries.counts(self.ledger.database)[status]

    def stand(self) -> dict[str, int]:
        return {str(status): count for status, count in queries.counts(self.ledger.database).items() if count}

    def reasons(self, status: ItemStatus) -> list[str | None]:
        return [item.reason for item in queries.items(self.ledger.database, status)]

    def attempts(self) -> list[tuple[Any, ...]]:
        return self.ledger.database.rows(
            "SELECT key, kind, http_status FROM attempt LEFT JOIN outcome ON outcome.attempt_id = attempt.id "
            "ORDER BY attempt.id"
        )

    def on_disk(self, sql: str) -> list[tuple[Any, ...]]:
        """Asked of the bytes that a dead process would leave behind: the ledger itself is held exclusively."""
        copy = self.path.with_name("copy.sqlite3")
        for end in ("", "-wal"):
            shutil.copyfile(f"{self.path}{end}", f"{copy}{end}")
        with closing(sqlite3.connect(copy)) as other:
            return other.execute(sql).fetchall()


@asynccontextmanager
async def stage(
    folder: Path,
    crm: FakeCrm,
    leads: Iterable[int],
    *,
    rate: models.Rate = models.Rate(6000, 60.0),  # noqa: B008  a frozen value
    ledger_class: type[Ledger] = Ledger,
    rng: random.Random | None = None,
    base_url: str = fake_crm.BASE_URL,
) -> AsyncIterator[Stage]:
    wall = Wall()
    clock = models.Clock(wall, anyio.current_time)
    path = folder / "ledger.sqlite3"
    with closing(ledger_class.open(path, clock, WHOSE)) as ledger:
        ledger.start_run("run-1")
        calls = [planned(number, lead_id) for number, lead_id in enumerate(leads)]
        ledger.enter("run-1", planning.planned(ledger, calls, planning.settings_of(BATCH)))
        async with crm.reached(base_url) as there:
            rng = rng or Least()
            shared = rate_limit.Pacer((rate,), anyio.current_time, rng)
            yield Stage(crm, ledger, path, there, clock, shared, rng=rng, wall=wall)


def numbers(crm: FakeCrm) -> list[int]:
    """Which calls the CRM was asked to create, in the order of asking."""
    posts = [request.json for request in crm.received if request.method == "POST"]
    return [int(sent["description"].removeprefix("call ")) for sent in posts]


def stored(crm: FakeCrm) -> list[int]:
    return sorted(int(call["description"].removeprefix("call ")) for call in crm.stored)


# The usual case


@in_virtual_time
async def test_eight_workers_deliver_two_hundred_calls_once_each(tmp_path: Path) -> None:
    crm = FakeCrm(latency_seconds=2.0, connect_seconds=0.2)
    async with stage(tmp_path, crm, range(1, 201), rate=models.Rate(190, 60.0)) as play:
        progress = await play.deliver()
        assert stored(crm) == list(range(200))
        assert play.stand() == {"delivered": 200}
        assert (progress.delivered, progress.done, progress.requests) == (200, 200, 200)
        assert progress.achieved_per_minute > 180
        assert anyio.current_time() < 200 * 60 / 190 + 5
        ids = play.ledger.database.rows("SELECT communication_id FROM item")
        assert len(set(ids)) == 200


async def test_calls_are_delivered_on_either_event_loop(tmp_path: Path) -> None:
    crm = FakeCrm()
    async with stage(tmp_path, crm, [1, 1, 2, 3, 3], rate=models.Rate(100_000, 60.0)) as play:
        await play.deliver()
        assert play.stand() == {"delivered": 5}
        assert stored(crm) == [0, 1, 2, 3, 4]


@in_virtual_time
async def test_a_second_run_sends_nothing(tmp_path: Path) -> None:
    crm = FakeCrm()
    async with stage(tmp_path, crm, range(1, 11)) as play:
        await play.deliver()
        play.next_run()
        progress = await play.deliver()
        assert (len(crm.received), progress.delivered) == (10, 0)


@in_virtual_time
async def test_the_oldest_call_goes_first(tmp_path: Path) -> None:
    crm = FakeCrm()
    async with stage(tmp_path, crm, [9, 8, 7, 6, 5, 4, 3]) as play:
        await play.deliver(concurrency=1)
        assert numbers(crm) == [0, 1, 2, 3, 4, 5, 6]


@in_virtual_time
async def test_a_lead_has_one_call_in_flight(tmp_path: Path) -> None:
    """Else two calls of one customer could be stored in the wrong order, and neither be told from the other."""
    busy, together = Counter[tuple[int, int]](), list[tuple[int, int]]()
    crm = FakeCrm()

    def answer(request: Request) -> Reply:
        together.append((request.json["lead_id"], int(request.at)))
        return crm.create(request)

    crm.answer, crm.latency_seconds = answer, 1.0
    async with stage(tmp_path, crm, [1, 1, 1, 1, 2, 2, 3]) as play:
        await play.deliver()
        busy.update(together)
        assert max(busy.values()) == 1
        assert len(crm.stored) == 7
        assert [n for n in numbers(crm) if n < 4] == [0, 1, 2, 3]
        assert anyio.current_time() == pytest.approx(4.0, abs=0.5), "the other leads did not wait for lead 1"


@in_virtual_time
async def test_a_limit_is_kept_by_all_workers_together(tmp_path: Path) -> None:
    crm = FakeCrm(latency_seconds=1.0)
    async with stage(tmp_path, crm, [1, 1, 1, 2, 3, 4, 5, 6, 7, 8]) as play:
        await play.deliver(limit=4)
        assert len(crm.received) == 4
        assert play.stand() == {"delivered": 4, "pending": 6}


# Order of writing


@in_virtual_time
async def test_the_intent_is_on_the_disk_when_the_first_byte_arrives(tmp_path: Path) -> None:
    """Whoever is killed then must find it there, or the call is sent a second time."""
    crm, seen = FakeCrm(latency_seconds=0.5), list[list[tuple[Any, ...]]]()
    async with stage(tmp_path, crm, range(1, 21)) as play:
        crm.on_first_byte = lambda: seen.append(
            play.on_disk("SELECT key FROM unresolved JOIN item USING (key) WHERE status = 'in_flight' ORDER BY id")
        )
        await play.deliver()
        order = [f"k1:{number:05}" for number in numbers(crm)]
    assert [keys[-1][0] for keys in seen] == order
    assert len(order) == 20


class Watched(Ledger):
    """Remembers what was counted, and what was on the disk, when an outcome had just been written."""

    look: Callable[[str], None] = staticmethod(lambda _: None)

    def delivered(self, key: str, attempt: int, echo: models.Echo) -> None:
        super().delivered(key, attempt, echo)
        self.look(key)


@in_virtual_time
async def test_an_outcome_is_on_the_disk_before_it_is_counted(tmp_path: Path) -> None:
    seen: list[tuple[int, list[tuple[Any, ...]]]] = []
    async with stage(tmp_path, FakeCrm(), range(1, 6), ledger_class=Watched) as play:
        one = play.delivery(concurrency=1)
        assert isinstance(play.ledger, Watched)
        play.ledger.look = lambda key: seen.append(
            (one.progress().delivered, play.on_disk("SELECT count(*) FROM item WHERE status = 'delivered'"))
        )
        await one.run()
    assert seen == [(counted, [(counted + 1,)]) for counted in range(5)]


@in_virtual_time
async def test_the_echo_and_its_differences_are_kept(tmp_path: Path) -> None:
    crm = FakeCrm()

    def answer(request: Request) -> Reply:
        return reply(201, {"data": {"id": 77, **request.json, "call_duration": 1}})

    crm.answer = answer
    async with stage(tmp_path, crm, [1]) as play:
        await play.deliver()
        ((number, echo, reason),) = play.ledger.database.rows("SELECT communication_id, echo, reason FROM item")
        assert (number, json.loads(echo)["call_duration"], reason) == (77, 1, "call_duration")


# What never left


@in_virtual_time
async def test_a_connection_that_fails_is_tried_three_times_then_failed(tmp_path: Path) -> None:
    crm = FakeCrm(lines=deque([Line.REFUSED] * 3))
    async with stage(tmp_path, crm, [1, 1]) as play:
        progress = await play.deliver()
        assert play.stand() == {"failed": 1, "delivered": 1}
        assert len(crm.connections) == 4
        assert play.attempts() == [("k1:00001", "delivered", 201)], "what never left was never attempted"
        assert (progress.failed, progress.delivered) == (1, 1)
        assert "refused" in str(play.reasons(ItemStatus.FAILED))


@in_virtual_time
async def test_two_failed_connections_and_then_one_that_stands_is_a_delivery(tmp_path: Path) -> None:
    crm = FakeCrm(lines=deque([Line.REFUSED, Line.SILENT]))
    async with stage(tmp_path, crm, [1], rng=Most()) as play:
        await play.deliver()
        assert play.stand() == {"delivered": 1}
        assert anyio.current_time() == pytest.approx(2.0 + 10.0 + 4.0), "a wait that doubles between the tries"


# What may have arrived


@pytest.mark.parametrize(
    "answer",
    [fake_crm.RESETS, fake_crm.CLOSES, fake_crm.NO_REPLY, reply(500), reply(502, b"<html>"), reply(504), reply(408)],
    ids=["reset", "closed", "hangs", "500", "502", "504", "408"],
)
def test_a_lost_answer_is_not_sent_again(tmp_path: Path, answer: Reply) -> None:
    """Neither by this run nor by the next: a duplicate cannot be undone."""

    @in_virtual_time
    async def story() -> None:
        crm = FakeCrm(script=deque([answer]))
        async with stage(tmp_path, crm, [1, 2]) as play:
            progress = await play.deliver(concurrency=1)
            assert (progress.in_doubt, progress.delivered) == (1, 1)
            play.next_run()
            await play.deliver()
            assert numbers(crm) == [0, 1]
            assert play.stand() == {"in_doubt": 1, "delivered": 1}
            ((applied,),) = play.ledger.database.rows("SELECT applied FROM item WHERE status = 'in_doubt'")
            assert applied == 0

    story()


@in_virtual_time
async def test_a_2xx_without_an_id_is_kept_as_applied(tmp_path: Path) -> None:
    async with stage(tmp_path, FakeCrm(script=deque([reply(201, {"data": {}})])), [1]) as play:
        await play.deliver()
        assert play.ledger.database.rows("SELECT status, applied FROM item") == [("in_doubt", 1)]


@in_virtual_time
async def test_what_a_killed_run_left_in_flight_is_not_sent_again(tmp_path: Path) -> None:
    crm = FakeCrm()
    async with stage(tmp_path, crm, [1, 2]) as play:
        play.ledger.intend("k1:00000", "run-1")
        play.next_run()
        await play.deliver()
        assert numbers(crm) == [1]
        assert play.stand() == {"in_doubt": 1, "delivered": 1}


# What the CRM refuses


@in_virtual_time
async def test_a_refused_call_is_kept_with_the_crms_reasons(tmp_path: Path) -> None:
    refusal = reply(422, {"message": "no", "errors": {"lead_id": ["Le champ lead id est obligatoire."]}})
    crm = FakeCrm(script=deque([refusal]))
    async with stage(tmp_path, crm, [1, 1, 1]) as play:
        progress = await play.deliver()
        assert play.stand() == {"refused": 1, "delivered": 2}
        assert play.reasons(ItemStatus.REFUSED) == ["lead_id: Le champ lead id est obligatoire."]
        assert (progress.refused, len(crm.received)) == (1, 3)
        assert play.attempts()[0] == ("k1:00000", "refused", 422)


@in_virtual_time
async def test_any_number_of_refusals_of_single_calls_does_not_stop_the_run(tmp_path: Path) -> None:
    crm = FakeCrm(script=deque(reply(422, {"message": f"no {number}"}) for number in range(60)))
    async with stage(tmp_path, crm, range(1, 71)) as play:
        await play.deliver()
        assert play.stand() == {"refused": 60, "delivered": 10}


# 429


@in_virtual_time
async def test_a_429_costs_no_attempt_and_everybody_waits(tmp_path: Path) -> None:
    crm = FakeCrm(script=deque([reply(429, None, [("Retry-After", "30")])] * 5), latency_seconds=1.0)
    async with stage(tmp_path, crm, range(1, 11), rate=models.Rate(60, 60.0)) as play:
        progress = await play.deliver()
        moments = [request.at for request in crm.received]
        assert all(later - earlier >= 30.0 for earlier, later in itertools.pairwise(moments[:6]))
        assert play.stand() == {"delivered": 10}
        assert progress.rate_limited == 5
        assert Counter(kind for _, kind, _ in play.attempts()) == {"not_applied": 5, "delivered": 10}


@in_virtual_time
async def test_a_quarter_of_an_hour_of_nothing_but_429_stops_the_run(tmp_path: Path) -> None:
    crm = FakeCrm(answer=lambda _: reply(429, None, [("Retry-After", "60")]))
    async with stage(tmp_path, crm, range(1, 4)) as play:
        with pytest.raises(errors.DestinationUnusable, match="15 minutes"):
            await play.deliver()
        # A quarter of an hour and the longest pause that was asked for, seen at the refusal after it.
        assert 900 < anyio.current_time() < 900 + 3 * 61
        assert play.stand() == {"pending": 3}


@in_virtual_time
async def test_one_hour_that_the_crm_asked_for_is_not_held_against_it(tmp_path: Path) -> None:
    crm = FakeCrm(script=deque([reply(429, None, [("Retry-After", "3600")]), reply(429, None, [("Retry-After", "5")])]))
    async with stage(tmp_path, crm, range(1, 4)) as play:
        await play.deliver()
        assert play.stand() == {"delivered": 3}


@in_virtual_time
async def test_a_pause_of_more_than_an_hour_stops_the_run_and_is_kept(tmp_path: Path) -> None:
    """Exit 1 with the time to come back, every call pending: nobody wants a run that hangs until tomorrow."""
    crm = FakeCrm(script=deque([reply(429, None, [("Retry-After", "7500")])]), latency_seconds=1.0)
    async with stage(tmp_path, crm, range(1, 10), rate=models.Rate(60, 60.0)) as play:
        with pytest.raises(errors.DestinationUnusable, match="run again in 2 h 05 min"):
            await play.deliver()
        assert len(crm.received) == 1
        assert play.stand() == {"pending": 9}
        assert play.attempts() == [("k1:00000", "not_applied", 429)]


# What stops the run


@pytest.mark.parametrize(
    ("answer", "said", "first"),
    [
        (reply(401), "CALLIMPORT_TOKEN", "pending"),
        (reply(404), "no such address", "pending"),
        (reply(302, None, [("Location", "/login")]), "redirect", "in_doubt"),
        (reply(200, b"<html>"), "web page", "in_doubt"),
    ],
    ids=["401", "404", "302", "web page"],
)
def test_an_unusable_destination_stops_everybody(tmp_path: Path, answer: Reply, said: str, first: str) -> None:
    """Ten thousand calls must not be burnt on a key that was withdrawn."""

    @in_virtual_time
    async def story() -> None:
        crm = FakeCrm(script=deque([answer]), connect_seconds=0.05)
        async with stage(tmp_path, crm, range(1, 21), rate=models.Rate(600, 60.0)) as play:
            with pytest.raises(errors.DestinationUnusable, match=said):
                await play.deliver()
            assert len(crm.received) == 1
            assert play.stand() == ({"pending": 20} if first == "pending" else {"in_doubt": 1, "pending": 19})
            assert play.ledger.database.rows("SELECT * FROM unresolved") == []

    story()


@in_virtual_time
async def test_nobody_whose_connection_was_being_made_sends_after_a_stop(tmp_path: Path) -> None:
    """They have their slot, but no byte has left: they may still turn back."""
    crm = FakeCrm(script=deque([reply(401)]), connect_seconds=5.0)
    async with stage(tmp_path, crm, range(1, 21), rate=models.Rate(600, 60.0)) as play:
        with pytest.raises(errors.DestinationUnusable):
            await play.deliver()
        assert (len(crm.connections), len(crm.received)) == (8, 1)
        assert play.stand() == {"pending": 20}
        assert len(play.attempts()) == 1


@in_virtual_time
async def test_a_certificate_that_cannot_be_trusted_stops_before_anything_is_written_down(tmp_path: Path) -> None:
    crm = FakeCrm(lines=deque([Line.DISTRUSTED] * 8))
    async with stage(tmp_path, crm, range(1, 21), base_url="https://127.0.0.1/v2") as play:
        with pytest.raises(errors.DestinationUnusable, match="certificate"):
            await play.deliver()
        assert play.stand() == {"pending": 20}
        assert play.attempts() == []


@in_virtual_time
async def test_an_answer_to_what_was_never_written_down_stops_the_run(tmp_path: Path) -> None:
    """A door that forgets to say when the first byte leaves breaks the one promise that everything rests on."""
    async with stage(tmp_path, FakeCrm(), range(1, 21)) as play:
        create = play.there.create
        forgets = mock.patch.object(play.there, "create", lambda call, _: create(call, lambda: None))
        with forgets, pytest.raises(errors.LedgerError, match="never written down"):
            await play.deliver()
        assert len(play.crm.received) < 8


@in_virtual_time
async def test_three_403_in_a_row_stop(tmp_path: Path) -> None:
    crm = FakeCrm(script=deque([reply(403), reply(403), reply(422), *[reply(403)] * 3]))
    async with stage(tmp_path, crm, range(1, 21)) as play:
        with pytest.raises(errors.DestinationUnusable, match="403"):
            await play.deliver(concurrency=1)
        assert play.stand() == {"refused": 6, "pending": 14}


@in_virtual_time
async def test_a_crm_that_is_not_there_stops_the_run_and_fails_no_call(tmp_path: Path) -> None:
    crm = FakeCrm(lines=deque([Line.REFUSED] * 100))
    async with stage(tmp_path, crm, range(1, 21)) as play:
        with pytest.raises(errors.DestinationUnusable, match="refused"):
            await play.deliver()
        assert play.stand() == {"pending": 20}
        assert play.attempts() == []


@in_virtual_time
async def test_what_is_under_way_when_the_run_stops_is_brought_to_its_end(tmp_path: Path) -> None:
    crm = FakeCrm()
    crm.answer = lambda request: reply(401, after_seconds=2.0) if request.json["lead_id"] == 4 else crm.create(request)
    crm.latency_seconds = 10.0
    async with stage(tmp_path, crm, range(1, 21)) as play:
        with pytest.raises(errors.DestinationUnusable):
            await play.deliver()
        assert play.stand() == {"delivered": 7, "pending": 13}
        assert anyio.current_time() == pytest.approx(10.0, abs=0.2)


class Failing(Ledger):
    """A disk that is full from a certain moment on."""

    full = False

    def intend(self, key: str, run_id: str) -> int:
        if self.full:
            raise errors.LedgerError("the disk is full")
        return super().intend(key, run_id)

    def delivered(self, key: str, attempt: int, echo: models.Echo) -> None:
        if self.full:
            raise errors.LedgerError("the disk is full")
        super().delivered(key, attempt, echo)


@in_virtual_time
async def test_a_ledger_that_cannot_be_written_lets_no_byte_leave(tmp_path: Path) -> None:
    crm = FakeCrm()
    async with stage(tmp_path, crm, range(1, 21), ledger_class=Failing) as play:
        play.ledger.full = True  # type: ignore[attr-defined]
        with pytest.raises(errors.LedgerError, match="disk is full"):
            await play.deliver()
        assert crm.bytes_seen == 0
        assert play.stand() == {"pending": 20}


@in_virtual_time
async def test_a_database_that_refuses_the_intent_lets_no_byte_leave(tmp_path: Path) -> None:
    """The same with SQLite's own refusal, whichever it is: here the file may not be written any more."""
    crm = FakeCrm()
    async with stage(tmp_path, crm, range(1, 21)) as play:
        play.ledger.database.execute("PRAGMA query_only = ON")
        with pytest.raises(errors.LedgerError):
            await play.deliver()
        assert crm.bytes_seen == 0


@in_virtual_time
async def test_an_outcome_that_cannot_be_written_stops_and_leaves_the_call_in_flight(tmp_path: Path) -> None:
    """So the next run finds it, in doubt: it was stored, and only the ledger does not know."""
    crm = FakeCrm()
    async with stage(tmp_path, crm, range(1, 21), ledger_class=Failing) as play:
        crm.on_first_byte = lambda: setattr(play.ledger, "full", True)
        with pytest.raises(errors.LedgerError, match="disk is full"):
            await play.deliver(concurrency=3)
        assert play.stand() == {"in_flight": 1, "pending": 19}
        play.ledger.full, crm.on_first_byte = False, lambda: None  # type: ignore[attr-defined]
        play.next_run()
        await play.deliver()
        assert play.stand() == {"in_doubt": 1, "delivered": 19}
        assert stored(crm) == list(range(20))


@in_virtual_time
async def test_the_first_error_is_the_one_that_is_told(tmp_path: Path) -> None:
    crm = FakeCrm(script=deque([reply(401, after_seconds=1.0), reply(302, after_seconds=3.0)]))
    async with stage(tmp_path, crm, [1, 2, 3]) as play:
        with pytest.raises(errors.DestinationUnusable, match="refused the key"):
            await play.deliver(concurrency=2)
        assert play.stand() == {"in_doubt": 1, "pending": 2}


# Draining


@in_virtual_time
async def test_asked_to_stop_it_ends_what_is_under_way_and_takes_nothing_more(tmp_path: Path) -> None:
    crm = FakeCrm(latency_seconds=10.0)
    async with stage(tmp_path, crm, range(1, 21), rate=models.Rate(60, 60.0)) as play:
        one = play.delivery()
        async with anyio.create_task_group() as group:
            group.start_soon(one.run)
            await anyio.sleep(3.5)
            one.drain()
        assert play.stand() == {"delivered": 4, "pending": 16}
        assert len(crm.received) == 4
        assert anyio.current_time() == pytest.approx(13.0)


@pytest.mark.parametrize("waits_for", ["retry-after", "backoff", "slot", "a busy lead"])
def test_asked_to_stop_it_cuts_every_wait_short(tmp_path: Path, waits_for: str) -> None:
    """Even one of an hour: whoever presses Ctrl-C is not to wait for it."""

    @in_virtual_time
    async def story() -> None:
        crm, rate = FakeCrm(), models.Rate(6000, 60.0)
        match waits_for:
            case "retry-after":
                crm.script.append(reply(429, None, [("Retry-After", "3600")]))
            case "backoff":
                crm.lines.extend([Line.REFUSED] * 3)
            case "slot":
                rate = models.Rate(1, 3600.0)
                crm.script.append(reply(422))
            case _:
                crm.latency_seconds = 0.7
        async with stage(tmp_path, crm, [1, 1, 1, 1], rate=rate, rng=Most()) as play:
            one = play.delivery(concurrency=3)
            async with anyio.create_task_group() as group:
                group.start_soon(one.run)
                await anyio.sleep(0.5)
                connections = len(crm.connections)
                one.drain()
            assert anyio.current_time() <= 1.0
            assert len(crm.connections) == connections
            assert len(crm.received) <= 1
            assert play.count(ItemStatus.PENDING) >= 3
            assert play.count(ItemStatus.IN_FLIGHT) == 0

    story()


@in_virtual_time
async def test_asked_to_stop_before_it_began_it_sends_nothing(tmp_path: Path) -> None:
    crm = FakeCrm()
    async with stage(tmp_path, crm, range(1, 4)) as play:
        one = play.delivery()
        one.drain()
        await one.run()
        assert crm.connections == []
        assert play.stand() == {"pending": 3}


@in_virtual_time
async def test_asked_to_stop_a_create_that_comes_to_nothing_is_not_waited_for_to_go_again(tmp_path: Path) -> None:
    crm = FakeCrm(lines=deque([Line.REFUSED]), connect_seconds=5.0)
    async with stage(tmp_path, crm, [1], rng=Most()) as play:
        one = play.delivery()
        async with anyio.create_task_group() as group:
            group.start_soon(one.run)
            await anyio.sleep(1.0)
            one.drain()
        assert anyio.current_time() == 5.0
        assert play.stand() == {"pending": 1}


@in_virtual_time
async def test_a_cancelled_run_does_not_cancel_a_request_under_way(tmp_path: Path) -> None:
    """Its answer is worth more than the second it takes: without it the call is in doubt."""
    crm = FakeCrm(latency_seconds=5.0)
    async with stage(tmp_path, crm, [1]) as play:
        with anyio.move_on_after(1.0):
            await play.deliver()
        assert play.stand() == {"delivered": 1}


# Everything at once


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_network_does_no_call_is_lost_or_made_twice(tmp_path: Path, seed: int) -> None:
    """Faults at random, run after run: what is delivered is there once, what is not in doubt is sure."""

    @in_virtual_time
    async def story() -> None:
        chance = random.Random(seed)
        crm = FakeCrm(latency_seconds=0.5, connect_seconds=0.1)

        def answer(request: Request) -> Reply:
            fate = chance.random()
            if fate < 0.05:
                crm.create(request)
                return chance.choice([fake_crm.RESETS, fake_crm.NO_REPLY, reply(500), reply(201, {}, cut_after=1)])
            if fate < 0.08:
                return chance.choice([fake_crm.CLOSES, reply(503)])
            if fate < 0.15:
                return reply(429, None, [("Retry-After", str(chance.randint(-1, 30)))])
            return reply(422) if fate < 0.2 else crm.create(request)

        crm.answer = answer
        crm.account = lambda _: reply(200, {"data": {"id": 7}}) if chance.random() < 0.7 else reply(503)
        crm.lines.extend(chance.choices([Line.GOOD, Line.REFUSED, Line.DEAF], [8, 1, 1], k=40))
        leads = [chance.randint(1, 12) for _ in range(60)]
        async with stage(tmp_path, crm, leads, rng=random.Random(seed)) as play:
            for run in range(2, 40):
                try:
                    await play.deliver()
                except errors.DestinationUnusable:
                    play.run_id = f"run-{run}"
                    play.ledger.start_run(play.run_id)
            assert play.ledger.next_item(BATCH.id, frozenset()) is None, "only leads with a call in doubt may wait"
            assert play.count(ItemStatus.IN_FLIGHT) == 0
            assert sum(play.stand().values()) == 60
            assert max(Counter(stored(crm)).values()) == 1, "made twice"
            status = {int(key[3:]): status for key, status in play.ledger.database.rows("SELECT key, status FROM item")}
            there = set(stored(crm))
            assert {number for number in status if status[number] == "delivered"} <= there
            assert {number for number in status if status[number] in ("refused", "failed")}.isdisjoint(there)

    story()


def _id_of_the_first(crm: FakeCrm) -> Callable[[Request], Reply]:
    """Store each call, and answer each with the id of the first."""

    def answer(request: Request) -> Reply:
        kept = json.loads(crm.create(request).data.partition(b"\r\n\r\n")[2])["data"]
        return reply(201, {"data": {**kept, "id": fake_crm.FIRST_ID}})

    return answer


def _with_a_surrogate(crm: FakeCrm) -> Callable[[Request], Reply]:
    """Answer the third create with text that is no Unicode."""

    def answer(request: Request) -> Reply:
        sound = crm.create(request)
        return sound if len(crm.stored) != 3 else reply(201, {"data": {**crm.stored[-1], "description": "\ud800"}})

    return answer


@pytest.mark.parametrize(
    ("hostile", "delivered", "said"),
    [(_id_of_the_first, 1, "which call R0000"), (_with_a_surrogate, 3, "unreadable body")],
    ids=["id of another call", "lone surrogate"],
)
@in_virtual_time
async def test_a_wrong_answer_puts_only_its_own_call_in_doubt(
    tmp_path: Path, hostile: Callable[[FakeCrm], Callable[[Request], Reply]], delivered: int, said: str
) -> None:
    crm = FakeCrm()
    crm.answer = hostile(crm)
    async with stage(tmp_path, crm, leads=[5001, 5002, 5003, 5004]) as play:
        await play.delivery(concurrency=1).run()

        assert len(crm.stored) == 4
        assert play.count(ItemStatus.DELIVERED) == delivered
        assert play.count(ItemStatus.IN_DOUBT) == 4 - delivered
        assert all(doubt.applied for doubt in play.ledger.doubts())
        reasons = [one.reason or "" for one in queries.items(play.ledger.database, ItemStatus.IN_DOUBT)]
        assert all(said in reason for reason in reasons)
