"""Reads may be repeated: as often as it is worth it, at the pace of all, and then one line for a person."""

import itertools
import random
from collections import deque
from collections.abc import Callable

import anyio
import pytest

from callimport.core import errors, models
from callimport.crm import rate_limit, retry
from tests import fake_crm
from tests.fake_crm import FakeCrm, Line, Reply, in_virtual_time, reply

ACCOUNT = reply(200, {"data": [{"id": 7, "name": "Concession fictive"}]})
WHOSE = (models.Account(7, "Concession fictive"),)


class Least(random.Random):
    """The shortest wait that the rules allow."""

    def uniform(self, a: float, b: float) -> float:
        return a


def pace() -> rate_limit.Pacer:
    return rate_limit.Pacer((models.Rate(190, 60.0),), anyio.current_time, Least())


async def asked(crm: FakeCrm, shared: rate_limit.Pacer, rng: random.Random | None = None) -> tuple[models.Account, ...]:
    async with crm.reached() as there:
        return await retry.Courier(there, shared, rng or random.Random(1)).accounts()


@pytest.mark.parametrize(
    "failure",
    [fake_crm.RESETS, fake_crm.CLOSES, fake_crm.NO_REPLY, reply(500), reply(503), reply(200, b"half an ans")],
    ids=["reset", "closed", "hangs", "500", "503", "unreadable"],
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_read_that_may_have_failed_is_repeated(failure: Reply, times: int) -> None:
    """Unlike a create it changes nothing: doubt is no reason to stop."""

    @in_virtual_time
    async def story() -> None:
        crm = FakeCrm(script=deque([failure] * times + [ACCOUNT]))
        assert await asked(crm, pace()) == WHOSE
        assert len(crm.received) == times + 1

    story()


@in_virtual_time
async def test_a_connection_that_fails_is_tried_again() -> None:
    crm = FakeCrm(lines=deque([Line.REFUSED, Line.SILENT]), script=deque([ACCOUNT]))
    assert await asked(crm, pace()) == WHOSE
    assert len(crm.connections) == 3


@in_virtual_time
async def test_after_four_tries_it_gives_up_in_one_line() -> None:
    crm = FakeCrm(lines=deque([Line.REFUSED] * 100))
    with pytest.raises(errors.DestinationUnusable, match="cannot be reached") as caught:
        await asked(crm, pace())
    assert len(crm.connections) == retry.ATTEMPTS == 4
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == errors.ExitCode.STOPPED


@in_virtual_time
async def test_the_waits_between_tries_grow_and_are_drawn() -> None:
    class Most(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    with pytest.raises(errors.DestinationUnusable):
        await asked(FakeCrm(lines=deque([Line.REFUSED] * 4)), pace(), Most())
    assert anyio.current_time() == 1.0 + 2.0 + 4.0


@in_virtual_time
async def test_a_429_is_waited_for_and_costs_no_try() -> None:
    limited = reply(429, None, [("Retry-After", "20")])
    crm = FakeCrm(script=deque([limited] * 6 + [ACCOUNT]))
    shared = pace()
    assert await asked(crm, shared) == WHOSE
    moments = [request.at for request in crm.received]
    assert all(later - earlier >= 20.0 for earlier, later in itertools.pairwise(moments))
    assert shared.rate_limited == 6
    assert shared.requests == 7


@in_virtual_time
async def test_a_quarter_of_an_hour_of_nothing_but_429_ends_in_one_line() -> None:
    crm = FakeCrm(answer=lambda _: reply(429, None, [("Retry-After", "60")]))
    with pytest.raises(errors.DestinationUnusable, match="15 minutes"):
        await asked(crm, pace())
    assert 900 < anyio.current_time() < 900 + 2 * 61


@in_virtual_time
async def test_a_429_that_asks_for_more_than_an_hour_ends_in_one_line() -> None:
    crm = FakeCrm(script=deque([reply(429, None, [("Retry-After", "3601")])]))
    with pytest.raises(errors.DestinationUnusable, match="run again in 1 h 00 min"):
        await asked(crm, pace())
    assert len(crm.received) == 1
    assert anyio.current_time() == 0.0


@in_virtual_time
async def test_every_try_passes_through_the_pacer() -> None:
    shared = pace()
    await asked(FakeCrm(script=deque([reply(500), reply(500), ACCOUNT])), shared, Least())
    assert shared.requests == 3
    assert anyio.current_time() == pytest.approx(2 * 60 / 190)


@pytest.mark.parametrize("status", [401, 404, 302])
async def test_what_no_repetition_can_mend_is_not_repeated(status: int) -> None:
    crm = FakeCrm(script=deque([reply(status)]))
    with pytest.raises(errors.DestinationUnusable):
        await asked(crm, pace())
    assert len(crm.received) == 1


@pytest.mark.parametrize("status", [400, 403, 422])
async def test_a_key_that_may_not_see_its_account_ends_in_one_line(status: int) -> None:
    """A refusal is for items; of the very first question it is the end, and never a traceback."""
    crm = FakeCrm(script=deque([reply(status, {"message": "This action is unauthorized."})]))
    with pytest.raises(errors.DestinationUnusable, match=str(status)):
        await asked(crm, pace())
    assert len(crm.received) == 1


@pytest.mark.parametrize("failure", [reply(500), fake_crm.NO_REPLY], ids=["500", "hangs"])
def test_one_lead_that_cannot_be_read_while_the_crm_answers_otherwise_is_that_leads_trouble(failure: Reply) -> None:
    """Or one lead would stop every run for ever."""

    @in_virtual_time
    async def story() -> None:
        crm = FakeCrm(script=deque([failure] * retry.ATTEMPTS + [ACCOUNT]))
        async with crm.reached() as there:
            with pytest.raises(errors.Incomplete, match="the lead cannot be read"):
                await retry.Courier(there, pace(), random.Random(1)).communications_of(5001)

    story()


@in_virtual_time
async def test_a_lead_that_cannot_be_read_where_nothing_else_can_is_the_crms_trouble() -> None:
    crm = FakeCrm(script=deque([reply(500)] * (retry.ATTEMPTS + 1)))
    async with crm.reached() as there:
        with pytest.raises(errors.DestinationUnusable, match="cannot be reached"):
            await retry.Courier(there, pace(), random.Random(1)).communications_of(5001)


@in_virtual_time
async def test_a_key_that_is_refused_at_a_lead_is_not_asked_again() -> None:
    crm = FakeCrm(script=deque([reply(401)]))
    async with crm.reached() as there:
        with pytest.raises(errors.DestinationUnusable, match="refused the key"):
            await retry.Courier(there, pace(), random.Random(1)).communications_of(5001)
    assert len(crm.received) == 1


# Updates: made twice, they come to the same


async def _updated(crm: FakeCrm, before_bytes: Callable[[], None] = lambda: None) -> models.Echo:
    async with crm.reached() as there:
        return await retry.Courier(there, pace(), random.Random(1)).update(5, {"call_duration": 9}, before_bytes)


@pytest.mark.parametrize("failure", [fake_crm.RESETS, fake_crm.NO_REPLY, reply(500)], ids=["reset", "hangs", "500"])
def test_an_update_without_an_answer_is_made_again(failure: Reply) -> None:
    @in_virtual_time
    async def story() -> None:
        crm = FakeCrm(script=deque([failure, reply(200, {"data": {"id": 5, "call_duration": 9}})]))
        began: list[float] = []
        echo = await _updated(crm, lambda: began.append(anyio.current_time()))
        assert echo.body == {"id": 5, "call_duration": 9}
        assert [(one.method, one.json) for one in crm.received] == [("PUT", {"call_duration": 9})] * 2
        assert len(began) == 2

    story()


@in_virtual_time
async def test_an_update_that_fails_while_the_crm_answers_otherwise_is_that_calls_trouble() -> None:
    crm = FakeCrm(script=deque([reply(500)] * retry.ATTEMPTS + [ACCOUNT]))
    with pytest.raises(errors.InDoubt, match="status 500"):
        await _updated(crm)


@in_virtual_time
async def test_an_update_that_began_is_brought_to_its_end() -> None:
    crm = FakeCrm(answer=lambda _: reply(200, {"data": {"id": 5}}, after_seconds=10.0))
    echo = None
    with anyio.move_on_after(5):
        echo = await _updated(crm)
    assert echo is not None
    assert anyio.current_time() >= 10


@in_virtual_time
async def test_an_update_that_waits_for_its_slot_is_given_up_at_once() -> None:
    crm = FakeCrm(answer=lambda _: reply(429, None, [("Retry-After", "600")]))
    with anyio.move_on_after(5):
        await _updated(crm)
    assert anyio.current_time() < 6
