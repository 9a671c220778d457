"""One pace and one gate for everybody. All of it in virtual time."""

import itertools
import random

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callimport.core import errors
from callimport.core.models import Rate
from callimport.crm import rate_limit
from tests.fake_crm import in_virtual_time

USUAL = Rate(190, 60.0)
INTERVAL = 60.0 / 190
EPSILON = 1e-6


class NoJitter(random.Random):
    """The lower end of every range: the shortest wait that the rules allow."""

    def uniform(self, a: float, b: float) -> float:
        return a


def paced(*rates: Rate) -> rate_limit.Pacer:
    return rate_limit.Pacer(rates or (USUAL,), anyio.current_time, NoJitter())


async def saturate(
    one: rate_limit.Pacer,
    seconds: float,
    *,
    workers: int = 8,
    latency_seconds: float = 1.0,
    taken: list[float] | None = None,
) -> list[float]:
    """Workers that always want a slot; the moments at which they got one."""
    moments = taken if taken is not None else []

    async def work() -> None:
        while True:
            await one.slot()
            moments.append(anyio.current_time())
            await anyio.sleep(latency_seconds)

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(work)
    return moments


def most_in_any_window(moments: list[float], seconds: float) -> int:
    """The fullest half-open window of that length, whatever its beginning."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - seconds + EPSILON:
            first += 1
        most = max(most, last - first + 1)
    return most


def gaps(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


RATES = st.lists(st.builds(Rate, st.integers(1, 20), st.sampled_from([1.0, 7.0, 60.0])), min_size=1, max_size=3)
PAUSES = st.lists(st.floats(0, 30), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(RATES, st.lists(PAUSES, min_size=1, max_size=8))
def test_no_window_of_any_alignment_holds_more_than_its_rate(rates: list[Rate], workers: list[list[float]]) -> None:
    """The CRM's window begins where the CRM likes. Whoever arrives when, alone or in crowds, every rate is kept."""

    @in_virtual_time
    async def story() -> None:
        one = paced(*rates)
        moments: list[float] = []

        async def work(pauses: list[float]) -> None:
            for pause in pauses:
                await anyio.sleep(pause)
                await one.slot()
                moments.append(anyio.current_time())

        async with anyio.create_task_group() as group:
            for pauses in workers:
                group.start_soon(work, pauses)
        for rate in rates:
            assert most_in_any_window(moments, rate.seconds) <= rate.limit, rate
        assert one.requests == len(moments) == sum(map(len, workers))

    story()


@in_virtual_time
async def test_the_pace_is_even_and_nobody_may_burst() -> None:
    moments = await saturate(paced(), 60.0)
    assert moments[0] == 0.0
    assert gaps(moments) == pytest.approx([INTERVAL] * (len(moments) - 1))


@in_virtual_time
async def test_a_silence_is_not_made_up_for_by_a_burst() -> None:
    one = paced()
    await saturate(one, 10.0)
    await anyio.sleep(300.0)
    after = await saturate(one, 10.0)
    assert min(gaps(after)) >= INTERVAL - rate_limit.LONGEST_CATCH_UP_SECONDS - EPSILON


@in_virtual_time
async def test_a_wake_up_that_came_late_is_made_up_for() -> None:
    """Else the lateness of every single sleep would add up to a slower run."""
    one = paced()
    await one.slot()
    await anyio.sleep(INTERVAL + 0.04)
    await one.slot()
    await one.slot()
    assert anyio.current_time() == pytest.approx(2 * INTERVAL)


@in_virtual_time
async def test_eight_busy_workers_use_nearly_all_of_the_rate() -> None:
    """Answers take two seconds: whoever waits for them must not hold up the others."""
    moments = await saturate(paced(), 600.0, latency_seconds=2.0)
    assert 0.99 * 1900 <= len(moments) <= 1901


@in_virtual_time
async def test_a_second_longer_window_is_kept_too() -> None:
    moments = await saturate(paced(USUAL, Rate(1000, 3600.0)), 2 * 3600.0)
    assert most_in_any_window(moments, 60.0) <= 190
    assert most_in_any_window(moments, 3600.0) == 1000
    assert len(moments) == 2000


def refused_by_fixed_window(arrivals: list[float], limit: int, seconds: float) -> int:
    """Laravel's throttle: the window begins with its first request; what it refuses does not count."""
    refused, began, count = 0, float("-inf"), 0
    for moment in sorted(arrivals):
        if moment >= began + seconds:
            began, count = moment, 0
        if count >= limit:
            refused += 1
        else:
            count += 1
    return refused


