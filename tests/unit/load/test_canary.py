"""The first call goes alone, and the CRM must show it with its reference before others follow."""

import itertools
import json
from collections import deque
from pathlib import Path
from typing import Any

import anyio
import pytest

from callimport.core import errors
from callimport.core.models import ItemStatus
from callimport.load import deliver
from tests import fake_crm
from tests.fake_crm import FakeCrm, Reply, Request, in_virtual_time, reply
from tests.unit.load.test_deliver import BATCH, Stage, planned, stage


class Showing(FakeCrm):
    """Shows on a lead what it stored there; the first `lag` reads show nothing yet."""

    lag = 0
    trims = False

    def receive(self, request: Request) -> Reply:
        if request.method == "POST":
            return super().receive(request)
        self.received.append(request)
        lead_id = int(request.target.split("/")[-1].partition("?")[0])
        self.lag -= 1
        there = [self._kept(one) for one in self.stored if one["lead_id"] == lead_id and self.lag < 0]
        return reply(200, {"data": {"id": lead_id, "communications": there}})

    def _kept(self, one: dict[str, Any]) -> dict[str, Any]:
        return one | {"description": one["description"][:4]} if self.trims else one


def _marked(play: Stage) -> None:
    """Write each call's reference into its description, as the mapping does."""
    for number in range(play.count(ItemStatus.PENDING)):
        payload = json.loads(planned(number, number + 1)["payload"])
        payload["description"] += f" [ref R{number:05}]"
        values = (json.dumps(payload), f"k1:{number:05}")
        play.ledger.database.execute("UPDATE item SET payload = ? WHERE key = ?", values)


async def _deliver(play: Stage, *, limit: int | None = None, concurrency: int = 8) -> deliver.Delivery:
    task = deliver.Task(play.run_id, BATCH.id, play.count(ItemStatus.PENDING), limit, concurrency)
    one = deliver.Delivery(task, play.ledger, play.there, play.pacer, play.clock, play.rng)
    await one.run()
    return one


def _methods(crm: FakeCrm) -> list[str]:
    return [request.method for request in crm.received]


@in_virtual_time
async def test_the_first_call_goes_alone_and_is_seen_before_the_others_follow(tmp_path: Path) -> None:
    crm = Showing(latency_seconds=3.0)
    async with stage(tmp_path, crm, range(1, 6)) as play:
        _marked(play)
        sending = await _deliver(play)
        assert sending.proved
        assert _methods(crm) == ["POST", "GET", "POST", "POST", "POST", "POST"]
        assert play.stand() == {"delivered": 5}


@pytest.mark.parametrize("lag", [1, 4])
def test_to_be_shown_late_is_fine(tmp_path: Path, lag: int) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = Showing()
        crm.lag = lag
        async with stage(tmp_path, crm, range(1, 4)) as play:
            _marked(play)
            await _deliver(play)
            assert play.stand() == {"delivered": 3}
            assert _methods(crm).count("GET") == lag + 1

    story()


@in_virtual_time
async def test_a_crm_that_does_not_show_the_call_stops_the_run(tmp_path: Path) -> None:
    crm = Showing()
    crm.lag = 10**6
    async with stage(tmp_path, crm, range(1, 4)) as play:
        _marked(play)
        with pytest.raises(errors.GuardStopped, match="does not show it on lead 1"):
            await _deliver(play)
        assert play.stand() == {"delivered": 1, "pending": 2}
        assert anyio.current_time() < 60


@in_virtual_time
async def test_a_crm_that_does_not_keep_the_reference_stops_the_run(tmp_path: Path) -> None:
    crm = Showing()
    crm.trims = True
    async with stage(tmp_path, crm, range(1, 4)) as play:
        _marked(play)
        with pytest.raises(errors.GuardStopped, match=r"did not keep the reference \[ref R00000\].*--no-reference"):
            await _deliver(play)
        assert len(crm.stored) == 1


@in_virtual_time
async def test_a_read_that_shows_no_communications_at_all_is_as_if_it_were_not_shown_yet(tmp_path: Path) -> None:
    crm = Showing()
    async with stage(tmp_path, crm, range(1, 4)) as play:
        _marked(play)
        show, crm.receive = crm.receive, lambda request: reads(request)  # type: ignore[method-assign]
        answers = deque([reply(200, {"data": {"id": 1}}), reply(404)])

        def reads(request: Request) -> Reply:
            if request.method == "GET" and answers:
                crm.received.append(request)
                return answers.popleft()
            return show(request)

        await _deliver(play)
        assert _methods(crm)[:5] == ["POST", "GET", "GET", "GET", "POST"]
        assert play.stand() == {"delivered": 3}


@in_virtual_time
async def test_with_nothing_to_send_there_is_no_canary(tmp_path: Path) -> None:
    async with stage(tmp_path, Showing(), []) as play:
        assert not (await _deliver(play)).proved
        assert play.crm.connections == []


@in_virtual_time
async def test_without_a_reference_nothing_is_looked_at(tmp_path: Path) -> None:
    crm = Showing()
    async with stage(tmp_path, crm, range(1, 4)) as play:
        assert (await _deliver(play)).proved
        assert _methods(crm) == ["POST"] * 3


@in_virtual_time
async def test_three_refused_canaries_stop_the_run(tmp_path: Path) -> None:
    crm = Showing(script=deque([reply(422)] * 3))
    async with stage(tmp_path, crm, range(1, 6)) as play:
        with pytest.raises(errors.GuardStopped, match="refused the first 3 calls"):
            await _deliver(play)
        assert play.stand() == {"refused": 3, "pending": 2}


@in_virtual_time
async def test_after_a_refused_canary_the_next_call_is_the_canary(tmp_path: Path) -> None:
    crm = Showing(script=deque([reply(422)] * 2))
    async with stage(tmp_path, crm, range(1, 6)) as play:
        _marked(play)
        await _deliver(play)
        assert _methods(crm)[:4] == ["POST", "POST", "POST", "GET"]
        assert play.stand() == {"refused": 2, "delivered": 3}


@in_virtual_time
async def test_after_a_canary_in_doubt_one_call_goes_at_a_time(tmp_path: Path) -> None:
    crm = Showing(script=deque([fake_crm.RESETS]), latency_seconds=4.0)
    async with stage(tmp_path, crm, range(1, 6)) as play:
        sending = await _deliver(play)
        moments = [request.at for request in crm.received]
        assert not sending.proved
        assert all(later - earlier >= 4.0 for earlier, later in itertools.pairwise(moments[1:]))
        assert play.stand() == {"in_doubt": 1, "delivered": 4}


@in_virtual_time
async def test_the_limit_counts_the_canary(tmp_path: Path) -> None:
    crm = Showing()
    async with stage(tmp_path, crm, range(1, 6)) as play:
        assert (await _deliver(play, limit=2)).taken == 2
        assert len(crm.stored) == 2


@in_virtual_time
async def test_asked_to_stop_while_it_looks_it_sends_nothing_more(tmp_path: Path) -> None:
    crm = Showing()
    crm.lag = 10**6
    async with stage(tmp_path, crm, range(1, 6)) as play, anyio.create_task_group() as beside:
        _marked(play)
        task = deliver.Task(play.run_id, BATCH.id, 5, None, 8)
        sending = deliver.Delivery(task, play.ledger, play.there, play.pacer, play.clock, play.rng)
        beside.start_soon(sending.run)
        await anyio.sleep(1.5)
        sending.drain()
        await anyio.sleep(0.1)
        assert play.stand() == {"delivered": 1, "pending": 4}