@pytest.mark.parametrize(("per_minute", "is_refused"), [(190, False), (210, True)])
def test_the_usual_pace_never_meets_a_429_of_the_vendors_window(per_minute: int, is_refused: bool) -> None:
    """200 in 60 s, up to 0.4 s of network: ten minutes, twenty networks. 210 shows that the window does refuse."""

    @in_virtual_time
    async def story() -> None:
        moments = await saturate(paced(Rate(per_minute, 60.0)), 600.0)
        for seed in range(20):
            network = random.Random(seed)
            arrivals = [moment + network.uniform(0, 0.4) for moment in moments]
            assert (refused_by_fixed_window(arrivals, 200, 60.0) > 0) == is_refused, seed

    story()


@in_virtual_time
async def test_a_429_closes_the_gate_for_every_waiter() -> None:
    one, moments = paced(), list[float]()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: saturate(one, 60.0, taken=moments))
        await anyio.sleep(5.0)
        assert one.limited(30.0) == 30.0
        assert one.paused_seconds == 30.0
    assert [moment for moment in moments if 5.0 < moment < 35.0] == []
    assert any(moment >= 35.0 for moment in moments)


@in_virtual_time
async def test_the_gate_is_read_again_after_waiting_for_it() -> None:
    """While they wait for one closure, a request that was still under way may bring a longer one."""
    one, moments = paced(), list[float]()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: saturate(one, 120.0, taken=moments))
        await anyio.sleep(5.0)
        one.limited(20.0)
        await anyio.sleep(15.0)
        one.limited(60.0)
    assert [moment for moment in moments if 5.0 < moment < 80.0] == []
    assert moments[-1] >= 80.0


@in_virtual_time
async def test_a_shorter_closure_does_not_open_a_longer_one() -> None:
    one = paced()
    one.limited(3600.0)
    one.limited(1.0)
    assert one.paused_seconds == 3600.0


@in_virtual_time
async def test_an_hour_that_the_crm_asks_for_is_obeyed_to_the_second() -> None:
    one = paced()
    assert one.limited(3600.0) == 3600.0
    await one.slot()
    assert anyio.current_time() == 3600.0


@pytest.mark.parametrize("asked", [3600.5, 7500.0, 10.0**15])
def test_more_than_an_hour_stops_and_says_when_to_come_back(asked: float) -> None:
    """Nobody waits for a day at a run that sends nothing; and whoever is not stopped yet waits behind the gate."""

    @in_virtual_time
    async def story() -> None:
        one = paced()
        with pytest.raises(errors.DestinationUnusable) as caught:
            one.limited(asked)
        assert caught.value.exit_code == errors.ExitCode.STOPPED
        assert "\n" not in str(caught.value)
        if asked == 7500.0:
            assert "run again in 2 h 05 min" in str(caught.value)
        assert one.paused_seconds == asked
        assert one.rate_limited == 1

    story()


@in_virtual_time
async def test_a_gate_that_is_held_opens_when_it_was_said_to_and_slows_nobody() -> None:
    one = paced()
    one.hold(5.0)
    one.hold(2.0)
    await one.slot()
    assert anyio.current_time() == 5.0
    assert (one.allowed_per_minute, one.rate_limited) == (190.0, 0)


@pytest.mark.parametrize("asked", [0.0, -5.0, 0.3])
def test_less_than_a_second_is_taken_as_a_second(asked: float) -> None:
    """Laravel rounds the rest of its window down, old versions below zero."""

    @in_virtual_time
    async def story() -> None:
        one = paced()
        one.limited(asked)
        await one.slot()
        assert anyio.current_time() >= 1.0

    story()


@in_virtual_time
async def test_the_wait_is_never_shorter_than_asked_and_up_to_a_second_longer() -> None:
    """All machines of a dealership come back at the same moment otherwise."""
    pauses = [rate_limit.Pacer((USUAL,), anyio.current_time, random.Random(seed)).limited(7.0) for seed in range(50)]
    assert all(7.0 <= pause <= 8.0 for pause in pauses)
    assert len(set(pauses)) == 50


@in_virtual_time
async def test_without_a_time_each_429_doubles_the_wait_until_something_passes() -> None:
    one = paced()

    async def refused() -> float:
        pause = one.limited(None)
        await one.slot()
        return pause

    assert [await refused() for _ in range(8)] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    one.passed()
    assert await refused() == 1.0


@in_virtual_time
async def test_the_two_thousandth_429_is_still_a_wait_of_a_minute() -> None:
    """Two to that power is no number a machine can sleep for."""
    one = paced()
    for _ in range(1999):
        one.limited(None)
        await one.slot()
    assert one.limited(None) == 60.0


@in_virtual_time
async def test_a_429_slows_the_pace_and_clean_windows_bring_it_back() -> None:
    one = paced()
    await one.slot()
    one.limited(1.0)
    assert one.allowed_per_minute == pytest.approx(190 * 0.7)
    slower = await saturate(one, 50.0)
    assert min(gaps(slower)[1:]) == pytest.approx(INTERVAL / 0.7)
    allowed = [one.allowed_per_minute]
    for _ in range(13):
        await saturate(one, 60.0)
        allowed.append(one.allowed_per_minute)
    assert allowed == sorted(allowed)
    assert max(later - earlier for earlier, later in itertools.pairwise(allowed)) == pytest.approx(4.75)
    assert allowed[-1] == 190.0
    restored = gaps(await saturate(one, 10.0))[1:]
    assert restored == pytest.approx([INTERVAL] * len(restored))


@in_virtual_time
async def test_requests_refused_together_slow_the_pace_once() -> None:
    """With answers of a second, several requests are under way when the gate closes. One refusal is no reason to go
    at a tenth of the rate for half an hour."""
    one = paced()
    for _ in range(5):
        one.limited(30.0)
    assert one.allowed_per_minute == pytest.approx(190 * 0.7)
    assert one.rate_limited == 5


@in_virtual_time
async def test_an_hour_behind_a_closed_gate_is_no_clean_hour() -> None:
    """Nothing was sent, so nothing was learnt: the slower pace still stands when the gate opens."""
    one = paced()
    one.limited(3600.0)
    await one.slot()
    assert anyio.current_time() == pytest.approx(3600.0)
    assert one.allowed_per_minute == pytest.approx(190 * 0.7)


@in_virtual_time
async def test_a_rate_set_too_high_settles_below_the_crms() -> None:
    """Another integration may share the key: the pace must find what is left, and not be refused for ever."""
    one = paced(Rate(240, 60.0))
    began, count, refused = float("-inf"), 0, 0

    async def work() -> None:
        nonlocal began, count, refused
        while True:
            await one.slot()
            now = anyio.current_time()
            if now >= began + 60.0:
                began, count = now, 0
            count += 1
            if count > 200:
                refused += 1
                one.limited(began + 60.0 - now)
            else:
                one.passed()
            await anyio.sleep(1.0)

    with anyio.move_on_after(1800.0):
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(work)
    assert 0 < refused <= 12
    assert one.requests - refused >= 0.75 * 200 * 30


@in_virtual_time
async def test_the_achieved_rate_is_that_of_the_last_minute() -> None:
    one = paced()
    assert one.achieved_per_minute == 0.0
    await saturate(one, 30.0)
    assert one.achieved_per_minute == pytest.approx(190, rel=0.02)
    await saturate(one, 300.0)
    assert one.achieved_per_minute == pytest.approx(190, rel=0.02)
    await anyio.sleep(30.0)
    assert one.achieved_per_minute == pytest.approx(95, rel=0.03)
    await anyio.sleep(31.0)
    assert one.achieved_per_minute == 0.0


@in_virtual_time
async def test_the_allowed_rate_is_that_of_the_tightest_window() -> None:
    assert paced(USUAL, Rate(2000, 3600.0)).allowed_per_minute == pytest.approx(2000 / 60)
    assert paced(Rate(3, 1.0), USUAL).allowed_per_minute == pytest.approx(180)


@in_virtual_time
async def test_who_gives_up_waiting_takes_no_slot_and_holds_nobody_up() -> None:
    one = paced(Rate(1, 60.0))
    await one.slot()
    with anyio.move_on_after(10.0):
        await one.slot()
    assert one.requests == 1
    await one.slot()
    assert anyio.current_time() == pytest.approx(60.0)


async def test_slots_are_given_on_either_event_loop() -> None:
    one = paced(Rate(100_000, 60.0))
    for _ in range(20):
        await one.slot()
    assert one.requests == 20


@in_virtual_time
async def test_who_comes_to_a_gate_that_closed_for_too_long_is_told_instead_of_left_waiting() -> None:
    """Whoever met the answer may not be the one who sends: all must hear of it."""
    one = paced(USUAL)
    with pytest.raises(errors.DestinationUnusable):
        one.limited(4 * 3600.0)
    with pytest.raises(errors.DestinationUnusable, match="run again in 4 h"):
        await one.slot()
    await anyio.sleep(5 * 3600)
    await one.slot()
